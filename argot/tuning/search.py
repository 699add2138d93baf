"""How a project's searches should be done: tried on some judged queries, checked on others."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from argot.errors import SettingsError
from argot.evaluation.searches import SEED
from argot.project import Project
from argot.settings import FILE
from argot.settings_edit import edit_table
from argot.tuning.search_trial import Tried, best, try_fusions, try_reranking
from argot.tuning.searches import read_reranked, search_sides
from retriever.evaluation.evaluation import EvaluationReport, compare, evaluate
from retriever.evaluation.judgements import Judgements
from retriever.evaluation.significance import PairedDifference
from retriever.search import Searcher
from retriever.settings import OFF, SearchSettings

METRICS = ("ndcg@10", "recall@10", "mrr@10")

TUNED = (
    *("mode", "depth", "fusion", "rrf_k", "dense_weight", "sparse_weight"),
    *("rerank_depth", "rerank_weight"),
)
"""What tuning may change in ``[search]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What was tried, and how the best of it does on queries it was not chosen by."""

    tried: Sequence[Tried]
    """The present settings first, then each side alone, where it can be."""

    reranked: Sequence[Tried]
    """Depths and weights of reranking that were tried; none without a reranker."""

    queries: int
    """That the choice was made by."""

    chosen: SearchSettings
    before: EvaluationReport
    """The present settings on the held-out queries."""

    after: EvaluationReport
    """The chosen settings on them."""

    tested: Mapping[str, PairedDifference]
    """After minus before, by metric."""

    @property
    def improves(self) -> bool:
        """Whether the choice is better on the held-out queries, and another one at all."""
        present = self.tried[0].settings
        return self.chosen != present and self.tested["ndcg@10"].difference > 0


def tune_search(
    project: Project,
    train: Judgements,
    held_out: Judgements,
    *,
    principals: Sequence[str] | None = None,
    progress: Callable[[str], None],
) -> Tuning:
    """Choose depth, fusion, weights and reranking on one set of queries, measure on another.

    Each query is searched once on each side, at the greatest depth; every fusion is computed from
    that. What widens queries or diversifies hits is left out while choosing, not while measuring.

    Args:
        project: The project, with an index that has vectors.
        train: Queries and grades to choose by; the ids are of documents.
        held_out: Other queries.
        principals: Who asks, as for a search.
        progress: Told what is done.

    Raises:
        SettingsError: there is nothing to tune, or the judgements are of other documents.
        NoIndexError: nothing is indexed yet.
        MissingPrincipalError: documents have access lists and nobody is said to ask.
    """
    configured = project.settings.search
    if configured.min_score > -math.inf:
        raise SettingsError(
            "tuning changes what scores mean, and so what [search] min_score lets through; it is "
            f"{configured.min_score}\nhint: comment it out, tune, and then choose it anew"
        )
    with project.search_session(mode="hybrid", follow=False) as session:
        searcher = session.searcher
        _check_vectors(searcher)
        found = search_sides(searcher, train, principals=principals, progress=progress)
        progress("trying fusions")
        tried = try_fusions(configured, found, train)
        chosen, reranked = best(tried).settings, []
        if chosen.rerank != OFF:
            progress(f"reranking with {chosen.rerank}")
            reranked = try_reranking(
                chosen, read_reranked(searcher, train, chosen, principals=principals), train
            )
            chosen = best(reranked).settings
        progress("measuring on the held-out queries")
        before = _measure(searcher, held_out, configured, principals=principals)
        after = _measure(searcher, held_out, chosen, principals=principals)
    return Tuning(
        tried=tried,
        reranked=reranked,
        queries=len(found),
        chosen=chosen,
        before=before,
        after=after,
        tested=compare(after, before, rng=np.random.default_rng(SEED)),
    )


def write_search(project: Project, chosen: SearchSettings) -> None:
    """Write what was tuned into [search] of argot.toml; defaults are commented out.

    Raises:
        SettingsError: the file can't be changed line by line.
    """
    default = SearchSettings()
    values = {name: getattr(chosen, name) for name in TUNED}
    edit_table(
        project.paths.root / FILE,
        "search",
        {
            name: None if value == getattr(default, name) else value
            for name, value in values.items()
        },
    )


def _measure(
    searcher: Searcher,
    judgements: Judgements,
    settings: SearchSettings,
    *,
    principals: Sequence[str] | None,
) -> EvaluationReport:
    """Measure real searches with these settings, no deeper than they say."""
    options: dict[str, Any] = {name: getattr(settings, name) for name in TUNED}
    return evaluate(
        lambda texts: searcher.rank_documents(texts, limit=10, principals=principals, **options),
        judgements,
        rng=np.random.default_rng(SEED),
        metrics=METRICS,
    )


def _check_vectors(searcher: Searcher) -> None:
    if searcher.settings.mode == "sparse":
        raise SettingsError(
            f"tuning weighs two rankings, and index {searcher.version_name} has no vectors for "
            "one of them\nhint: set `model` in [encoder] and run `argot ingest --rebuild`"
        )
