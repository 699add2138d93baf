"""Late interaction by hand, and over the token vectors of a tiny encoder."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from encoder.base import FloatArray
from encoder.late_interaction import AT_ONCE, LateInteraction, max_similarity

AXES: FloatArray = np.eye(3, dtype=np.float32)
DIAGONAL: FloatArray = np.array([[0.6, 0.8, 0.0]], dtype=np.float32)


class Spelled:
    """One axis for each of the letters a, b and c."""

    def query_token_vectors(self, texts: Sequence[str]) -> list[FloatArray]:
        return [AXES[["abc".index(letter) for letter in text]] for text in texts]

    document_token_vectors = query_token_vectors


def test_each_token_of_the_query_counts_with_its_best_cosine():
    assert max_similarity(AXES[:2], DIAGONAL) == pytest.approx((0.6 + 0.8) / 2)
    assert max_similarity(AXES[:2], np.vstack([DIAGONAL, AXES[1:]])) == pytest.approx(0.8)
    assert max_similarity(-AXES[:1], AXES[:1]) == -1


def test_without_tokens_a_text_is_last_and_a_query_says_nothing():
    assert max_similarity(AXES, AXES[:0]) == -1
    assert max_similarity(AXES[:0], AXES) == 0


def test_scores_are_shares_of_the_query_whatever_the_length_of_the_text():
    reranker = LateInteraction(Spelled())
    assert reranker.scores("ab", ["ab", "abcccc", "a", "c", ""]) == [1, 1, 0.5, 0, -1]


def test_texts_of_several_groups_keep_their_order():
    texts = ["a", "b"] * AT_ONCE
    assert LateInteraction(Spelled()).scores("a", texts) == [1.0, 0.0] * AT_ONCE


@pytest.mark.torch
def test_special_tokens_and_instructions_are_no_tokens_of_a_text(
    load: Callable[..., "object"], eos_decoder_folder: Path
):
    encoder = load(eos_decoder_folder)
    text = "wing lift and drag"
    (rows,) = encoder.encode_tokens([text])
    (vectors,) = encoder.document_token_vectors([text])
    inner = rows[1:-1] / np.linalg.norm(rows[1:-1], axis=1, keepdims=True)  # without <bos>, <eos>
    assert np.allclose(vectors, inner, atol=1e-5)
    told = load(eos_decoder_folder, query_instruction="Find what answers it.\n")
    assert [len(v) for v in told.query_token_vectors([text, "", "<eos>"])] == [len(vectors), 0, 0]


@pytest.mark.torch
def test_a_text_that_is_the_query_scores_one_and_padding_changes_nothing(
    load: Callable[..., "object"],
):
    reranker = LateInteraction(load())
    texts = ["wing lift and drag", "press the power button for three seconds to reset", "wing"]
    scores = reranker.scores(texts[0], texts)
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert max(scores[1:]) < 0.99
    alone = [score for text in texts for score in reranker.scores(texts[0], [text])]
    assert scores == pytest.approx(alone, abs=1e-5)
