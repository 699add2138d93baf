"""Ways of making vectors smaller that are worth trying, and the choice among the measured ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from indexing.reduction.settings import ReductionSettings
from retriever.evaluation.significance import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An option, measured."""

    reduction: ReductionSettings
    name: str
    quality: Interval
    """nDCG@10 of dense search, each document by its best chunk."""

    chunk_bytes: float
    """On disk for each chunk: all that dense search reads, the originals of codes included."""

    p50_ms: float
    p95_ms: float
    """Of one dense search in the store."""

    build_seconds: float
    """To fit, write and optimize."""


def options(width: int) -> list[ReductionSettings]:
    """List what is tried for vectors of ``width`` dimensions, 8 or more; the first keeps all."""
    reduce = ReductionSettings
    half, quarter, eighth = width // 2, width // 4, width // 8
    # With 8 bits each, less than an eighth of the bytes, what the engine adds included.
    most = width * 4 // 9
    return [
        reduce(),
        *(reduce(dimensions=kept) for kept in (half, quarter, eighth)),
        *(reduce(dimensions=kept, projection="svd") for kept in (half, quarter, eighth)),
        *(reduce(dimensions=kept, projection="pca") for kept in (half, quarter, eighth)),
        *(reduce(dimensions=kept, projection="whitening") for kept in (half, quarter)),
        *(reduce(storage=storage) for storage in ("f16", "turbo16", "turbo8")),
        *(reduce(quantization=codes) for codes in ("int8", "tq4", "tq2", "tq1")),
        *(reduce(quantization=codes) for codes in ("binary", "product")),
        *(reduce(two_stage=small) for small in (quarter, eighth)),
        *(reduce(dimensions=kept, storage="turbo8") for kept in (half, quarter)),
        reduce(dimensions=most, projection="svd", storage="turbo8"),
        reduce(dimensions=most, projection="svd", storage="turbo8", two_stage=eighth),
        reduce(dimensions=quarter, projection="svd", storage="f16"),
        reduce(dimensions=quarter, projection="svd", storage="turbo8"),
        reduce(dimensions=quarter, projection="svd", storage="turbo8", quantization="tq4"),
        reduce(dimensions=eighth, projection="svd", storage="turbo8"),
        reduce(dimensions=half, projection="pca", storage="turbo8"),
        reduce(dimensions=quarter, projection="pca", storage="turbo8"),
    ]


def name_of(reduction: ReductionSettings, width: int) -> str:
    """Describe an option for vectors of ``width`` dimensions, such as ``pca 144, turbo8``."""
    kept = str(reduction.dimensions or width)
    parts = [kept if reduction.projection == "none" else f"{reduction.projection} {kept}"]
    parts.append(reduction.storage)
    if reduction.quantization != "none":
        parts.append(f"{reduction.quantization} x{reduction.oversampling:g}")
    if reduction.two_stage is not None:
        parts.append(f"first {reduction.two_stage} x{reduction.oversampling:g}")
    return ", ".join(parts)


def pareto_front(tried: Sequence[Tried]) -> list[Tried]:
    """Return those that no other beats: in quality, bytes or p95 better, and in none worse."""
    return [one for one in tried if not any(_beats(other, one) for other in tried)]


def choose(tried: Sequence[Tried], *, keep: float) -> Tried:
    """Choose the smallest that keeps a share of the quality of the first, the faster of equals.

    Args:
        tried: The first keeps everything.
        keep: Share of its nDCG@10, in (0, 1].

    Returns:
        The choice; the first itself where no other keeps enough.
    """
    enough = [one for one in tried if one.quality.value >= keep * tried[0].quality.value]
    return min(enough, key=lambda one: (one.chunk_bytes, one.p95_ms))


def _beats(one: Tried, other: Tried) -> bool:
    costs = [(each.chunk_bytes, each.p95_ms, -each.quality.value) for each in (one, other)]
    return all(a <= b for a, b in zip(*costs, strict=True)) and costs[0] != costs[1]
