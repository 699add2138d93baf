"""`argot eval`."""

from pathlib import Path

import click

from argot.cli.eval_encoders import choose_encoders, chosen_task
from argot.cli.eval_retrieval import (
    checked_metrics,
    measure_collection,
    measure_index,
    rows_of_reports,
)
from argot.cli.eval_sentences import rows_of_pairs, rows_of_words
from argot.cli.eval_stages import StageFolders, stage_options, ways_of
from argot.cli.eval_table import Row, json_of, lines_of, missed_gates, parse_gates
from argot.cli.main import DONE, FAILED
from argot.cli.output import json_option, print_json, project_option, say
from argot.cli.search_options import principals_option
from argot.settings import EncoderChoice
from encoder.spec import POOLINGS
from retriever.settings import MODES, Mode

Existing = click.Path(exists=True, path_type=Path)
ENCODER_HELP = """Name or folder of a decoder, of an encoder, or of a sentence-transformers or
BERT-like model; repeatable, for one table. Options of one alone follow it: FOLDER,causal or
FOLDER,echo or FOLDER,pooling=last_token. Default: the project's."""
SENTENCE_METRICS = {"--sts": ("spearman",), "--tokens": ("accuracy", "f1")}


@click.command("eval")
@click.option(
    "--beir", type=Existing, help="Collection in BEIR's layout, indexed for this run only."
)
@click.option("--split", help="Of the collection's qrels; default: test.")
@click.option("--queries", type=Existing, help="queries.jsonl, for the project's own index.")
@click.option("--qrels", type=Existing, help="Judgements of those queries.")
@click.option(
    "--sts", type=Existing, help="TSV of sentence1, sentence2, score: Spearman's correlation."
)
@click.option(
    "--tokens", type=Existing, help="CoNLL columns: accuracy and span F1 of a linear probe."
)
@click.option("--tokens-train", type=Existing, help="CoNLL columns that the probe learns from.")
@click.option(
    "--tag-column", type=click.IntRange(min=2), help="Of the tag, from 1; default: the last."
)
@click.option(
    "--shift", is_flag=True, help="Read a word one position earlier, where MNTP predicts it."
)
@click.option("--encoder", "models", multiple=True, help=ENCODER_HELP)
@click.option("--causal", is_flag=True, help="Leave the decoder's attention as it was trained.")
@click.option("--echo", is_flag=True, help="Read each text twice and pool the second copy, causal.")
@click.option("--pooling", type=click.Choice(POOLINGS), help="Instead of the decoder's own.")
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="To compute in."
)
@click.option(
    "--mode", type=click.Choice(MODES), help="Default: dense with --encoder, else as configured."
)
@stage_options
@click.option(
    "--dims", type=click.IntRange(min=1), help="Truncate the vectors to so many dimensions."
)
@click.option("--metric", "metrics", multiple=True, help="Such as ndcg@10; repeatable.")
@click.option(
    "--fail-under", "gates", multiple=True, metavar="METRIC=VALUE", help="Exit with 1 below it."
)
@click.option(
    "--per-query", type=click.Path(path_type=Path), help="Write every query's values here."
)
@click.option("--compare", type=Existing, help="Test against a file that --per-query wrote.")
@principals_option
@json_option
@project_option
def command(
    *,
    beir: Path | None,
    split: str | None,
    queries: Path | None,
    qrels: Path | None,
    sts: Path | None,
    tokens: Path | None,
    tokens_train: Path | None,
    tag_column: int | None,
    shift: bool,
    models: tuple[str, ...],
    causal: bool,
    echo: bool,
    pooling: str | None,
    dtype: str | None,
    mode: Mode | None,
    reranks: tuple[str, ...],
    expands: tuple[str, ...],
    rescores: tuple[bool, ...],
    cross_encoder: Path | None,
    language_model: Path | None,
    dims: int | None,
    metrics: tuple[str, ...],
    gates: tuple[str, ...],
    per_query: Path | None,
    compare: Path | None,
    principals: tuple[str, ...],
    as_json: bool,
    folder: Path | None,
) -> int:
    """Measure encoders, and retrieval against judged queries.

    With --beir any encoder is measured on any collection, in a throw-away index and outside of any
    project. With --queries and --qrels the project's live index is measured. With --sts and with
    --tokens encoders are measured on sentences and on words; those values are printed times 100.
    """
    task = chosen_task(
        {
            "--beir": beir,
            "--split": split,
            "--queries": queries,
            "--qrels": qrels,
            "--sts": sts,
            "--tokens": tokens,
            "--tokens-train": tokens_train,
            "--tag-column": tag_column,
            "--shift": shift,
            "--encoder": models,
            "--causal": causal,
            "--echo": echo,
            "--pooling": pooling,
            "--dtype": dtype,
            "--mode": mode,
            "--rerank": reranks,
            "--expand": expands,
            "--rescore": rescores,
            "--cross-encoder": cross_encoder,
            "--language-model": language_model,
            "--dims": dims,
            "--metric": metrics,
            "--as": principals,
            "--per-query": per_query,
            "--compare": compare,
        }
    )
    names = SENTENCE_METRICS.get(task) or checked_metrics(metrics)
    limits = parse_gates(gates, names)
    common = EncoderChoice(causal=causal or None, pooling=pooling, dtype=dtype)
    encoders = choose_encoders(models, common=common, echo=echo, folder=folder)
    ways = ways_of(reranks, expands, rescores=rescores)
    if (len(encoders.wanted) > 1 or len(ways) > 1) and (per_query or compare):
        raise click.UsageError(
            "--per-query and --compare work with one encoder and one way to search; several are "
            "compared in the table"
        )
    rows: list[Row] = []
    if sts is not None:
        rows = rows_of_pairs(sts, encoders, dims=dims)
    elif tokens is not None and tokens_train is not None:
        rows = rows_of_words(tokens, tokens_train, encoders, column=tag_column, shift=shift)
    elif queries is not None and qrels is not None:
        report = measure_index(
            queries,
            qrels,
            mode=mode,
            metrics=names,
            principals=principals,
            folder=folder,
            ways=ways,
        )
        rows = rows_of_reports(report, compare=compare, per_query=per_query)
    elif beir is not None:
        reports = measure_collection(
            beir,
            encoders,
            mode=mode,
            split=split or "test",
            dims=dims,
            metrics=names,
            ways=ways,
            folders=StageFolders(cross_encoder, language_model),
        )
        rows = rows_of_reports(reports, compare=compare, per_query=per_query)
    if as_json:
        print_json(json_of(rows, compared=compare is not None))
    else:
        click.echo("\n".join(lines_of(rows)))
    below = missed_gates(rows, limits)
    for line in below:
        say(line)
    return FAILED if below else DONE
