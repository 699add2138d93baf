"""How work is dealt to processes; a quantised or spread base: what needs one process."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from adapters_training.adapt import settle
from adapters_training.errors import TrainingError
from adapters_training.processes import ALONE, Processes, turns_of
from adapters_training.settings.run import AdaptSettings
from adapters_training.stages.quantized import put_beside, quantization
from encoder.loading import load_decoder
from encoder.merging import merge_adapters

if TYPE_CHECKING:
    from types import ModuleType

    from adapters_training.adapt import Adaptation

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_item_counts_in_one_process_and_all_have_as_many(size: int):
    for count in range(1, 20):
        dealt = [turns_of(rank, size=size, count=count) for rank in range(size)]
        counted = [turn.number for turns in dealt for turn in turns if not turn.spare]
        assert sorted(counted) == list(range(count))
        assert {len(turns) for turns in dealt} == {-(-count // size)}
        assert all(0 <= turn.number < count for turns in dealt for turn in turns)


class SecondOfTwo(Processes):
    rank, size, device = 1, 2, "cuda:1"


def test_each_of_several_processes_has_the_device_it_was_given():
    assert settle(AdaptSettings(dtype="float32"), SecondOfTwo()).device == "cuda:1"
    assert settle(AdaptSettings(dtype="float32", device="cuda"), SecondOfTwo()).device == "cuda:1"
    with pytest.raises(TrainingError, match="this one cuda:1; `device` is cpu\nhint: leave"):
        settle(AdaptSettings(device="cpu"), SecondOfTwo())


def test_one_process_alone_can_not_spread_a_base():
    with pytest.raises(TrainingError, match="there is one\nhint: start the run with `accelerate"):
        settle(AdaptSettings(shard=True), ALONE)


def test_a_quantised_base_needs_a_gpu_and_its_package():
    with pytest.raises(TrainingError, match="needs an NVIDIA GPU; the device is cpu"):
        settle(AdaptSettings(quantize="4bit", device="cpu"), ALONE)
    if importlib.util.find_spec("bitsandbytes") is None:
        with pytest.raises(TrainingError, match=r"pip install 'argot-search\[quantized\]'"):
            quantization("8bit", device="cuda", dtype=torch.bfloat16)


def test_settings_that_can_not_be_are_refused():
    with pytest.raises(ValueError, match="`quantize` must be one of"):
        AdaptSettings(quantize="3bit")
    with pytest.raises(ValueError, match="`quantize` and `shard` can't be combined"):
        AdaptSettings(quantize="4bit", shard=True)


@pytest.mark.parametrize("with_head", [True, False])
def test_adapters_beside_a_base_do_what_merged_ones_do(
    tiny_models: "ModuleType", tiny_decoder_folder: Path, tmp_path: Path, with_head: bool
):
    folders = [
        tiny_models.write_tiny_adapter(
            tmp_path / str(seed), tiny_decoder_folder, seed=seed, with_head=seed == 1
        )
        for seed in (1, 2)
    ]
    ids = torch.arange(3, 15)[None]

    def states(apply: Callable[[Any, list[Path]], None]) -> torch.Tensor:
        model: Any = load_decoder(
            tiny_decoder_folder, with_head=with_head, dtype=torch.float32, device="cpu"
        ).model
        apply(model, folders)
        with torch.no_grad():
            found: torch.Tensor = model.base_model(input_ids=ids).last_hidden_state
        return found

    merged = states(merge_adapters)
    torch.testing.assert_close(states(put_beside), merged, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(states(lambda *_: None), merged, atol=1e-2)


@pytest.mark.gpu
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_stages_train_on_a_quantised_base(
    adapt_tiny: "Callable[..., Adaptation]",
    tmp_path: Path,
    mntp_stage: dict[str, Any],
    simcse_stage: dict[str, Any],
    bits: str,
):
    pytest.importorskip("bitsandbytes")
    made = adapt_tiny(
        tmp_path,
        {**mntp_stage, "steps": 30},
        {**simcse_stage, "steps": 30},
        settings={"quantize": bits, "device": "cuda", "dtype": "bfloat16"},
    )
    for report in made.lineage["stages"]:
        assert report["last_loss"] < report["first_loss"]
