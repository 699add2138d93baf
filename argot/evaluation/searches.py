"""Measure a project's index; or any encoder on judged documents, scored pairs or tagged words."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from argot.ingest_progress import Progress
from argot.ingestion import ingest
from argot.paths import ProjectPaths
from argot.searching import StagesFor, open_search
from argot.settings import EncoderChoice, IndexChoice, ProjectSettings
from argot.stages import Stages
from connectors.registry import SourceSettings
from encoder.base import DenseEncoder
from retriever.evaluation.evaluation import DEFAULT_METRICS, EvaluationReport, evaluate
from retriever.evaluation.judgements import Judgements, read_beir
from retriever.evaluation.resampling import Measured
from retriever.evaluation.sts import ScoredPairs, measure_similarity
from retriever.evaluation.tagging import TaggedSentences, TaggingReport, score_tags
from retriever.search import Searcher
from retriever.settings import Mode, SearchSettings

if TYPE_CHECKING:
    from encoder.words import WordEncoder

SEED = 0
"""Of the bootstrap, so that a measurement can be repeated to the digit."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A measurement and what it took."""

    report: EvaluationReport
    documents: int
    failed: int
    index_seconds: float
    search_seconds: float


def evaluate_searcher(
    searcher: Searcher,
    judgements: Judgements,
    *,
    mode: Mode | None = None,
    rerank: str | None = None,
    expand: str | None = None,
    rescore: bool | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    principals: Sequence[str] | None = None,
) -> EvaluationReport:
    """Measure an open index; a document counts by its best chunk."""
    return evaluate(
        lambda queries: searcher.rank_documents(
            queries,
            mode=mode,
            rerank=rerank,
            expand=expand,
            rescore=rescore,
            principals=principals,
        ),
        judgements,
        rng=np.random.default_rng(SEED),
        metrics=metrics,
    )


def evaluate_collection(
    folder: Path,
    *,
    dense: DenseEncoder | None,
    searches: Mapping[str, SearchSettings],
    stages_for: StagesFor = lambda _: Stages(),
    split: str = "test",
    dimensions: int | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    language: str = "english",
    progress: Progress | None = None,
) -> dict[str, Evaluation]:
    """Index a BEIR folder in a throw-away index and measure it, searched in one or several ways.

    Args:
        folder: ``corpus.jsonl``, ``queries.jsonl`` and qrels.
        dense: Any encoder; None: words only.
        searches: Mode, depth, fusion and stages of each way, by any name.
        stages_for: Names the second stages that these may ask for.
        split: Of the qrels.
        dimensions: Truncate the vectors to so many.
        metrics: Names such as ``ndcg@10``.
        language: For stop words and stems.
        progress: Told how far indexing has come.

    Returns:
        A measurement for each way, by its name. Each counts the whole time of indexing.
    """
    judgements = read_beir(folder, split=split)
    settings = ProjectSettings(
        encoder=EncoderChoice(),
        sources=(SourceSettings(name="beir", path=folder, type="jsonl"),),
        index=IndexChoice(dimensions=dimensions, language=language),
    )
    with tempfile.TemporaryDirectory(prefix="argot-eval-") as scratch:
        paths = ProjectPaths(Path(scratch))
        began = monotonic()
        done = ingest(paths, settings, dense=dense, progress=progress)
        indexed = monotonic() - began
        results: dict[str, Evaluation] = {}
        for name, search in searches.items():
            began = monotonic()
            with open_search(
                paths,
                settings=search,
                access=settings.access,
                load_dense=lambda _: dense,
                stages_for=stages_for,
            ) as session:
                report = evaluate_searcher(session.searcher, judgements, metrics=metrics)
            results[name] = Evaluation(
                report, done.added, len(done.failed), indexed, monotonic() - began
            )
    return results


def evaluate_similarity(
    dense: DenseEncoder, pairs: ScoredPairs, *, dimensions: int | None = None
) -> Measured:
    """Measure Spearman's correlation of cosines with scores, in [-1, 1].

    Both sentences are encoded as documents: neither of them looks for the other.
    """
    # A sentence in several pairs is encoded once.
    position = {text: i for i, text in enumerate(dict.fromkeys(pairs.first + pairs.second))}
    vectors = dense.encode_documents(list(position), dimensions=dimensions)
    return measure_similarity(
        vectors[[position[text] for text in pairs.first]],
        vectors[[position[text] for text in pairs.second]],
        pairs.scores,
        rng=np.random.default_rng(SEED),
    )


def evaluate_tagging(
    encoder: "WordEncoder",
    *,
    train: TaggedSentences,
    test: TaggedSentences,
    shift: bool = False,
) -> TaggingReport:
    """Train a linear probe on the frozen states of one set of words and measure it on another.

    Args:
        encoder: Stays as it is.
        train: Words the probe learns from.
        test: Words it is measured on.
        shift: Take the states one position before each token, where MNTP predicts it.
    """
    from adapters_training.estimate.tokens import train_probe

    probe = train_probe(encoder.encode_words(train.words, shift=shift), train.tags)
    predicted = probe.predict(encoder.encode_words(test.words, shift=shift))
    return score_tags(test, predicted, rng=np.random.default_rng(SEED))
