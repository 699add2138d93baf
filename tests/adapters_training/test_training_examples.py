"""What the stages learn from: blocks, pieces and masks."""

from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from adapters_training.errors import TrainingError, TrainingTextError
from adapters_training.stages.masking import mask_tokens
from adapters_training.stages.mntp import mask_token_id
from adapters_training.text.examples import collect_corpus, cut_spans, mntp_blocks, simcse_texts
from adapters_training.torch_randomness import torch_generator

pytestmark = pytest.mark.torch

ORDINARY = torch.arange(3, 320)


def test_empty_and_repeated_texts_are_left_out_and_counted():
    corpus = collect_corpus(["one", "  ", "two\n", "", "one"])
    assert corpus.texts == ["one", "two"]
    assert (corpus.empty, corpus.duplicates) == (2, 1)


def test_a_corpus_digest_changes_with_any_text_and_where_it_ends():
    digests = {collect_corpus(texts).digest for texts in (["ab", "c"], ["a", "bc"], ["c", "ab"])}
    assert len(digests) == 3


def test_no_text_is_a_clear_error():
    with pytest.raises(TrainingTextError, match=r"training needs text; got 2 empty texts"):
        collect_corpus(["", " \n "])


def test_a_lone_surrogate_does_not_stop_the_training():
    assert collect_corpus(["a \ud800 b"]).texts == ["a ? b"]


def test_blocks_joined_are_the_texts_with_an_end_token_after_each(
    tokenizer: PreTrainedTokenizerFast, sentences: list[str]
):
    blocks = mntp_blocks(sentences, tokenizer, max_tokens=32)
    assert {len(block) for block in blocks[:-1]} == {32}
    joined = tokenizer.decode(np.concatenate(blocks).tolist())
    assert joined.split("<eos>")[: len(sentences) - 1] == sentences[:-1]


def test_blocks_begin_with_the_special_token_that_texts_are_encoded_with(
    tiny_models: ModuleType, sentences: list[str]
):
    with_bos = tiny_models.tiny_tokenizer(add_bos=True)
    blocks = mntp_blocks(sentences, with_bos, max_tokens=32)
    assert {int(block[0]) for block in blocks} == {with_bos.bos_token_id}
    assert {len(block) for block in blocks[:-1]} == {32}
    assert not any((block[1:] == with_bos.bos_token_id).any() for block in blocks)


def test_too_little_text_is_a_clear_error(tokenizer: PreTrainedTokenizerFast):
    with pytest.raises(TrainingTextError, match="MNTP needs at least 4 tokens"):
        mntp_blocks(["a"], tokenizer, max_tokens=32)
    with pytest.raises(TrainingTextError, match="SimCSE needs at least 2 different texts"):
        simcse_texts(["only one text here"], tokenizer, max_tokens=32)


def test_long_paragraphs_are_cut_at_sentence_ends(
    tokenizer: PreTrainedTokenizerFast,
):
    long = "The first sentence is here. The second one follows. A third is the last of them."
    pieces = simcse_texts([f"A short paragraph.\n\n{long}"], tokenizer, max_tokens=40)
    assert pieces[0] == "A short paragraph."
    assert all(piece.endswith(".") for piece in pieces)
    assert " ".join(pieces[1:]) == long


def test_writing_without_spaces_is_cut_and_not_lost(tokenizer: PreTrainedTokenizerFast):
    text = "".join(chr(0x4E00 + i) for i in range(60))
    pieces = simcse_texts([text], tokenizer, max_tokens=30)
    assert "".join(pieces) == text


def test_a_repeated_paragraph_is_one_piece(tokenizer: PreTrainedTokenizerFast):
    texts = ["the same words again", "other words than these", "the same words again"]
    assert simcse_texts(texts, tokenizer, max_tokens=32) == texts[:2]


@given(text=st.text(alphabet="ab. \n。", max_size=200), max_tokens=st.integers(1, 30))
def test_cuts_cover_every_token_once_and_keep_to_the_limit(text: str, max_tokens: int):
    spans = [(i, i + 1) for i in range(len(text))]
    cuts = list(cut_spans(text, spans, max_tokens=max_tokens))
    assert [i for first, last in cuts for i in range(first, last)] == list(range(len(spans)))
    assert all(0 < last - first <= max_tokens for first, last in cuts)


@given(
    rows=st.integers(1, 5),
    width=st.integers(2, 40),
    probability=st.floats(0.01, 0.99),
    masking=st.sampled_from(["bert", "all_mask"]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60)
def test_masks_hide_ordinary_tokens_only_and_at_least_one_in_each_row(
    rows: int, width: int, probability: float, masking: str, seed: int
):
    ids = torch.randint(3, 320, (rows, width), generator=torch_generator(seed))
    maskable = torch.rand(rows, width, generator=torch_generator(seed, "m")) < 0.7
    masked = mask_tokens(
        ids,
        maskable,
        probability=probability,
        masking=masking,
        mask_id=7,
        replacement_ids=ORDINARY,
        generator=torch_generator(seed, "draw"),
    )
    assert not masked.selected[:, 0].any()
    assert not (masked.selected & ~maskable).any()
    assert (masked.selected.any(dim=1) == maskable[:, 1:].any(dim=1)).all()
    assert torch.equal(masked.input_ids[~masked.selected], ids[~masked.selected])
    assert torch.equal(masked.labels, ids[masked.selected])
    assert set(masked.input_ids[masked.selected].tolist()) <= set(range(3, 320))


def test_bert_masking_hides_eighty_replaces_ten_and_leaves_ten_per_cent():
    ids = torch.full((100, 1001), 5)
    masked = mask_tokens(
        ids,
        torch.ones_like(ids, dtype=torch.bool),
        probability=0.2,
        masking="bert",
        mask_id=7,
        replacement_ids=torch.arange(100, 300),
        generator=torch_generator("shares"),
    )
    seen = masked.input_ids[masked.selected]
    shares = [(seen == 7).float().mean(), (seen >= 100).float().mean(), (seen == 5).float().mean()]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    assert float(masked.selected.float().mean()) == pytest.approx(0.2, abs=0.005)


def test_all_mask_hides_every_chosen_token():
    ids = torch.full((4, 50), 5)
    masked = mask_tokens(
        ids,
        torch.ones_like(ids, dtype=torch.bool),
        probability=0.8,
        masking="all_mask",
        mask_id=7,
        replacement_ids=ORDINARY,
        generator=torch_generator("all"),
    )
    assert set(masked.input_ids[masked.selected].tolist()) == {7}


def test_one_seed_gives_one_mask_and_another_seed_another(tokenizer: PreTrainedTokenizerFast):
    ids = torch.randint(3, 320, (4, 40), generator=torch_generator("ids"))

    def draw(seed: int) -> torch.Tensor:
        return mask_tokens(
            ids,
            torch.ones_like(ids, dtype=torch.bool),
            probability=0.2,
            masking="bert",
            mask_id=mask_token_id(tokenizer, "_"),
            replacement_ids=ORDINARY,
            generator=torch_generator(seed),
        ).input_ids

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_a_mask_token_of_several_tokens_is_refused(tokenizer: PreTrainedTokenizerFast):
    with pytest.raises(TrainingError, match=r"`mask_token` must be one token"):
        mask_token_id(tokenizer, "[MASK]")
