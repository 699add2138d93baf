"""Read a decoder checkpoint from a folder, as an encoder or as it was."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_MAPPING,
)

from encoder.attention import (
    drops_in_training,
    make_bidirectional,
    refuse_causal_only,
    set_causal,
    widen_flash_window,
)
from encoder.directory import check_checkpoint
from encoder.errors import ModelFolderError
from encoder.hardware import choose_attention, choose_device, choose_dtype
from encoder.spec import VOCABULARY_FILES

logger = logging.getLogger(__name__)

UNREADABLE = (OSError, ValueError, KeyError, TypeError, StrictDataclassError)
"""What transformers raises over a file that is not what it should be."""


DROPOUT_NAMES = ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob")
NO_ATTENTION_DROPOUT = {"diffllama"}
"""Families whose code refuses to be built with it."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """A decoder in memory with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast


def load_decoder(
    folder: Path,
    *,
    causal: bool = False,
    with_head: bool = False,
    attention_dropout: float = 0.0,
    dtype: torch.dtype | None = None,
    device: str | None = None,
    attention: str | None = None,
    tokenizer: Path | None = None,
    quantization: BitsAndBytesConfig | None = None,
) -> Decoder:
    """Load a checkpoint; bidirectional, and proven to be, unless ``causal``.

    Args:
        folder: ``config.json``, safetensors, fast tokenizer. Nothing is downloaded, no code run.
        causal: Leave the attention as the model was trained, for comparison.
        with_head: Keep the language-model head, which MNTP trains with.
        attention_dropout: Share of attention weights dropped in training mode; fixed from here on.
        dtype: Of the weights; None: what the hardware does best.
        device: A torch device; None: GPU where there is one.
        attention: A transformers attention backend; None: the fastest there is.
        tokenizer: The folder of the tokenizer; None: ``folder``.
        quantization: How the weights are quantised as they are read, on a GPU; None: they are not.

    Raises:
        ModelFolderError: the folder holds no decoder checkpoint that can be loaded safely.
        NotBidirectionalError: the attention can't be switched.
    """
    check_checkpoint(folder)
    device = device or choose_device()
    config = read_config(folder)
    dtype = dtype or choose_dtype(device)
    attention = attention or choose_attention(device, dtype=dtype, flash=supports_flash(config))
    set_causal(config, causal=causal)
    if not causal:
        refuse_causal_only(config)
        widen_flash_window(config, attention=attention)
    if attention_dropout:
        set_attention_dropout(config, attention_dropout)
    options: dict[str, Any] = {
        "config": config,
        "dtype": dtype,
        "attn_implementation": attention,
        "use_safetensors": True,
        "local_files_only": True,
        "trust_remote_code": False,
    }
    if quantization is not None:
        options |= {"quantization_config": quantization, "device_map": {"": device}}
    loader: Any = AutoModelForCausalLM if with_head else AutoModel
    try:
        with no_load_report():
            model, info = loader.from_pretrained(folder, output_loading_info=True, **options)
    except ImportError as exc:
        raise ModelFolderError(f"loading {folder} needs a package: {exc}") from exc
    except (*UNREADABLE, RuntimeError, SafetensorError) as exc:
        raise ModelFolderError(f"{folder} can't be loaded as a decoder: {exc}") from exc
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelFolderError(
            f"{folder} must hold every weight of {type(model).__name__}; "
            f"{len(missing)} are missing, the first is {missing[0]}"
        )
    if quantization is None:  # else it is where it belongs, and must not be moved
        model.to(device)
    model.eval()
    if not causal:
        make_bidirectional(model)
    if attention_dropout:
        set_module_dropout(model, attention_dropout)
    return Decoder(model=model, tokenizer=load_tokenizer(tokenizer or folder))


def read_config(folder: Path) -> PretrainedConfig:
    """Read ``config.json``.

    Raises:
        ModelFolderError: it can't be read, or is no decoder's.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except UNREADABLE as exc:
        raise ModelFolderError(f"{folder}/config.json can't be used: {exc}") from exc
    if config.is_encoder_decoder:
        raise ModelFolderError(f"a base model must be decoder-only; {folder} is an encoder-decoder")
    kind = config.get_text_config().model_type
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES or not (
        {kind, config.model_type} & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    ):
        raise ModelFolderError(
            f"a base model must be a decoder LLM, such as Llama or Qwen; {folder} is a {kind} model"
        )
    return config


def supports_flash(config: PretrainedConfig) -> bool:
    """Tell whether a family can use FlashAttention."""
    kind = type(config)
    return kind in MODEL_MAPPING and bool(
        getattr(MODEL_MAPPING[kind], "_supports_flash_attn", False)
    )


@contextmanager
def no_load_report() -> Iterator[None]:
    """Keep transformers from logging tables of the head that is left out and of sharding rules."""
    report = logging.getLogger("transformers")
    before = report.level
    report.setLevel(logging.ERROR)
    try:
        yield
    finally:
        report.setLevel(before)


def set_attention_dropout(config: PretrainedConfig, probability: float) -> None:
    """Set the dropout of attention weights, before the model is built, where a config has it."""
    text_config = config.get_text_config()
    for name in DROPOUT_NAMES:
        if hasattr(text_config, name) and text_config.model_type not in NO_ATTENTION_DROPOUT:
            setattr(text_config, name, probability)


def set_module_dropout(model: PreTrainedModel, probability: float) -> None:
    """Set the dropout of attention weights where modules don't read it from the config.

    Where even that changes nothing, as in Falcon, it is logged: training goes on with the dropout
    of the adapters alone.
    """
    for module in model.modules():
        # ERNIE 4.5 writes 0 here whatever its config says.
        if isinstance(getattr(module, "attention_dropout", None), int | float):
            setattr(module, "attention_dropout", probability)  # noqa: B010 - modules declare none
    if not drops_in_training(model):
        logger.warning(
            "attention dropout has no effect in %s; only the adapters' own dropout makes views",
            type(model).__name__,
        )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Load the tokenizer, with a padding token.

    Raises:
        ModelFolderError: there is none, or none that reports where its tokens stand in the text.
    """
    if not any((folder / name).is_file() for name in VOCABULARY_FILES):
        raise ModelFolderError(
            f"a model folder must hold its tokenizer, tokenizer.json; {folder} has none"
        )
    tokenizer = load_fast_tokenizer(folder)
    if tokenizer.eos_token_id is None:
        raise ModelFolderError(f"a tokenizer must have an end-of-text token; {folder} has none")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_fast_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Load the tokenizer of any model.

    Raises:
        ModelFolderError: there is none, or none that reports where its tokens stand in the text.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except UNREADABLE as exc:
        raise ModelFolderError(f"{folder} holds no tokenizer that can be loaded: {exc}") from exc
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelFolderError(
            f"a tokenizer must tell where its tokens stand in the text; that of {folder}, "
            f"{type(tokenizer).__name__}, can't"
        )
    return tokenizer


def context_tokens(config: PretrainedConfig) -> int:
    """Longest input of a model; very large where its configuration doesn't say."""
    longest = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(longest or 2**31)
