"""Opening an index: the right version, the right encoder, one process."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoder.base import DenseEncoder, SparseVector
from encoder.fake import HashingEncoder
from indexing.errors import IndexLockedError, NoIndexError, WrongEncoderError
from indexing.reduction.settings import ReductionSettings
from indexing.stores.base import Point
from indexing.versions.canaries import CANARY_TEXTS
from indexing.versions.collection import OpenIndex, create_index, open_index
from indexing.versions.description import Canary, live_version, set_live, version_names

BM25 = {"language": "english", "k1": 0.9, "b": 0.4, "avg_len": 100.0}
POINT_ID = "00000000-0000-0000-0000-000000000001"


def new_index(
    indexes: Path, dense: DenseEncoder | None, dimensions: int | None = None
) -> OpenIndex:
    return create_index(
        indexes,
        dense=dense,
        reduction=ReductionSettings(dimensions=dimensions),
        chunker={"max_tokens": 256},
        bm25=BM25,
    )


def test_what_is_created_can_be_made_live_and_opened(tmp_path: Path):
    encoder = HashingEncoder(32)
    with new_index(tmp_path, encoder) as index:
        index.check_encoder(encoder)
        dense = encoder.encode_documents(["annual leave"])[0]
        word = SparseVector((1,), (1.0,))
        index.store.upsert([Point(id=POINT_ID, dense=dense, sparse=word, payload={})])
        name = index.version.name
        assert live_version(tmp_path) is None, "a new version does not answer before it is filled"
    set_live(tmp_path, name)
    with open_index(tmp_path) as index:
        index.check_encoder(encoder)
        assert index.version.name == name == f"docs-0001-{encoder.fingerprint[:6]}"
        assert index.version.bm25 == BM25
        assert index.version.engine.startswith("qdrant-edge-py 0.9")
        assert index.store.search_dense(dense, limit=1)[0].id == POINT_ID


def test_truncated_vectors_are_checked_as_they_are_stored(tmp_path: Path):
    encoder = HashingEncoder(32)
    with new_index(tmp_path, encoder, dimensions=8) as index:
        assert (index.version.dimensions, index.version.full_dimensions) == (8, 32)
        assert index.store.spec.dimensions == 8
        assert [len(c.vector) for c in index.version.canaries] == [8] * len(CANARY_TEXTS)
        index.check_encoder(encoder)


def test_another_encoder_is_refused_and_both_are_named(tmp_path: Path):
    ours, other = HashingEncoder(32), HashingEncoder(16)
    with new_index(tmp_path, ours) as index:
        with pytest.raises(WrongEncoderError) as refused:
            index.check_encoder(other)
        assert ours.fingerprint[:12] in str(refused.value)
        assert other.fingerprint[:12] in str(refused.value)
        assert "hint: " in str(refused.value)
        with pytest.raises(WrongEncoderError, match="this one is none"):
            index.check_encoder(None)


@pytest.mark.parametrize(
    ("noises", "agrees"),
    [
        ((0.01, 0.01, 0.01, 0.01), True),
        ((0.01, 0.05, 0.01, 0.01), True),  # as bfloat16 gives one text in a hundred
        ((0.05, 0.05, 0.05, 0.01), False),
        ((0.01, 0.2, 0.01, 0.01), False),
        ((0.2, 0.2, 0.2, 0.2), False),
    ],
)
def test_an_encoder_that_computes_other_vectors_is_refused_under_its_own_name(
    tmp_path: Path, noises: tuple[float, ...], agrees: bool
):
    encoder = HashingEncoder(32)
    with new_index(tmp_path, encoder) as index:
        rng = np.random.default_rng(0)
        drifted = []
        for canary, noise in zip(index.version.canaries, noises, strict=True):
            vector = np.asarray(canary.vector) + noise * rng.standard_normal(32)
            drifted.append(Canary(canary.text, tuple(vector / np.linalg.norm(vector))))
        then = OpenIndex(replace(index.version, canaries=tuple(drifted)), index.store)
        if agrees:
            then.check_encoder(encoder)
        else:
            expected = r"cosines .* must be median 0\.9900, least 0\.9000 or more, and are median"
            with pytest.raises(WrongEncoderError, match=expected):
                then.check_encoder(encoder)


def test_an_index_without_vectors_takes_any_encoder_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with new_index(tmp_path, None) as index, caplog.at_level(logging.INFO):
        index.check_encoder(HashingEncoder(32))
        index.check_encoder(None)
        assert index.version.dimensions is None
    assert "docs-0001-words has no vectors: it is searched by words" in caplog.text


def test_an_open_index_is_refused_to_a_second_opener(tmp_path: Path):
    with new_index(tmp_path, None) as index:
        with pytest.raises(IndexLockedError, match="docs-0001-words is in use"):
            open_index(tmp_path, version=index.version.name)
        index.close()
        open_index(tmp_path, version=index.version.name).close()


def test_no_live_version_is_said_with_what_to_do(tmp_path: Path):
    with pytest.raises(NoIndexError, match=r"nothing is indexed yet in .*\nhint: run `argot"):
        open_index(tmp_path)
    with pytest.raises(NoIndexError, match="'docs-0007-words'; found none"):
        open_index(tmp_path, version="docs-0007-words")


def test_a_version_that_cannot_be_described_is_not_left_open(tmp_path: Path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        create_index(tmp_path, dense=None, chunker={"max_tokens": object()}, bm25=BM25)
    assert version_names(tmp_path) == []
    with new_index(tmp_path, None) as index:
        assert index.version.name == "docs-0002-words"
