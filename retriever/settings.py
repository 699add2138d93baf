"""How a search is done unless the caller says otherwise."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

Mode = Literal["dense", "sparse", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)

Fusion = Literal["rrf", "relative_score", "dbsf"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)

OFF = "none"
"""Names no second stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """Defaults of a `Searcher`; each search may say otherwise."""

    k: int = 10
    """Hits returned, >= 1; documents where hits are grouped."""

    mode: Mode = "hybrid"
    """``dense`` compares vectors, ``sparse`` words (BM25), ``hybrid`` fuses both rankings."""

    depth: int = 100
    """Candidates taken from each side before fusion, >= 1; a larger `k` raises it."""

    fusion: Fusion = "rrf"
    """``rrf`` fuses by rank; ``relative_score`` and ``dbsf`` by scores brought to one scale, which
    is better where the weights are tuned on judged queries."""

    rrf_k: int = 60
    """Constant of reciprocal rank fusion, >= 0; larger values favour agreement over top ranks."""

    dense_weight: float = 1.0
    """Weight of the dense ranking in the fusion, >= 0; 0 leaves it out."""

    sparse_weight: float = 1.0
    """Weight of the sparse ranking in the fusion, >= 0; 0 leaves it out."""

    rescore: bool = True
    """In an index whose search begins with codes or small vectors (``quantization`` or
    ``two_stage``): compare the candidates that these find with the whole stored vectors. Off, the
    codes or small vectors score and order alone, which is faster and less exact. In any other index
    it changes nothing."""

    min_score: float = -math.inf
    """Lowest cosine of a hit, before reranking; in mode ``dense`` with `rescore` and without
    `expand`. Other scores compare the hits of one query, and a threshold on them is refused."""

    rerank: str = OFF
    """Second stage that reads the best candidates together with the query; ``none``: none."""

    rerank_depth: int = 50
    """Candidates that are reranked, >= 1; a larger `k` raises it."""

    rerank_weight: float = 0.5
    """How much the reranker counts beside the scores before it, in (0, 1]: both are brought to one
    scale by mean and deviation, and added. 1: the reranker alone orders."""

    expand: str = OFF
    """Stage that widens the query by other wordings or by passages; ``none``: none."""

    mmr: float = 1.0
    """Maximal marginal relevance, in [0, 1]: 1 orders by relevance alone, 0 by difference from
    the hits before alone."""

    per_document: int = 0
    """Group hits by document, with at most so many of each; 0: not grouped."""

    neighbours: int = 0
    """Chunks before and after each hit, in its document, that come with it, >= 0."""

    section: bool = False
    """Each hit comes with the section that it stands in."""

    def __post_init__(self) -> None:
        check_mode(self.mode)
        if self.fusion not in FUSIONS:
            raise ValueError(f"`fusion` must be one of {', '.join(FUSIONS)}; got {self.fusion!r}")
        for name in ("k", "depth", "rerank_depth"):
            check_count(name, getattr(self, name), least=1)
        for name in ("rrf_k", "per_document", "neighbours"):
            check_count(name, getattr(self, name), least=0)
        for name in ("rerank", "expand"):
            _check_name(name, getattr(self, name))
        self._check_numbers()
        for name in ("rescore", "section"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"`{name}` must be true or false; got {getattr(self, name)!r}")

    def _check_numbers(self) -> None:
        for name in ("dense_weight", "sparse_weight"):
            weight = getattr(self, name)
            if not (_is_number(weight) and math.isfinite(weight) and weight >= 0):
                raise ValueError(f"`{name}` must be a finite number >= 0; got {weight!r}")
        if self.dense_weight == self.sparse_weight == 0:
            raise ValueError("`dense_weight` or `sparse_weight` must be above 0; both are 0")
        if not (_is_number(self.rerank_weight) and 0 < self.rerank_weight <= 1):
            raise ValueError(f"`rerank_weight` must be in (0, 1]; got {self.rerank_weight!r}")
        if not (_is_number(self.mmr) and 0 <= self.mmr <= 1):
            raise ValueError(f"`mmr` must be in [0, 1]; got {self.mmr!r}")
        if not _is_number(self.min_score) or math.isnan(self.min_score):
            raise ValueError(f"`min_score` must be a number; got {self.min_score!r}")


def check_mode(mode: object) -> None:
    """Refuse what is no search mode."""
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {', '.join(MODES)}; got {mode!r}")


MAX_COUNT = 10**6
"""Engines and databases overflow far above it, and nobody reads as many hits."""


def check_count(name: str, value: object, *, least: int) -> None:
    """Refuse what is no whole number in [`least`, `MAX_COUNT`]; True is no number here."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"`{name}` must be a whole number >= {least}; got {value!r}")
    if value > MAX_COUNT:
        raise ValueError(f"`{name}` must be at most {MAX_COUNT}; got more")


def _check_name(setting: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"`{setting}` must be a name, or {OFF!r} for none; got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
