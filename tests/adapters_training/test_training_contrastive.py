"""The contrastive stage: batches, the gradient cache, runs."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from adapters_training.errors import TrainingPairsError
from adapters_training.pairs import Pair
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.stages.contrastive import ContrastiveStage
from adapters_training.stages.lora import attach_lora, trainable
from encoder.loading import load_decoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from adapters_training.adapt import Adaptation

pytestmark = pytest.mark.torch

Adapt = Callable[..., "Adaptation"]


def make_pairs(sentences: list[str], *, set_name: str = "all") -> list[Pair]:
    """Pair each sentence's start with its whole; the next sentence is its hard negative."""
    following = [*sentences[1:], sentences[0]]
    return [
        Pair(query=" ".join(text.split()[:4]), positive=text, negatives=(other,), set=set_name)
        for text, other in zip(sentences, following, strict=True)
    ]


@pytest.fixture
def make_stage(
    sentences: list[str], tokenizer: "PreTrainedTokenizerFast"
) -> Callable[..., ContrastiveStage]:
    def make(pairs: list[Pair] | None = None, **changes: Any) -> ContrastiveStage:
        settings = ContrastiveSettings(**{"batch_size": 8, **changes})
        return ContrastiveStage(
            pairs or make_pairs(sentences),
            tokenizer,
            settings=settings,
            max_tokens=settings.max_tokens,
            seed=3,
        )

    return make


def test_a_batch_is_of_one_set_and_reads_each_text_once(
    make_stage: Callable[..., ContrastiveStage], sentences: list[str]
):
    first, second = sentences[:60], sentences[60:]

    def make_again() -> ContrastiveStage:
        return make_stage(make_pairs(first, set_name="one") + make_pairs(second, set_name="two"))

    stage = make_again()
    seen = set()
    for step in range(12):
        batch = stage.batch(step)
        texts = [text for _, text, _ in batch.texts]
        assert len(set(batch.texts)) == len(batch.texts)
        assert len(batch.queries) == 8
        homes = {"first" if texts[i] in first else "second" for i in batch.passages}
        assert len(homes) == 1
        seen |= homes
        for query, positive in zip(batch.queries, batch.positives, strict=True):
            assert texts[batch.passages[positive]].startswith(texts[query])
    assert seen == {"first", "second"}
    assert stage.batch(5).texts == make_again().batch(5).texts


def test_every_known_answer_of_a_query_is_no_negative(
    make_stage: Callable[..., ContrastiveStage],
):
    pairs = [Pair(query="q one", positive=f"answer {i}", set="s") for i in range(3)]
    pairs += [Pair(query="q two", positive="answer 0", set="s")]
    batch = make_stage(pairs, batch_size=4).batch(0)
    texts = [batch.texts[i][1] for i in batch.passages]
    for row, query in enumerate(batch.queries):
        negatives = {
            text
            for place, text in enumerate(texts)
            if place != batch.positives[row] and not batch.excluded[row, place]
        }
        one = batch.texts[query][1] == "q one"
        assert negatives == (set() if one else {"answer 1", "answer 2"})


def test_passages_of_a_symmetric_set_are_read_with_the_query_instruction(
    make_stage: Callable[..., ContrastiveStage], sentences: list[str]
):
    options = {"query_instruction": "find: ", "document_instruction": "text: "}
    plain = make_stage(**options).batch(0)
    alike = make_stage(symmetric=("all",), **options).batch(0)
    assert {plain.texts[i][0] for i in plain.passages} == {"text: "}
    assert {alike.texts[i][0] for i in alike.passages} == {"find: "}
    own = [Pair(query=s, positive=s + "!", instruction="own: ") for s in sentences[:9]]
    batch = make_stage(own, **options).batch(0)
    assert {batch.texts[i][0] for i in batch.queries} == {"own: "}


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_gradient_cache_gives_the_plain_gradient(
    make_stage: Callable[..., ContrastiveStage],
    teachable_folder: Path,
    dropout: float,
    monkeypatch: pytest.MonkeyPatch,
    one_thread: None,  # noqa: ARG001
) -> None:
    from adapters_training.settings.run import LoraSettings

    monkeypatch.setattr("adapters_training.text.chunks.PROCESSOR_CHUNK_TOKENS", 32)
    torch.manual_seed(0)
    decoder = load_decoder(teachable_folder, dtype=torch.float32, device="cpu")
    model = attach_lora(decoder.model, LoraSettings(rank=4, dropout=dropout)).train()
    for parameter in trainable(model).values():
        torch.nn.init.normal_(parameter, std=0.1)

    def gradients(memory_tokens: int) -> tuple[float, dict[str, torch.Tensor]]:
        model.zero_grad()
        stage = make_stage(matryoshka=(8,), memory_tokens=memory_tokens, temperature=0.2)
        loss = stage.backward(model, 0, precision=contextlib.nullcontext).loss
        return loss, {n: p.grad.clone() for n, p in trainable(model).items() if p.grad is not None}

    plain_loss, plain = gradients(10**6)
    cached_loss, cached = gradients(64)
    assert cached_loss == pytest.approx(plain_loss, rel=1e-6)
    assert plain.keys() == cached.keys()
    assert max(float(g.abs().max()) for g in plain.values()) > 1e-3
    for name, gradient in plain.items():
        torch.testing.assert_close(cached[name], gradient, rtol=1e-4, atol=1e-6)


def test_a_run_learns_pairs_and_keeps_them_in_its_folder(
    adapt_tiny: Adapt, tmp_path: Path, sentences: list[str]
):
    stage = {
        "kind": "contrastive",
        "steps": 30,
        "batch_size": 8,
        "max_tokens": 32,
        "pairs": ["labelled"],
        "mine": [],
        "optimizer": {"learning_rate": 1e-2},
    }
    made = adapt_tiny(tmp_path, stage, pairs=make_pairs(sentences))
    report = made.lineage["stages"][0]
    assert report["last_loss"] < 0.7 * report["first_loss"]
    assert report["pairs"]["labelled"]["kept"] == len(sentences)
    assert (tmp_path / "1-contrastive" / "pairs.jsonl").is_file()


def test_without_pairs_the_stage_says_what_to_give(adapt_tiny: Adapt, tmp_path: Path):
    with pytest.raises(TrainingPairsError, match="at least 2 pairs"):
        adapt_tiny(tmp_path, {"kind": "contrastive", "pairs": ["labelled"]})


def test_where_no_query_can_be_written_the_other_pairs_are_learned(
    adapt_tiny: Adapt, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    stage = {
        "kind": "contrastive",
        "steps": 1,
        "batch_size": 4,
        "pairs": ["labelled", "synthetic"],
        "mine": [],
    }
    pairs = [Pair(query=f"part {i}", positive=f"M{i} x {i}") for i in range(4)]
    made = adapt_tiny(tmp_path, stage, pairs=pairs, texts=["4711", "0815 31-2"])
    report = made.lineage["stages"][0]["pairs"]
    assert report["labelled"]["kept"] == 4
    assert report["synthetic"]["written"] == 0
    assert "no query is written" in caplog.text
    assert "has 4 pairs, fewer than 4 batches of 4" in caplog.text
