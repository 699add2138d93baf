"""What every dense encoder must do, whatever it is made of."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from encoder.base import DenseEncoder
from encoder.fake import HashingEncoder

TEXTS = [
    "a retriever finds the passage",
    "press the power button",
    "",
    "wing lift and drag",
    "汉字没有空格",
    "👩‍👩‍👧",
    " ",
    "x",
]


def hashing(_folder: Callable[[], Path]) -> DenseEncoder:
    return HashingEncoder(64)


def llm2vec(folder: Callable[[], Path]) -> DenseEncoder:
    from encoder.llm2vec import LLM2VecEncoder

    return LLM2VecEncoder.load(
        folder(),
        dtype="float32",
        device="cpu",
        query_instruction="Find the passage that answers the question.\n",
    )


def echo(folder: Callable[[], Path]) -> DenseEncoder:
    from encoder.echo import EchoEncoder

    return EchoEncoder.load(folder(), dtype="float32", device="cpu", causal=True)


@pytest.fixture(
    params=[
        hashing,
        pytest.param(llm2vec, marks=pytest.mark.torch),
        pytest.param(echo, marks=pytest.mark.torch),
    ]
)
def make(request: pytest.FixtureRequest) -> Callable[[], DenseEncoder]:
    def folder() -> Path:
        path: Path = request.getfixturevalue("tiny_decoder_folder")
        return path

    return lambda: request.param(folder)


@pytest.fixture
def encoder(make: Callable[[], DenseEncoder]) -> DenseEncoder:
    return make()


@pytest.fixture(params=["encode_documents", "encode_queries"])
def encode(request: pytest.FixtureRequest, encoder: DenseEncoder) -> Callable[..., np.ndarray]:
    method: Callable[..., np.ndarray] = getattr(encoder, request.param)
    return method


def test_vectors_are_finite_float32_rows_of_unit_norm(
    encoder: DenseEncoder, encode: Callable[..., np.ndarray]
):
    vectors = encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dimensions)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_vectors_come_in_the_order_of_the_texts(encode: Callable[..., np.ndarray]):
    forward, backward = encode(TEXTS), encode(TEXTS[::-1])
    assert np.allclose(forward, backward[::-1], atol=1e-5)


def test_a_text_alone_has_the_vector_it_has_among_others(encode: Callable[..., np.ndarray]):
    together = encode(TEXTS)
    alone = np.concatenate([encode([text]) for text in TEXTS])
    assert np.abs(together - alone).max() <= 1e-5


def test_the_same_call_gives_the_same_vectors(encode: Callable[..., np.ndarray]):
    assert np.array_equal(encode(TEXTS), encode(TEXTS))


def test_the_same_text_has_the_same_vector_and_another_text_another(
    encode: Callable[..., np.ndarray],
):
    first, other, again = encode(["wing lift", "power button", "wing lift"])
    assert np.allclose(first, again, atol=1e-6)
    assert not np.allclose(first, other, atol=1e-3)


def test_no_texts_give_no_rows(encoder: DenseEncoder, encode: Callable[..., np.ndarray]):
    vectors = encode([])
    assert vectors.shape == (0, encoder.dimensions)
    assert vectors.dtype == np.float32
    assert encode([], dimensions=8).shape == (0, 8)


def test_fewer_dimensions_are_the_first_ones_at_unit_norm(encode: Callable[..., np.ndarray]):
    whole, part = encode(["wing lift and drag"]), encode(["wing lift and drag"], dimensions=16)
    expected = whole[:, :16] / np.linalg.norm(whole[:, :16], axis=1, keepdims=True)
    assert np.allclose(part, expected, atol=1e-6)


@pytest.mark.parametrize("dimensions", [0, -3, 1000])
def test_dimensions_out_of_range_are_refused(encode: Callable[..., np.ndarray], dimensions: int):
    with pytest.raises(ValueError, match=rf"`dimensions` must be in \[1, \d+\]; got {dimensions}"):
        encode(["a"], dimensions=dimensions)


def test_one_string_in_place_of_a_list_is_refused(encode: Callable[..., np.ndarray]):
    with pytest.raises(ValueError, match="must be a list of strings; got one string"):
        encode("hello")


def test_any_sequence_of_texts_will_do(encode: Callable[..., np.ndarray]):
    assert np.array_equal(encode(tuple(TEXTS)), encode(TEXTS))


def test_the_fingerprint_is_stable(make: Callable[[], DenseEncoder], encoder: DenseEncoder):
    before = encoder.fingerprint
    encoder.encode_documents(TEXTS)
    assert encoder.fingerprint == before == make().fingerprint
    assert int(before, 16) >= 0
    assert len(before) == 64
