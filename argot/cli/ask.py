"""`argot ask`."""

from pathlib import Path
from typing import Any

import click

from argot.cli.filters import parse_filters
from argot.cli.hits import hit_json, place_of
from argot.cli.main import DONE, FAILED
from argot.cli.output import find_project, json_option, print_json, project_option, say, show
from argot.cli.search_options import (
    AT_LEAST_ONE,
    expand_option,
    filter_option,
    min_score_option,
    principals_option,
    rerank_option,
)
from argot.errors import SettingsError
from retriever.answering.answering import Answer, check_question, ignore
from retriever.answering.prompt import Source
from retriever.errors import RetrieverError
from retriever.settings import MODES


@click.command("ask")
@click.argument("question")
@click.option("-k", type=AT_LEAST_ONE, help="Sources the model may read, at most.")
@click.option("--mode", type=click.Choice(MODES), help="Search by dense, sparse (words) or hybrid.")
@rerank_option
@expand_option
@min_score_option
@filter_option
@principals_option
@json_option
@project_option
def command(
    question: str,
    *,
    filters: tuple[str, ...],
    principals: tuple[str, ...],
    as_json: bool,
    folder: Path | None,
    **options: Any,  # noqa: ANN401 - those of the search, under their own names
) -> int:
    """Answer a question from the documents, and cite them.

    Searches, lets the language model of the project's encoder write an answer from what was found,
    and lists the sources that it cites. With nothing relevant found there is no answer, and the
    exit code is 1.
    """
    from argot.asking import open_answerer

    check_question(question)
    project = find_project(folder)
    where = parse_filters(filters)
    opening = {name: options.pop(name) for name in ("mode", "rerank", "expand")}
    with open_answerer(project, **opening) as answerer:
        try:
            answer = answerer.answer(
                question,
                on_text=ignore if as_json else stream,
                where=where,
                principals=list(principals) or None,
                **options,
            )
        except RetrieverError:
            raise
        except ValueError as exc:
            raise SettingsError(f"[ask]: {exc}") from exc
    if as_json:
        print_json(answer_json(answer))
    else:
        if answer.text:
            click.echo()
        show("".join(f"\n{line}" for line in cited_lines(answer)), newline=False)
        for line in remarks(answer):
            say(line)
    return DONE if answer.refusal is None else FAILED


def stream(text: str) -> None:
    """Print a piece of an answer at once."""
    show(text, newline=False)


def answer_json(answer: Answer) -> dict[str, Any]:
    """An answer as the JSON output has it."""
    return {
        "question": answer.question,
        "answered": answer.refusal is None,
        "refusal": answer.refusal,
        "answer": answer.text,
        "cited": list(answer.cited),
        "unknown_citations": list(answer.unknown),
        "sources": [source_json(source, cited=answer.cited) for source in answer.sources],
        "left_out": answer.left_out,
    }


def source_json(source: Source, *, cited: tuple[int, ...]) -> dict[str, Any]:
    """A source as the JSON output has it: a hit, with what the model read of it."""
    return {
        "number": source.number,
        "cited": source.number in cited,
        "cut": source.is_cut,
        **hit_json(source.hit),
        "text": source.text,
        "span": list(source.span),
    }


def cited_lines(answer: Answer) -> list[str]:
    """List the sources that the text cites, as a person reads them."""
    by_number = {source.number: source for source in answer.sources}
    return [_describe(by_number[number]) for number in answer.cited] + [""] * bool(answer.cited)


def _describe(source: Source) -> str:
    hit = source.hit
    page = f", page {hit.page}" if hit.page else ""
    start, end = source.span
    return (
        f"[{source.number}] {place_of(hit)}  ({hit.document_id}{page}, characters {start} to {end})"
    )


def remarks(answer: Answer) -> list[str]:
    """Say what a reader should know about an answer."""
    said = []
    if answer.refusal is not None:
        said.append(f"no answer: {answer.refusal}")
    elif not answer.cited:
        said.append(f"the answer cites none of its {len(answer.sources)} sources: check it against")
        said += map(_describe, answer.sources)
    if answer.unknown:
        numbers = ", ".join(map(str, answer.unknown))
        said.append(f"dropped: citations of sources that do not exist ({numbers})")
    cut = sum(source.is_cut for source in answer.sources)
    if cut or answer.left_out:
        said.append(
            "the model's context had no room for every source: "
            f"{cut} cut, {answer.left_out} left out"
        )
    return said
