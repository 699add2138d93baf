"""One copy of a decoder's weights in memory, two models over it: one writes, one encodes.

The causal language model stays as it was trained. The encoder is a second tree of modules over
the same tensors, with its own configuration, bidirectional, its adapters applied beside the
weights. Neither has a switch that the other could find in the wrong position, so both can run at
once in different threads.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from encoder.attention import (
    attention_backend,
    make_bidirectional,
    refuse_causal_only,
    set_causal,
    widen_flash_window,
)
from encoder.directory import Weights, read_any_spec, weights_folder
from encoder.errors import ModelFolderError
from encoder.llm2vec import LLM2VecEncoder, as_dtype, with_settings
from encoder.loading import Decoder, load_decoder, load_tokenizer, read_config
from encoder.merging import Factors, fit_changes, sum_adapters
from encoder.spec import SPEC_FILE, EncoderSpec


@dataclass(frozen=True, slots=True)
class EncoderWithGenerator:
    """An encoder and the language model it was made of, over the same weights."""

    encoder: LLM2VecEncoder
    """As `LLM2VecEncoder.load` gives it, to rounding."""

    generator: PreTrainedModel
    """The base model with its head, untouched: for ``generate`` or a transformers pipeline."""

    tokenizer: PreTrainedTokenizerFast
    """The generator's own; the encoder has another, as one must not serve two threads."""


def load_with_generator(
    folder: str | Path,
    *,
    causal: bool | None = None,
    pooling: str | None = None,
    query_instruction: str | None = None,
    document_instruction: str | None = None,
    max_tokens: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    attention: str | None = None,
    token_budget: int | None = None,
) -> EncoderWithGenerator:
    """Load an encoder together with the language model it was made of, in the memory of one.

    Adapters are applied beside the weights instead of being merged into a copy, which costs time:
    a quarter more for SmolLM2-135M with 32 ranks on one CPU core. Moving the generator to another
    device or type moves the encoder's weights, too, but not its adapters; choose both here.

    Args:
        folder: An encoder directory in adapter form, or a decoder checkpoint.
        causal: Of the encoder; this and all other arguments as in `LLM2VecEncoder.load`.
        pooling: ``mean``, ``weighted_mean`` or ``last_token``.
        query_instruction: Read before each query and not pooled.
        document_instruction: Read before each document and not pooled.
        max_tokens: Longer texts are cut.
        dtype: ``float32``, ``bfloat16`` or ``float16``, of both models.
        device: A torch device, of both models.
        attention: ``sdpa``, ``eager``, ``flash_attention_2``, of both models.
        token_budget: Padded tokens of one batch of the encoder, at most.

    Raises:
        ModelFolderError: the folder is no model that can be loaded safely, or its weights have
            adapters merged into them.
        NotBidirectionalError: its attention can't be switched.
        ValueError: a setting is out of range, or an instruction leaves no room for the text.
    """
    folder = Path(folder)
    changes = {
        "causal": causal,
        "pooling": pooling,
        "query_instruction": query_instruction,
        "document_instruction": document_instruction,
        "max_tokens": max_tokens,
    }
    spec = with_settings(read_any_spec(folder), changes)
    weights = weights_folder(folder, spec)
    check_language_model(weights, causal=spec.settings.causal)
    generator = load_decoder(
        weights.model,
        causal=True,
        with_head=True,
        dtype=as_dtype(dtype),
        device=device,
        attention=attention,
        tokenizer=weights.tokenizer,
    )
    encoder = encoder_over(generator.model, spec, weights=weights, token_budget=token_budget)
    return EncoderWithGenerator(encoder, generator.model, generator.tokenizer)


def encoder_over(
    model: PreTrainedModel, spec: EncoderSpec, *, weights: Weights, token_budget: int | None
) -> LLM2VecEncoder:
    """Make an encoder over the tensors of its base model, causal and with its head."""
    shared = share_weights(model, causal=spec.settings.causal)
    apply_beside(shared, sum_adapters(weights.adapters))
    decoder = Decoder(model=shared, tokenizer=load_tokenizer(weights.tokenizer))
    return LLM2VecEncoder(decoder, spec, token_budget=token_budget)


def check_language_model(weights: Weights, *, causal: bool) -> None:
    """Refuse, before they are read, weights that can't write, or can't encode unless ``causal``.

    Raises:
        ModelFolderError: the weights are an encoder's.
        NotBidirectionalError: the family is known not to switch.
    """
    if (weights.model / SPEC_FILE).is_file():
        raise ModelFolderError(
            "a generator needs the weights of a language model; those of "
            f"{weights.model} were merged with an encoder's adapters\n"
            "hint: load the encoder in adapter form, or adapt the language model itself"
        )
    if not causal:
        refuse_causal_only(read_config(weights.model))


def share_weights(model: PreTrainedModel, *, causal: bool) -> PreTrainedModel:
    """Copy a causal model without its head: modules and configuration, but not one tensor.

    Returns:
        The copy; bidirectional, and proven to be, unless ``causal``.

    Raises:
        NotBidirectionalError: the attention can't be switched.
    """
    decoder = cast("PreTrainedModel", model.base_model)
    tensors = [*decoder.parameters(), *decoder.buffers()]
    # deepcopy takes what it finds in `memo` for copied already.
    shared = copy.deepcopy(decoder, {id(tensor): tensor for tensor in tensors})
    if not causal:
        set_causal(shared.config, causal=False)
        widen_window(shared)
        make_bidirectional(shared)
    return shared


def widen_window(model: PreTrainedModel) -> None:
    """Widen the window of a bidirectional model that is built; loading does it before that."""
    text_config = model.config.get_text_config()
    before = getattr(text_config, "sliding_window", None)
    widen_flash_window(model.config, attention=attention_backend(model))
    for module in model.modules():
        if before is not None and getattr(module, "sliding_window", None) == before:
            setattr(module, "sliding_window", text_config.sliding_window)  # noqa: B010 - no field


class AdaptedLinear(nn.Module):
    """A linear layer and, beside it, the change of its weight as a product."""

    def __init__(self, layer: nn.Module, change: Factors) -> None:
        """Take a layer, which stays as it is, and its change; cast to the layer's type."""
        super().__init__()
        weight = layer.get_parameter("weight")
        self.layer = layer
        self.register_buffer("up", change.up.to(weight.device, weight.dtype), persistent=False)
        self.register_buffer("down", change.down.to(weight.device, weight.dtype), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """Map states ``[..., in]`` to ``[..., out]``."""
        output: Tensor = self.layer(states)
        change = linear(states, self.get_buffer("down"))
        return output + linear(change, self.get_buffer("up"))


@torch.no_grad()
def apply_beside(model: nn.Module, changes: dict[str, Factors]) -> None:
    """Put changes beside the layers they are for, in place.

    Raises:
        ModelFolderError: the model has no such layer, or its weight has another shape.
    """
    for name, change in fit_changes(model, changes).items():
        model.set_submodule(name, AdaptedLinear(model.get_submodule(name), change))
