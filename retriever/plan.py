"""What one search does: the settings, with what the query says otherwise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, TypedDict

from retriever.errors import ModeError, PlanError
from retriever.settings import OFF, Fusion, Mode, SearchSettings

HYDE = "hyde"
"""Names the stage that widens a query by passages, which join its vector and not its words."""


class PlanOptions(TypedDict, total=False):
    """What a search may say otherwise than the settings, under their names; None: as they say.

    To switch something off that the settings have on: ``rerank`` and ``expand`` ``"none"``, ``mmr``
    1, ``min_score`` ``-math.inf``, ``per_document`` and ``neighbours`` 0, ``rescore`` and
    ``section`` False.
    """

    k: int | None
    mode: Mode | None
    depth: int | None
    fusion: Fusion | None
    rrf_k: int | None
    dense_weight: float | None
    sparse_weight: float | None
    rescore: bool | None
    min_score: float | None
    rerank: str | None
    rerank_depth: int | None
    rerank_weight: float | None
    expand: str | None
    mmr: float | None
    per_document: int | None
    neighbours: int | None
    section: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan(SearchSettings):
    """One search, checked as a whole."""

    def __post_init__(self) -> None:
        SearchSettings.__post_init__(self)
        if self.has_threshold and not self.is_calibrated:
            raise PlanError(
                "`min_score` needs scores that mean the same for every query; those of "
                f"{self._scored_by} say how good a hit is among the others of its query, not how "
                "good it is\n"
                "hint: search with mode 'dense', with `rescore` and without `expand`: there a "
                "score is a cosine; or with `min_score` -inf, which leaves nothing out"
            )
        if self.mode == "sparse" and self.expand == HYDE:
            raise PlanError(
                f"`expand` {HYDE!r} changes the vector of a query and nothing else, and mode "
                "'sparse' compares no vectors\n"
                "hint: `expand` 'multi-query' widens the words too, 'none' searches them as they "
                "are; or search in mode 'dense' or 'hybrid'"
            )

    @classmethod
    def of(cls, settings: SearchSettings, options: Mapping[str, Any]) -> Self:
        """Lay what a query says over the settings.

        Args:
            settings: What holds unless `options` say otherwise.
            options: `PlanOptions`.

        Raises:
            TypeError: an option is unknown.
            ValueError: one is out of range.
            PlanError: two do not go together.
        """
        known = {field.name: getattr(settings, field.name) for field in fields(SearchSettings)}
        unknown = [name for name in options if name not in known]
        if unknown:
            raise TypeError(
                f"a search has no option {', '.join(map(repr, unknown))}; "
                f"it has {', '.join(known)}, `where` and `principals`"
            )
        given = {name: value for name, value in options.items() if value is not None}
        return cls(**(known | given))

    @property
    def candidates(self) -> int:
        """Taken from each ranking, at first."""
        return max(self.depth, self.k)

    @property
    def reranked(self) -> int:
        """How many candidates are reranked: enough for all hits to be."""
        return max(self.rerank_depth, self.k * max(1, self.per_document))

    @property
    def weights(self) -> dict[str, float]:
        """Of the sides, by name; a side that is searched alone is not left out."""
        if self.mode != "hybrid":
            return {"dense": 1.0, "sparse": 1.0}
        return {"dense": self.dense_weight, "sparse": self.sparse_weight}

    @property
    def is_expanded(self) -> bool:
        """Whether the query is widened."""
        return self.expand != OFF

    @property
    def is_fused(self) -> bool:
        """Whether several rankings are fused, so that scores are those of the fusion."""
        return self.mode == "hybrid" or self.is_expanded

    @property
    def is_calibrated(self) -> bool:
        """Whether a score means the same for one query as for another."""
        return self.mode == "dense" and not self.is_fused and self.rescore

    @property
    def _scored_by(self) -> str:
        if self.is_fused:
            return f"{self.fusion!r} fusion"
        return "BM25" if self.mode == "sparse" else "vectors that are not rescored"

    @property
    def has_threshold(self) -> bool:
        """Whether hits may be too bad to be returned."""
        return self.min_score > -math.inf

    @property
    def is_diverse(self) -> bool:
        """Whether the order is not by relevance alone."""
        return self.mmr < 1

    @property
    def is_grouped(self) -> bool:
        """Whether `k` counts documents."""
        return self.per_document > 0


def check_usable(plan: SearchPlan, *, has_vectors: bool, has_encoder: bool, version: str) -> None:
    """Refuse what an index version can't answer.

    Args:
        plan: Of the search.
        has_vectors: The version was built with an encoder.
        has_encoder: The queries can be encoded.
        version: Its name.

    Raises:
        ModeError: the plan compares vectors that are not there.
    """
    what = f"mode {plan.mode!r}" if plan.mode != "sparse" else "`mmr`"
    if not has_vectors and (plan.mode != "sparse" or plan.is_diverse):
        instead = "mode 'sparse'" if plan.mode != "sparse" else "`mmr` 1"
        raise ModeError(
            f"{what} needs vectors, and index version {version!r} was built without an encoder\n"
            f"hint: search with {instead}, or configure an encoder and build a new version"
        )
    if plan.mode != "sparse" and not has_encoder:
        raise ModeError(
            f"{what} needs an encoder for the query, and none was given\n"
            "hint: search with mode 'sparse', or give the encoder the index was built with"
        )
