"""Losses against the library's own, and what dropout views are."""

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.nn import functional

from adapters_training.fast.dropout import ByteDropout
from adapters_training.settings.run import LoraSettings, SimcseSettings
from adapters_training.stages.lora import attach_lora
from adapters_training.stages.losses import info_nce, masked_logits, matryoshka_info_nce, mntp_loss
from adapters_training.stages.simcse import SimcseStage
from adapters_training.text.chunks import chunk_texts, encode_chunk
from encoder.loading import load_decoder

pytestmark = pytest.mark.torch

ARCHITECTURES = {
    "llama": {},
    "qwen2": {},
    "gemma2": {"final_logit_softcapping": 5.0, "query_pre_attn_scalar": 8},
    "granite": {"logits_scaling": 4.0},
    "gpt_neox": {},
    "gpt2": {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 128},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("padded", [False, True])
def test_mntp_loss_is_the_librarys_loss_with_other_labels_ignored(
    tiny_models: ModuleType, tmp_path: Path, architecture: str, padded: bool
):
    folder = tiny_models.write_tiny_decoder(tmp_path, architecture, **ARCHITECTURES[architecture])
    model: Any = load_decoder(
        folder, with_head=True, dtype=torch.float32, device="cpu", attention="eager"
    ).model
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 320, (3, 12), generator=generator)
    selected = torch.rand(3, 12, generator=generator) < 0.3
    selected[:, 0] = False
    mask = torch.ones_like(ids, dtype=torch.bool)
    if padded:
        mask[0, 8:] = False
        selected &= mask
    labels = ids.masked_fill(~selected, -100)
    whole = model(input_ids=ids, attention_mask=mask if padded else None, labels=labels).loss
    ours = mntp_loss(model, ids, mask if padded else None, selected=selected, labels=ids[selected])
    assert ours.item() == pytest.approx(whole.item(), abs=1e-5)
    assert masked_logits(model, ids, None, selected=selected).shape == (int(selected.sum()), 320)
    assert model(input_ids=ids).logits.shape == (3, 12, 320), "the head works as before"


def test_info_nce_by_hand():
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    passages = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    expected = (
        -math.log(math.exp(2.0) / (math.exp(2.0) + math.exp(1.2)))
        - math.log(math.exp(1.6) / (math.exp(0.0) + math.exp(1.6)))
    ) / 2
    assert float(info_nce(queries, passages, temperature=0.5)) == pytest.approx(expected)


def test_info_nce_finds_each_positive_and_leaves_out_what_is_excluded():
    vectors = functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))
    queries, positives = vectors[::3], torch.tensor([0, 3])
    scores = queries @ vectors.T / 0.1
    expected = functional.cross_entropy(scores, positives)
    found = info_nce(queries, vectors, temperature=0.1, positives=positives)
    assert torch.allclose(found, expected)
    excluded = torch.zeros(2, 6, dtype=torch.bool)
    excluded[:, [1, 4]] = True
    expected = functional.cross_entropy(scores[:, [0, 2, 3, 5]], torch.tensor([0, 2]))
    found = info_nce(queries, vectors, temperature=0.1, positives=positives, excluded=excluded)
    assert torch.allclose(found, expected)


def test_a_passage_far_above_the_positive_is_no_negative():
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    passages = torch.tensor([[0.6, 0.8], [1.0, 0.0]])  # the first query likes the second's better
    strict = float(info_nce(queries, passages, temperature=1.0, margin=0.1))
    assert strict == 0.0, "each query has its positive alone left"
    lenient = float(info_nce(queries, passages, temperature=1.0, margin=0.9))
    assert lenient == float(info_nce(queries, passages, temperature=1.0))
    assert strict < lenient


def test_info_nce_refuses_passages_that_belong_to_no_query():
    with pytest.raises(ValueError, match="got 3 passages for 2 queries"):
        info_nce(torch.eye(2), torch.ones(3, 2), temperature=1.0)


def test_matryoshka_averages_the_loss_of_each_width():
    vectors = functional.normalize(torch.randn(8, 6, generator=torch.Generator().manual_seed(1)))
    queries, passages = vectors[:4], vectors[4:]
    narrow = info_nce(
        functional.normalize(queries[:, :2]), functional.normalize(passages[:, :2]), temperature=0.1
    )
    full = info_nce(queries, passages, temperature=0.1)
    found = matryoshka_info_nce(queries, passages, widths=(2, 6, 99), temperature=0.1)
    assert torch.allclose(found, (narrow + full) / 2)


@pytest.mark.parametrize(
    ("attention_dropout", "lora_dropout"), [(0.3, 0.05), (0.3, 0.0), (0.0, 0.05)]
)
def test_two_views_of_a_text_differ_in_training_and_are_equal_without_dropout(
    tiny_decoder_folder: Path,
    sentences: list[str],
    attention_dropout: float,
    lora_dropout: float,
):
    decoder = load_decoder(
        tiny_decoder_folder,
        attention_dropout=attention_dropout,
        dtype=torch.float32,
        device="cpu",
        attention="eager",
    )
    settings = SimcseSettings(
        attention_dropout=attention_dropout, batch_size=8, lora=LoraSettings(dropout=lora_dropout)
    )
    model = attach_lora(decoder.model, settings.lora)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # at its start of zero the adapter's dropout has no effect
            torch.nn.init.normal_(parameter.data, std=0.1)
    rows = SimcseStage(sentences, decoder.tokenizer, settings=settings, seed=0).rows(0)
    (chunk,) = chunk_texts([*rows, *rows], pad_id=0, device=torch.device("cpu"))
    order = torch.tensor(chunk.positions).argsort()
    first, second = encode_chunk(model.train(), chunk, pooling="mean")[order].chunk(2)
    assert ((first - second).abs().amax(dim=1) > 1e-4).all()
    first, second = encode_chunk(model.eval(), chunk, pooling="mean")[order].chunk(2)
    assert torch.allclose(first, second, atol=1e-6)


def test_padding_and_the_instruction_are_not_pooled(
    tiny_decoder_folder: Path,
):
    decoder = load_decoder(tiny_decoder_folder, dtype=torch.float32, device="cpu")
    settings = SimcseSettings(batch_size=2, instruction="find this: ")
    texts = ["a wing", "every employee takes thirty days of leave in every year"]
    rows = SimcseStage(texts, decoder.tokenizer, settings=settings, seed=0).rows(0)
    (part,) = chunk_texts(rows, pad_id=0, device=torch.device("cpu"))
    own = {len(decoder.tokenizer(text)["input_ids"]) for text in texts}
    assert {int(row.sum()) for row in part.pooled} <= {n for m in own for n in (m, m + 1)}
    assert not (part.pooled & ~part.attention_mask).any()
    assert not part.pooled[:, 0].any()


def test_byte_dropout_drops_its_share_and_keeps_the_mean():
    dropout = ByteDropout(0.05)
    torch.manual_seed(0)
    dropped = dropout(torch.ones(1_000_003))
    assert float((dropped == 0).float().mean()) == pytest.approx(13 / 256, abs=1e-3)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=1e-3)
    assert torch.equal(dropout.eval()(torch.ones(9)), torch.ones(9))


def test_byte_dropout_passes_gradients_where_it_kept():
    values = torch.ones(1000, requires_grad=True)
    dropped = ByteDropout(0.5)(values)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())
