"""Cross-encoders of tiny random weights, against transformers on one pair at a time."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from encoder.cross_encoder import CrossEncoder, longest_input
from encoder.errors import ModelFolderError

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

QUERY = "how long may the leave be?"
TEXTS = ["thirty days of leave", "press the power button for three seconds", "", "wing lift"]
Make = Callable[..., Path]


@pytest.fixture
def make(tiny_models: ModuleType, tmp_path: Path) -> Make:
    def write(architecture: str = "bert", **changes: Any) -> Path:
        folder: Path = tiny_models.write_tiny_cross_encoder(
            tmp_path / "classifier", architecture, **changes
        )
        return folder

    return write


def load(folder: Path, **options: Any) -> CrossEncoder:
    return CrossEncoder.load(folder, dtype="float32", device="cpu", **options)


def logits_alone(folder: Path, text: str) -> torch.Tensor:
    """What transformers says of one pair, without padding or batch."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    encoded = AutoTokenizer.from_pretrained(folder)([QUERY], [text], return_tensors="pt")
    with torch.no_grad():
        return model(**encoded).logits[0]


@pytest.mark.parametrize(
    "architecture", ["bert", "roberta", "llama"]
)  # with kinds of tokens, with shifted positions, over a decoder
def test_scores_are_the_logits_that_transformers_gives_each_pair_alone(
    make: Make, architecture: str
):
    folder = make(architecture, **({"type_vocab_size": 2} if architecture == "roberta" else {}))
    alone = [logits_alone(folder, text).item() for text in TEXTS]
    assert load(folder).scores(QUERY, TEXTS) == pytest.approx(alone, abs=1e-4)
    assert max(alone) - min(alone) > 0.01


def test_of_two_classes_the_second_speaks_for_the_text(make: Make):
    folder = make(num_labels=2)
    logits = [logits_alone(folder, text) for text in TEXTS]
    expected = [float(yes - no) for no, yes in logits]
    assert load(folder).scores(QUERY, TEXTS) == pytest.approx(expected, abs=1e-4)


def test_what_is_too_long_loses_the_end_of_its_longer_part(make: Make):
    reranker = load(make(), max_tokens=40)
    long = "wing lift and drag " * 20
    cut, more = reranker.scores(QUERY, [long, long + "press the power button"])
    assert cut == more
    (other,) = reranker.scores("another question?", [long])
    assert other != cut


def test_the_positions_of_the_model_bound_the_input(make: Make):
    folder = make("roberta", max_position_embeddings=60, pad_token_id=2)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert longest_input(model) == 57
    assert len(load(folder).scores(QUERY, ["wing lift and drag " * 50])) == 1


def test_a_decoder_is_named_as_what_it_is(tiny_decoder_folder: Path):
    with pytest.raises(ModelFolderError, match=r"sequence classifier; .* is a LlamaForCausalLM\n"):
        load(tiny_decoder_folder)


def test_more_classes_than_no_and_yes_are_refused(make: Make):
    with pytest.raises(ModelFolderError, match=r"one logit, or two .* has 3 classes"):
        load(make(num_labels=3))


def test_a_head_that_would_be_made_up_is_refused(make: Make):
    folder = make()
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "classifier" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFolderError, match=r"2 are missing, the first is classifier\.bias"):
        load(folder)


def test_pickles_and_folders_without_a_model_are_refused(make: Make, tmp_path: Path):
    with pytest.raises(ModelFolderError, match=r"a model must be a folder; .*nowhere is not one"):
        load(tmp_path / "nowhere")
    folder = make()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelFolderError, match="only pickled weights, which can run code"):
        load(folder)


def test_code_of_the_folder_is_not_run(make: Make):
    folder = make()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "own.py").write_text("raise SystemExit('ran')\n", encoding="utf-8")
    with pytest.raises(ModelFolderError, match=r"config\.json can't be used"):
        load(folder)


def test_too_small_a_limit_is_refused(make: Make):
    with pytest.raises(ValueError, match="`max_tokens` must be at least 16; got 4"):
        load(make(), max_tokens=4)


def test_a_query_of_any_length_is_cut_before_it_is_paired(
    make: Make, monkeypatch: pytest.MonkeyPatch
):
    reranker = load(make(), max_tokens=40)
    longest: list[int] = []
    tokenize = type(reranker._tokenizer).__call__

    def watched(self: Any, texts: list[str], *more: Any, **options: Any) -> Any:
        if more:  # pairs
            longest.extend(len(text) for text in [*texts, *more[0]])
        return tokenize(self, texts, *more, **options)

    monkeypatch.setattr(type(reranker._tokenizer), "__call__", watched)
    long = "wing lift and drag " * 1000
    scores = reranker.scores(long, [long, "thirty days of leave"])
    assert 0 < max(longest) < 40 * len("lift ")
    assert scores == reranker.scores(long[:2000], [long[:2000], "thirty days of leave"])
