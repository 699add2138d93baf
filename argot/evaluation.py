"""Measure retrieval: a project's index, or any encoder on any judged collection."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np

from argot.ingest_progress import Progress
from argot.ingestion import ingest
from argot.paths import ProjectPaths
from argot.searching import open_search
from argot.settings import EncoderChoice, IndexChoice, ProjectSettings
from connectors.registry import SourceSettings
from encoder.base import DenseEncoder
from retriever.evaluation import DEFAULT_METRICS, EvaluationReport, evaluate
from retriever.judgements import Judgements, read_beir
from retriever.search import Searcher
from retriever.settings import Mode, SearchSettings

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
    metrics: Sequence[str] = DEFAULT_METRICS,
    principals: Sequence[str] | None = None,
) -> EvaluationReport:
    """Measure an open index; a document counts by its best chunk."""
    return evaluate(
        lambda queries: searcher.rank_documents(queries, mode=mode, principals=principals),
        judgements,
        rng=np.random.default_rng(SEED),
        metrics=metrics,
    )


def evaluate_collection(
    folder: Path,
    *,
    dense: DenseEncoder | None,
    modes: Sequence[Mode],
    split: str = "test",
    dimensions: int | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    search: SearchSettings | None = None,
    language: str = "english",
    progress: Progress | None = None,
) -> dict[Mode, Evaluation]:
    """Index a BEIR folder in a throw-away index and measure it in one or several modes.

    Args:
        folder: ``corpus.jsonl``, ``queries.jsonl`` and qrels.
        dense: Any encoder; None: words only.
        modes: At least one.
        split: Of the qrels.
        dimensions: Truncate the vectors to so many.
        metrics: Names such as ``ndcg@10``.
        search: Depth and fusion; None: the defaults.
        language: For stop words and stems.
        progress: Told how far indexing has come.

    Returns:
        A measurement for each mode. Each counts the whole time of indexing.
    """
    judgements = read_beir(folder, split=split)
    settings = ProjectSettings(
        encoder=EncoderChoice(),
        sources=(SourceSettings(name="beir", path=folder, type="jsonl"),),
        index=IndexChoice(dimensions=dimensions, language=language),
        search=search or SearchSettings(),
    )
    with tempfile.TemporaryDirectory(prefix="argot-eval-") as scratch:
        paths = ProjectPaths(Path(scratch))
        began = monotonic()
        done = ingest(paths, settings, dense=dense, progress=progress)
        indexed = monotonic() - began
        results: dict[Mode, Evaluation] = {}
        for mode in modes:
            began = monotonic()
            with open_search(
                paths, settings=settings.search, load_dense=lambda: dense, mode=mode
            ) as session:
                report = evaluate_searcher(session.searcher, judgements, mode=mode, metrics=metrics)
            results[mode] = Evaluation(
                report, done.added, len(done.failed), indexed, monotonic() - began
            )
    return results
