"""A search for a vector that a caller made."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoder.fake import HashingEncoder
from indexing.reduction.settings import ReductionSettings
from indexing.versions.collection import create_index
from retriever.queries import unit_vector


def test_a_vector_may_be_a_list_or_an_array_of_any_length_but_zero():
    for given in ([3, 4], (3.0, 4.0), np.array([6.0, 8.0]), np.array([3, 4], dtype=np.float16)):
        unit = unit_vector(given)

        assert unit.dtype == np.float32
        assert np.allclose(unit, [0.6, 0.8])
    huge = unit_vector(np.array([3e30, 4e30], dtype=np.float32))
    assert np.allclose(huge, [0.6, 0.8])


@pytest.mark.parametrize(
    "given",
    [
        *([], [0.0, 0.0], [1.0, float("nan")], [float("inf")], ["1.0"], "1.0", None, 5.0),
        *([[1.0]], [[1.0], [1, 2]], [True], [None], [10**400]),
    ],
)
def test_what_is_no_vector_is_refused(given: Any):
    with pytest.raises(ValueError, match="must be a list of numbers, finite and not all zero"):
        unit_vector(given)


@pytest.mark.parametrize("projection", ["none", "svd", "pca", "whitening"])
@pytest.mark.parametrize("dimensions", [None, 8])
def test_a_vector_is_reduced_as_the_index_reduces_its_encoder(
    tmp_path: Path, projection: Any, dimensions: int | None
):
    dense = HashingEncoder(32)
    sample = [f"word{n} other{n % 7} more{n % 11}" for n in range(80)]
    reduction = ReductionSettings(dimensions=dimensions, projection=projection)
    with create_index(
        tmp_path, dense=dense, reduction=reduction, sample=sample, chunker={}, bm25={}
    ) as index:
        (raw,) = dense.encode_queries(["word3 other3"])
        (stored,) = index.encoder_for(dense).encode_queries(["word3 other3"], dimensions=dimensions)

        assert np.allclose(index.vector_as_stored(raw), stored, atol=1e-6)
        if dimensions is not None:
            assert np.allclose(index.vector_as_stored(stored), stored, atol=1e-6)
        with pytest.raises(ValueError, match=r"must have 32( or 8)? dimensions; got 5"):
            index.vector_as_stored(raw[:5])
