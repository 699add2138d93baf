"""How a search is done unless the caller says otherwise."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

Mode = Literal["dense", "sparse", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)

Fusion = Literal["rrf", "relative_score", "dbsf"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """Defaults of a `Searcher`."""

    k: int = 10
    """Hits returned, >= 1."""

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

    def __post_init__(self) -> None:
        check_mode(self.mode)
        if self.fusion not in FUSIONS:
            raise ValueError(f"`fusion` must be one of {', '.join(FUSIONS)}; got {self.fusion!r}")
        for name, value, least in (
            ("k", self.k, 1),
            ("depth", self.depth, 1),
            ("rrf_k", self.rrf_k, 0),
        ):
            check_count(name, value, least=least)
        for name, weight in (
            ("dense_weight", self.dense_weight),
            ("sparse_weight", self.sparse_weight),
        ):
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"`{name}` must be a finite number >= 0; got {weight}")
        if self.dense_weight == self.sparse_weight == 0:
            raise ValueError("`dense_weight` or `sparse_weight` must be above 0; both are 0")


def check_mode(mode: object) -> None:
    """Refuse what is no search mode."""
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {', '.join(MODES)}; got {mode!r}")


def check_count(name: str, value: object, *, least: int) -> None:
    """Refuse what is no whole number of at least `least`; True is no number here."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"`{name}` must be a whole number >= {least}; got {value!r}")
