"""Texts whose vectors an index version keeps: does its encoder still compute the same?"""

from collections.abc import Mapping

import numpy as np

from encoder.base import DenseEncoder
from indexing.errors import WrongEncoderError
from indexing.versions.description import Canary, IndexVersion

CANARY_TEXTS = (
    "Employees may take twenty-five days of paid leave per calendar year.",
    "def read(path: str) -> bytes: return open(path, 'rb').read()",
    "Die Lieferung erfolgt innerhalb von 14 Werktagen; 退货需在三十天内办理。",
    "Invoice E-4031: 20 screws M8 x 60, DIN 933; EUR 12.50",
)
"""Encoded again whenever a version is opened: prose, code, other scripts, numbers."""

MIN_COSINES = {"median": 0.99, "least": 0.9}
"""Leave room for another dtype, or adapters that are not merged; one text may be far off there."""


def make_canaries(dense: DenseEncoder, dimensions: int | None) -> tuple[Canary, ...]:
    """Encode the texts for a new version, ``[dimensions]`` of each vector."""
    vectors = dense.encode_documents(CANARY_TEXTS, dimensions=dimensions)
    rounded = [tuple(float(f"{x:.6g}") for x in vector) for vector in vectors.tolist()]
    return tuple(Canary(*pair) for pair in zip(CANARY_TEXTS, rounded, strict=True))


def check_canaries(version: IndexVersion, dense: DenseEncoder) -> None:
    """Encode the texts of a version again.

    Raises:
        WrongEncoderError: the encoder computes other vectors than it did.
    """
    texts = [canary.text for canary in version.canaries]
    now = dense.encode_documents(texts, dimensions=version.dimensions)
    then = np.asarray([canary.vector for canary in version.canaries], dtype=np.float32)
    # Of unit vectors; two that truncation left at zero agree as well.
    cosines = 1 - ((now - then) ** 2).sum(axis=1) / 2
    found = {"median": float(np.median(cosines)), "least": float(cosines.min())}
    if any(found[kind] < at_least for kind, at_least in MIN_COSINES.items()):
        raise WrongEncoderError(
            f"encoder {(version.encoder or '')[:12]} must give the vectors it gave when index "
            f"{version.name} was built; the cosines of test texts must be {_shown(MIN_COSINES)} "
            f"or more, and are {_shown(found)}\n"
            "hint: its files or the libraries it runs on have changed; build the index again"
        )


def _shown(cosines: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {cosine:.4f}" for kind, cosine in cosines.items())
