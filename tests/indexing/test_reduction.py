"""Versions with smaller vectors: bound to them, checked at opening, and old ones still open."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from encoder.base import SparseVector
from encoder.fake import HashingEncoder
from indexing.errors import IndexingError, WrongEncoderError
from indexing.reduction.settings import ReductionSettings
from indexing.stores.base import Point
from indexing.versions.collection import OpenIndex, create_index, open_index
from indexing.versions.description import Canary, read_version

BM25 = {"language": "english", "k1": 0.9, "b": 0.4, "avg_len": 100.0}
ENCODER = HashingEncoder(32)
SAMPLE = [f"{a} {b} word {a}{b}" for a in ("red", "blue", "green") for b in range(40)]


def make(indexes: Path, reduction: ReductionSettings) -> OpenIndex:
    return create_index(
        indexes, dense=ENCODER, reduction=reduction, sample=SAMPLE, chunker={}, bm25=BM25
    )


@pytest.mark.parametrize(
    "reduction",
    [
        ReductionSettings(projection="pca", dimensions=12),
        ReductionSettings(projection="whitening", storage="turbo8", two_stage=16),
        ReductionSettings(dimensions=16, quantization="tq4", storage="f16", oversampling=5.0),
    ],
    ids=lambda reduction: f"{reduction.projection}-{reduction.storage}",
)
def test_documents_and_queries_meet_in_a_reduced_version(
    tmp_path: Path, reduction: ReductionSettings
):
    with make(tmp_path, reduction) as index:
        name, dense = index.version.name, index.encoder_for(ENCODER)
        vectors = dense.encode_documents(SAMPLE, dimensions=index.store.spec.dimensions)
        word = SparseVector((1,), (1.0,))
        index.store.upsert(
            [
                Point(id=f"00000000-0000-0000-0000-{row:012d}", dense=v, sparse=word, payload={})
                for row, v in enumerate(vectors)
            ]
        )
        index.store.optimize()
    with open_index(tmp_path, version=name) as index:
        index.check_encoder(ENCODER)
        assert index.version.reduction == reduction
        dense = index.encoder_for(ENCODER)
        assert index.encoder_for(dense) is dense, "it is not projected twice"
        for row in (3, 77):
            query = dense.encode_queries([SAMPLE[row]], dimensions=index.store.spec.dimensions)[0]
            found = index.store.search_dense(query, limit=len(SAMPLE))
            same = {hit.id[-12:] for hit in found if hit.score == pytest.approx(1, abs=0.01)}
            assert f"{row:012d}" in same


def test_canaries_are_compared_as_they_are_stored(tmp_path: Path):
    with make(tmp_path, ReductionSettings(projection="pca", dimensions=12)) as index:
        assert {len(canary.vector) for canary in index.version.canaries} == {12}
        index.check_encoder(ENCODER)
        turned = tuple(
            Canary(canary.text, canary.vector[::-1]) for canary in index.version.canaries
        )
        other = OpenIndex(replace(index.version, canaries=turned), index.store, index.projection)
        with pytest.raises(WrongEncoderError, match="cosines of test texts must be"):
            other.check_encoder(ENCODER)


def test_a_version_whose_projection_is_damaged_is_not_opened(tmp_path: Path):
    with make(tmp_path, ReductionSettings(projection="pca", dimensions=12)) as index:
        name = index.version.name
        with pytest.raises(ValueError, match="`projection` must be given"):
            OpenIndex(index.version, index.store)
    path = tmp_path / name / "reduction.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    for _ in range(2):
        with pytest.raises(IndexingError, match="must have the digest"):
            open_index(tmp_path, version=name)


def test_a_corpus_too_small_to_fit_leaves_no_version(tmp_path: Path):
    small = {"dense": ENCODER, "sample": SAMPLE[:5], "chunker": {}, "bm25": BM25}
    with pytest.raises(IndexingError, match="more than 12 chunks; got 5"):
        create_index(
            tmp_path, reduction=ReductionSettings(projection="pca", dimensions=12), **small
        )
    assert list(tmp_path.iterdir()) == []


def test_a_version_of_an_earlier_release_is_read(tmp_path: Path):
    for dimensions in (None, 8):
        with make(tmp_path, ReductionSettings(dimensions=dimensions)) as index:
            path = tmp_path / index.version.name / "version.json"
        record = json.loads(path.read_text())
        assert record["reduction"]["dimensions"] == dimensions
        del record["reduction"], record["projection_digest"]
        path.write_text(json.dumps(record))
        assert read_version(tmp_path, path.parent.name).reduction == ReductionSettings(
            dimensions=dimensions
        )
        open_index(tmp_path, version=path.parent.name).close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"projection": "ica"}, "`projection` must be one of none, svd, pca, whitening; got 'ica'"),
        ({"storage": "f8"}, "`storage` must be one of f32"),
        ({"quantization": "tq3"}, "`quantization` must be one of none"),
        ({"dimensions": 0}, "at least 1; got 0"),
        ({"oversampling": 0.5}, r"in \[1, 100\]; got 0.5"),
        ({"two_stage": 64, "dimensions": 64}, "fewer than the 64 dimensions"),
        ({"two_stage": 64, "quantization": "tq4"}, "set one"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        ReductionSettings(**settings)  # type: ignore[arg-type]


def test_settings_that_do_not_fit_the_encoder_are_refused():
    assert ReductionSettings().width(32) == 32
    with pytest.raises(ValueError, match="at most 32, the encoder's; got 64"):
        ReductionSettings(dimensions=64).width(32)
    with pytest.raises(ValueError, match="fewer than the 32 dimensions"):
        ReductionSettings(two_stage=32).width(32)
