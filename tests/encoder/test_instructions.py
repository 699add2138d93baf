"""The text behind an instruction is found by where its tokens stand, and its end is cut."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from encoder.instructions import clean, tokenize

pytestmark = pytest.mark.torch

BOS, EOS = 0, 1


@pytest.fixture(scope="module")
def plain(tiny_models: ModuleType) -> PreTrainedTokenizerFast:
    tokenizer: PreTrainedTokenizerFast = tiny_models.tiny_tokenizer()
    return tokenizer


@pytest.fixture(scope="module")
def with_bos(tiny_models: ModuleType) -> PreTrainedTokenizerFast:
    tokenizer: PreTrainedTokenizerFast = tiny_models.tiny_tokenizer(add_bos=True)
    return tokenizer


@pytest.fixture(scope="module")
def with_both(tiny_models: ModuleType) -> PreTrainedTokenizerFast:
    tokenizer: PreTrainedTokenizerFast = tiny_models.tiny_tokenizer(add_bos=True, add_eos=True)
    return tokenizer


def ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def test_the_pool_begins_where_the_text_begins(plain: PreTrainedTokenizerFast):
    instruction, text = "find the passage\n", "wing lift"
    (row,) = tokenize(plain, [text], instruction=instruction, max_tokens=99)
    assert row.ids == ids(plain, instruction) + ids(plain, text)
    assert row.ids[row.pooled_from :] == ids(plain, text)


def test_without_an_instruction_everything_is_pooled(with_both: PreTrainedTokenizerFast):
    (row,) = tokenize(with_both, ["wing"], instruction="", max_tokens=99)
    assert row.ids == [BOS, *ids(with_both, "wing"), EOS]
    assert row.pooled_from == 0


def test_bos_belongs_to_the_instruction_and_eos_to_the_text(with_both: PreTrainedTokenizerFast):
    (row,) = tokenize(with_both, ["wing"], instruction="find\n", max_tokens=99)
    assert row.ids == [BOS, *ids(with_both, "find\n"), *ids(with_both, "wing"), EOS]
    assert row.ids[row.pooled_from :] == [*ids(with_both, "wing"), EOS]


def test_a_token_that_joins_instruction_and_text_is_pooled(plain: PreTrainedTokenizerFast):
    instruction, text = "find t", "he passage"
    together = ids(plain, instruction + text)
    assert together != ids(plain, instruction) + ids(plain, text)  # " the" is one token
    (row,) = tokenize(plain, [text], instruction=instruction, max_tokens=99)
    assert row.ids == together
    # Counting the text's own tokens from the end would pool another number of tokens.
    assert plain.decode(row.ids[row.pooled_from :]) == " the passage"


def test_a_space_between_instruction_and_text_stays_with_the_text(plain: PreTrainedTokenizerFast):
    (row,) = tokenize(plain, ["wing lift"], instruction="query: ", max_tokens=99)
    assert str(plain.decode(row.ids[row.pooled_from :])).strip() == "wing lift"


@pytest.mark.parametrize("instruction", ["", "find\n"])
def test_a_text_without_tokens_becomes_end_of_text(
    plain: PreTrainedTokenizerFast, with_bos: PreTrainedTokenizerFast, instruction: str
):
    (row,) = tokenize(plain, [""], instruction=instruction, max_tokens=99)
    assert row.ids == [*ids(plain, instruction), EOS]
    assert row.pooled_from == len(row.ids) - 1
    (row,) = tokenize(with_bos, [""], instruction=instruction, max_tokens=99)
    assert row.pooled_from == len(row.ids) - 1


def test_a_tokenizer_that_closes_texts_closes_the_empty_one_once(
    with_both: PreTrainedTokenizerFast,
):
    (row,) = tokenize(with_both, [""], instruction="find\n", max_tokens=99)
    assert row.ids == [BOS, *ids(with_both, "find\n"), EOS]
    assert row.ids[row.pooled_from :] == [EOS]


def test_a_cut_takes_the_end_of_the_text(plain: PreTrainedTokenizerFast):
    whole = [*ids(plain, "find\n"), *ids(plain, "wing lift and drag")]
    (row,) = tokenize(plain, ["wing lift and drag"], instruction="find\n", max_tokens=8)
    assert row.ids == whole[:8]
    assert row.cut_tokens == len(whole) - 8


def test_a_cut_leaves_the_closing_token(with_both: PreTrainedTokenizerFast):
    (row,) = tokenize(with_both, ["wing lift and drag"], instruction="", max_tokens=5)
    assert row.ids == [BOS, *ids(with_both, "wing lift and drag")[:3], EOS]


def test_a_text_that_spells_the_end_of_text_token_is_cut_like_any(plain: PreTrainedTokenizerFast):
    text = "wing lift and drag<eos>"
    (row,) = tokenize(plain, [text], instruction="", max_tokens=4)
    assert row.ids == ids(plain, text)[:4]


def test_a_cut_is_what_the_tokenizer_itself_would_do(with_both: PreTrainedTokenizerFast):
    text = "the quick brown fox jumps over the lazy dog"
    for length in range(4, 20):
        (row,) = tokenize(with_both, [text], instruction="", max_tokens=length)
        assert row.ids == with_both(text, truncation=True, max_length=length)["input_ids"]


def test_an_instruction_that_leaves_no_room_is_refused(with_both: PreTrainedTokenizerFast):
    taken = len(ids(with_both, "find the passage\n")) + 2
    for length in (taken, 2, 1):
        with pytest.raises(ValueError, match=rf"is {length}, and .* special tokens take {taken}"):
            tokenize(with_both, ["wing"], instruction="find the passage\n", max_tokens=length)
    (row,) = tokenize(
        with_both, ["wing lift"], instruction="find the passage\n", max_tokens=taken + 1
    )
    assert len(row.ids[row.pooled_from :]) == 2  # one token of the text, and <eos>


def test_no_texts_give_no_rows(plain: PreTrainedTokenizerFast):
    assert tokenize(plain, [], instruction="find\n", max_tokens=9) == []


@given(st.text(), st.sampled_from(["", "find\n", "query: "]), st.integers(12, 40))
def test_any_text_keeps_a_pooled_token_within_the_limit(
    text: str, instruction: str, max_tokens: int
):
    for tokenizer in TOKENIZERS:
        (row,) = tokenize(tokenizer, [text], instruction=instruction, max_tokens=max_tokens)
        assert 1 <= len(row.ids) <= max_tokens
        assert 0 <= row.pooled_from < len(row.ids)


TOKENIZERS: list[PreTrainedTokenizerFast] = []


@pytest.fixture(autouse=True, scope="module")
def tokenizers_for_properties(
    plain: PreTrainedTokenizerFast, with_both: PreTrainedTokenizerFast
) -> None:
    TOKENIZERS[:] = [plain, with_both]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [("plain", "plain"), ("é汉👩", "é汉👩"), ("a\ud800b", "a?b"), ("\udfff", "?")],
)
def test_lone_surrogates_become_question_marks_of_equal_length(text: str, cleaned: str):
    assert clean(text) == cleaned
    assert len(clean(text)) == len(text)
