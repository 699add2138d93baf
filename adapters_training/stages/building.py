"""Build a stage: the model with its fresh adapter, and the examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import BitsAndBytesConfig, PreTrainedModel

from adapters_training.pairs import Pair
from adapters_training.processes import ALONE, Processes, ProcessGroup
from adapters_training.randomness import derive_seed
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.run import (
    AdaptSettings,
    MntpSettings,
    SimcseSettings,
    StageSettings,
)
from adapters_training.stages.contrastive import ContrastiveStage
from adapters_training.stages.lora import attach_lora
from adapters_training.stages.mntp import MntpStage
from adapters_training.stages.protocol import Stage
from adapters_training.stages.quantized import put_beside, quantization
from adapters_training.stages.sharding import shard_decoder
from adapters_training.stages.simcse import SimcseStage
from adapters_training.text.examples import mntp_blocks, simcse_texts
from adapters_training.torch_randomness import own_random_state
from encoder.hardware import choose_device, choose_dtype
from encoder.loading import Decoder, context_tokens, load_decoder
from encoder.merging import merge_adapters

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What a stage may learn from."""

    texts: Sequence[str] = ()
    """From `examples.collect_corpus`."""

    pairs: Sequence[Pair] = ()
    """Ready: made, filtered, with their negatives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStage:
    """A stage that is ready to be trained."""

    model: PeftModel
    stage: Stage
    examples: int
    """Blocks, texts or pairs that the stage draws from."""

    autocast: bool
    """Whether to compute in bf16; measured fastest with weights in bf16 too."""


def prepare_stage(
    base: Path,
    examples: Examples,
    settings: StageSettings,
    *,
    run: AdaptSettings,
    label: str,
    adapters: Sequence[Path],
    processes: Processes = ALONE,
) -> PreparedStage:
    """Load the base, merge the adapters of the stages before, and put a fresh one on it.

    Args:
        base: Checkpoint folder of a decoder.
        examples: What there is to learn from.
        settings: Of the stage.
        run: Of the whole run, dtype and device resolved.
        label: Of the stage; with the run's seed it decides all its random numbers.
        adapters: Of the stages before, in order.
        processes: Over which the base is spread, where the run asks for it.
    """
    seed = derive_seed(run.seed, label)
    decoder = load_adapted(base, settings, run=run, adapters=adapters, processes=processes)
    stage, count = build_stage(examples, settings, decoder=decoder, seed=seed)
    if run.gradient_checkpointing:
        checkpoint_activations(decoder.model)
    with own_random_state(decoder.model.device):
        torch.manual_seed(derive_seed(seed, "lora"))
        model = attach_lora(decoder.model, settings.lora)
    return PreparedStage(model=model, stage=stage, examples=count, autocast=run.dtype == "bfloat16")


def load_adapted(
    base: Path,
    settings: StageSettings,
    *,
    run: AdaptSettings,
    adapters: Sequence[Path],
    processes: Processes,
) -> Decoder:
    """Load the base and make it what the stages before have made of it."""
    device = run.device or choose_device()
    if not (run.shard and isinstance(processes, ProcessGroup)):
        decoder = load_stage_decoder(base, settings, run=run, device=device)
        # Before a fresh adapter comes: it starts at zero, so it must see what came before.
        add_adapters(decoder.model, adapters, run=run)
        return decoder
    mesh = processes.mesh()
    # In turn, because each process has the whole base in main memory for a moment.
    with processes.in_turn():
        decoder = load_stage_decoder(base, settings, run=run, device="cpu")
        merge_adapters(decoder.model, adapters)
        shard_decoder(decoder.model, mesh, device=device)
    return decoder


def add_adapters(model: PreTrainedModel, adapters: Sequence[Path], *, run: AdaptSettings) -> None:
    """Make a base what the stages before have made of it, quantised or not."""
    if run.quantize:
        put_beside(model, adapters)
    else:
        merge_adapters(model, adapters)


def quantization_of(run: AdaptSettings, *, device: str) -> BitsAndBytesConfig | None:
    """Say how a run's base is quantised on a device; None: it is not."""
    if not run.quantize:
        return None
    return quantization(run.quantize, device=device, dtype=DTYPES[run.dtype])


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Keep one state a block and compute the others again in the backward pass."""
    # transformers 5.23 has the first name, 5.2 the second.
    newer = getattr(model, "activation_checkpointing_enable", None)
    enable: Any = newer or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def load_stage_decoder(
    base: Path, settings: StageSettings, *, run: AdaptSettings, device: str
) -> Decoder:
    """Load the base with the head or the attention dropout that the stage needs."""
    on_cpu = torch.device(run.device or device).type == "cpu"
    return load_decoder(
        base,
        causal=run.causal,
        with_head=isinstance(settings, MntpSettings),
        attention_dropout=(
            settings.attention_dropout if isinstance(settings, SimcseSettings) else 0.0
        ),
        dtype=DTYPES[run.dtype],
        device=device,
        # The backward pass of SDPA's CPU kernel takes a fifth of a step; eager's hardly shows.
        attention=run.attention or ("eager" if on_cpu else None),
        quantization=quantization_of(run, device=device),
    )


def build_stage(
    examples: Examples, settings: StageSettings, *, decoder: Decoder, seed: int
) -> tuple[Stage, int]:
    """Make a stage from what there is to learn from.

    Returns:
        The stage and the number of its examples.

    Raises:
        TypeError: settings of a stage that there is not.
    """
    max_tokens = min(settings.max_tokens, context_tokens(decoder.model.config))
    tokenizer, model = decoder.tokenizer, decoder.model
    if isinstance(settings, MntpSettings):
        blocks = mntp_blocks(examples.texts, tokenizer, max_tokens=max_tokens)
        vocabulary = vocabulary_size(model)
        return MntpStage(
            blocks, tokenizer, settings=settings, seed=seed, vocabulary=vocabulary
        ), len(blocks)
    if isinstance(settings, SimcseSettings):
        pieces = simcse_texts(examples.texts, tokenizer, max_tokens=max_tokens)
        return SimcseStage(pieces, tokenizer, settings=settings, seed=seed), len(pieces)
    if isinstance(settings, ContrastiveSettings):
        pairs = examples.pairs
        return ContrastiveStage(
            pairs, tokenizer, settings=settings, max_tokens=max_tokens, seed=seed
        ), len(pairs)
    raise TypeError(f"there is no stage for {type(settings).__name__}")


def vocabulary_size(model: PreTrainedModel) -> int:
    """Count the token ids that a model knows."""
    return int(model.config.get_text_config().vocab_size)


def choose_training_dtype(settings: AdaptSettings) -> str:
    """Choose bf16 for the frozen weights where the hardware multiplies it natively, else float32.

    Half precision would need its losses scaled, so an older GPU trains in float32.
    """
    if settings.dtype != "auto":
        return settings.dtype
    best = choose_dtype(settings.device or choose_device())
    return "bfloat16" if best == torch.bfloat16 else "float32"
