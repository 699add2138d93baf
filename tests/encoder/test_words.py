"""States of words: the right tokens, in every kind of tokenizer."""

from pathlib import Path

import numpy as np
import pytest

from encoder.words import DecoderWordEncoder, WordEncoder, average_words

pytestmark = pytest.mark.torch

WORDS = ["the", "retriever", "finds", "汉字", "👩‍👩‍👧"]
STATES = np.arange(10, dtype=np.float32).reshape(5, 2)


def load(folder: Path, **options: object) -> DecoderWordEncoder:
    return DecoderWordEncoder.load(folder, dtype="float32", device="cpu", **options)  # type: ignore[arg-type]


def test_a_word_is_the_mean_of_its_tokens_or_of_those_one_before():
    # <bos> re triever finds <eos>
    spans = [(0, 0), (0, 2), (2, 9), (10, 15), (0, 0)]
    words = ["retriever", "finds"]
    own = average_words(STATES, spans, words, shift=False)
    assert np.array_equal(own, [STATES[[1, 2]].mean(axis=0), STATES[3]])
    before = average_words(STATES, spans, words, shift=True)
    assert np.array_equal(before, [STATES[[0, 1]].mean(axis=0), STATES[2]])


def test_without_a_token_before_it_the_first_one_stands_for_itself():
    own = average_words(STATES[:2], [(0, 3), (3, 7)], ["one", "two"], shift=True)
    assert np.array_equal(own, [STATES[0], STATES[0]])


def test_a_word_without_a_token_gets_the_token_before_it():
    # the second word was dropped by the tokenizer, the fourth cut
    spans = [(0, 0), (0, 3), (6, 9), (0, 0)]
    averaged = average_words(STATES[:4], spans, ["one", "\u200b", "six", "cut"], shift=False)
    assert np.array_equal(averaged, STATES[[1, 1, 2, 2]])


@pytest.fixture(params=["tiny_decoder_folder", "bos_decoder_folder", "eos_decoder_folder"])
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.mark.parametrize("instruction", ["", "Tag every word.\n"])
def test_words_are_the_tokens_that_spell_them(folder: Path, instruction: str):
    encoder = load(folder, document_instruction=instruction)
    text = " ".join(WORDS)
    (states,) = encoder.encode_tokens([text])
    spans = encoder.token_spans(text)
    first = len(states) - len(spans) - ("eos" in folder.name)  # special tokens before the text
    (words,) = encoder.encode_words([WORDS])
    assert isinstance(encoder, WordEncoder)
    assert words.shape == (len(WORDS), encoder.dimensions)
    start = 0
    for state, word in zip(words, WORDS, strict=True):
        end = start + len(word)
        own = [i + first for i, (a, b) in enumerate(spans) if a < end and b > start]
        assert np.allclose(state, states[own].mean(axis=0), atol=1e-5)
        start = end + 1


def test_sentences_are_encoded_together_as_alone_and_empty_ones_have_no_words(folder: Path):
    encoder = load(folder)
    sentences = [WORDS, [], ["wing"], ["drag", "lift"]]
    together = encoder.encode_words(sentences)
    assert [len(words) for words in together] == [5, 0, 1, 2]
    for words, sentence in zip(together, sentences, strict=True):
        assert np.allclose(words, encoder.encode_words([sentence])[0], atol=1e-5)


def test_shifted_words_are_those_one_token_to_the_left(bos_decoder_folder: Path):
    encoder = load(bos_decoder_folder)
    (states,) = encoder.encode_tokens(["x y"])
    own, shifted = (encoder.encode_words([["x", "y"]], shift=shift)[0] for shift in (False, True))
    assert np.allclose(own[0], states[1], atol=1e-6)
    assert np.allclose(shifted[0], states[0], atol=1e-6)  # the token before the first word: <bos>


def test_words_beyond_the_limit_get_the_last_state_of_the_text(eos_decoder_folder: Path):
    encoder = load(eos_decoder_folder, max_tokens=8)
    (states,) = encoder.encode_tokens([" ".join(WORDS)])
    (words,) = encoder.encode_words([WORDS])
    assert len(states) == 8
    assert np.allclose(words[-1], states[-2], atol=1e-6)  # the last is <eos>, which is no word's


def test_causal_words_do_not_see_the_words_after_them(tiny_decoder_folder: Path):
    for causal in (True, False):
        encoder = load(tiny_decoder_folder, causal=causal)
        (one,) = encoder.encode_words([["wing", "lift"]])
        (other,) = encoder.encode_words([["wing", "drag"]])
        assert np.allclose(one[0], other[0], atol=1e-6) is causal
