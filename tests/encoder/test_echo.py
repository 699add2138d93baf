"""Echo embeddings: the second copy is pooled, and has seen the whole text."""

import logging
from pathlib import Path

import numpy as np
import pytest

from encoder.base import FloatArray
from encoder.echo import BEFORE, BETWEEN, EchoEncoder
from encoder.llm2vec import LLM2VecEncoder

pytestmark = pytest.mark.torch

TEXT = "a retriever finds the passage"


def load(folder: Path, **options: object) -> EchoEncoder:
    options = {"dtype": "float32", "device": "cpu", "causal": True, **options}
    return EchoEncoder.load(folder, **options)  # type: ignore[arg-type]


def by_hand(folder: Path, text: str, *, instruction: str = "") -> FloatArray:
    """The same text as an instruction of a plain causal encoder, then the text itself."""
    plain = LLM2VecEncoder.load(
        folder,
        dtype="float32",
        device="cpu",
        causal=True,
        document_instruction=f"{instruction}{BEFORE}{text}{BETWEEN}",
    )
    return plain.encode_documents([text])[0]


@pytest.mark.parametrize(
    "name", ["tiny_decoder_folder", "bos_decoder_folder", "eos_decoder_folder"]
)
def test_the_vector_is_that_of_the_text_read_after_itself(
    request: pytest.FixtureRequest, name: str
):
    folder: Path = request.getfixturevalue(name)
    encoder = load(folder, query_instruction="Question: ")
    assert np.allclose(encoder.encode_documents([TEXT])[0], by_hand(folder, TEXT), atol=1e-6)
    query = by_hand(folder, TEXT, instruction="Question: ")
    assert np.allclose(encoder.encode_queries([TEXT])[0], query, atol=1e-6)


def test_the_first_pooled_state_has_seen_the_last_word(tiny_decoder_folder: Path):
    encoder = load(tiny_decoder_folder)
    one, other = encoder.encode_tokens(["wing lift", "wing drag"])
    plain = LLM2VecEncoder.load(
        tiny_decoder_folder, dtype="float32", device="cpu", causal=True
    ).encode_tokens(["wing lift", "wing drag"])
    assert np.allclose(plain[0][0], plain[1][0], atol=1e-6)  # read once, it can't have
    assert not np.allclose(one[0], other[0], atol=1e-4)


def test_long_texts_are_cut_so_that_both_copies_fit_and_said_to_be(
    tiny_decoder_folder: Path, caplog: pytest.LogCaptureFixture
):
    encoder = load(tiny_decoder_folder)  # 128 positions
    with caplog.at_level(logging.WARNING):
        vectors = encoder.encode_documents(["wing lift " * 200, "wing", ""])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.cut.texts == 1
    assert "1 of 3 texts are longer" in caplog.text
    assert np.allclose(vectors[1], encoder.encode_documents(["wing"])[0], atol=1e-5)


def test_a_frame_that_leaves_no_room_is_refused(tiny_decoder_folder: Path):
    encoder = load(tiny_decoder_folder, document_instruction="z" * 115)
    with pytest.raises(ValueError, match="two copies of a text must fit into 128 tokens"):
        encoder.encode_documents(["wing"])


def test_a_bidirectional_decoder_is_refused_and_the_fingerprint_is_its_own(
    tiny_decoder_folder: Path,
):
    with pytest.raises(ValueError, match="causal=True"):
        load(tiny_decoder_folder, causal=False)
    plain = LLM2VecEncoder.load(tiny_decoder_folder, dtype="float32", device="cpu", causal=True)
    echo = load(tiny_decoder_folder)
    assert echo.fingerprint != plain.fingerprint
    assert echo.fingerprint != load(tiny_decoder_folder, pooling="last_token").fingerprint
