"""How the dense vectors of an index version are made smaller."""

from dataclasses import dataclass
from typing import Literal, get_args

ProjectionKind = Literal["none", "svd", "pca", "whitening"]
Storage = Literal["f32", "f16", "turbo16", "turbo8"]
Quantization = Literal["none", "int8", "tq4", "tq2", "tq1", "binary", "product"]

PROJECTIONS: tuple[ProjectionKind, ...] = get_args(ProjectionKind)
STORAGES: tuple[Storage, ...] = get_args(Storage)
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionSettings:
    """What is kept of each vector, and how it is searched; the defaults keep everything.

    The steps follow each other: the projection, its first ``dimensions``, the storage. A search
    that begins with something smaller (``quantization`` or ``two_stage``) compares ``oversampling``
    times as many candidates again by the stored vectors.
    """

    dimensions: int | None = None
    """Keep the first so many, of the encoder's or of the projection's; None keeps all."""

    projection: ProjectionKind = "none"
    """``svd`` turns vectors so that the first dimensions hold the most of their cosines; ``pca``
    subtracts their mean first; ``whitening`` also gives each dimension the same spread. Fitted on a
    sample of the corpus."""

    storage: Storage = "f32"
    """Of the stored vectors: 4 bytes a dimension, 2 (``f16``, ``turbo16``) or 1 (``turbo8``)."""

    quantization: Quantization = "none"
    """Codes beside the stored vectors that are searched first: less to read, more disk."""

    oversampling: float = 3.0
    """Candidates of the first stage for each hit wanted, at least 1."""

    two_stage: int | None = None
    """Search the graph of the first so many dimensions; the whole vectors then have no graph."""

    def __post_init__(self) -> None:
        for name, known in (
            ("projection", PROJECTIONS),
            ("storage", STORAGES),
            ("quantization", QUANTIZATIONS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(known)}; got {getattr(self, name)!r}"
                )
        if self.dimensions is not None and self.dimensions < 1:
            raise ValueError(f"`dimensions` must be at least 1; got {self.dimensions}")
        if not 1 <= self.oversampling <= 100:
            raise ValueError(f"`oversampling` must be in [1, 100]; got {self.oversampling}")
        if self.two_stage is not None:
            self._check_two_stage(self.two_stage)

    def _check_two_stage(self, small: int) -> None:
        if small < 1 or (self.dimensions is not None and small >= self.dimensions):
            raise ValueError(
                f"`two_stage` must be at least 1 and fewer than the {self.dimensions or 'whole'} "
                f"dimensions that are kept; got {small}"
            )
        if self.quantization != "none":
            raise ValueError(
                "`two_stage` and `quantization` are two ways to a cheap first stage; set one, "
                f"got {small} and {self.quantization!r}"
            )

    def width(self, full: int) -> int:
        """Return how many dimensions of an encoder's ``full`` ones are stored.

        Raises:
            ValueError: the encoder has too few for these settings.
        """
        width = full if self.dimensions is None else self.dimensions
        if width > full:
            raise ValueError(f"`dimensions` must be at most {full}, the encoder's; got {width}")
        if self.two_stage is not None and self.two_stage >= width:
            raise ValueError(
                f"`two_stage` must be fewer than the {width} dimensions that are kept; "
                f"got {self.two_stage}"
            )
        return width

    @property
    def keeps_originals(self) -> bool:
        """Whether the encoder's own vectors can be read back, but for rounding of 32 bits."""
        return self.dimensions is None and self.projection == "none" and self.storage == "f32"
