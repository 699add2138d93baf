"""Read a decoder checkpoint from a folder, as an encoder or as it was."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from encoder.attention import make_bidirectional, set_causal
from encoder.errors import ModelFolderError
from encoder.hardware import choose_attention, choose_device, choose_dtype

logger = logging.getLogger(__name__)


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
) -> Decoder:
    """Load a checkpoint; bidirectional, and proven to be, unless ``causal``.

    Args:
        folder: ``config.json``, safetensors and a fast tokenizer. Nothing is downloaded and no
            code in it is run.
        causal: Leave the attention as the model was trained, for comparison.
        with_head: Keep the language-model head, which MNTP trains with.
        attention_dropout: Share of attention weights dropped in training mode. It is copied when
            the model is built, so it can't be changed later.
        dtype: Of the weights; None: what the hardware does best.
        device: A torch device; None: GPU where there is one.
        attention: A transformers attention backend; None: the fastest there is.

    Raises:
        ModelFolderError: the folder holds no decoder checkpoint that can be loaded safely.
        NotBidirectionalError: the attention can't be switched.
    """
    check_checkpoint(folder)
    device = device or choose_device()
    config = read_config(folder)
    set_causal(config, causal=causal)
    if attention_dropout:
        set_attention_dropout(config, attention_dropout)
    options: dict[str, Any] = {
        "config": config,
        "dtype": dtype or choose_dtype(device),
        "attn_implementation": attention or choose_attention(device),
        "use_safetensors": True,
        "local_files_only": True,
        "trust_remote_code": False,
    }
    loader: Any = AutoModelForCausalLM if with_head else AutoModel
    try:
        model, info = loader.from_pretrained(folder, output_loading_info=True, **options)
    except ImportError as exc:
        raise ModelFolderError(f"loading {folder} needs a package: {exc}") from exc
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise ModelFolderError(f"{folder} can't be loaded as a decoder: {exc}") from exc
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelFolderError(
            f"{folder} must hold every weight of {type(model).__name__}; "
            f"{len(missing)} are missing, the first is {missing[0]}"
        )
    model.to(device).eval()
    if not causal:
        make_bidirectional(model)
    return Decoder(model=model, tokenizer=load_tokenizer(folder))


def check_checkpoint(folder: Path) -> None:
    """Refuse what is no checkpoint folder, and weights that could run code.

    Raises:
        ModelFolderError: with what is missing.
    """
    if folder.is_file() and folder.suffix == ".gguf":
        raise ModelFolderError(
            f"a model must be a checkpoint folder; got the GGUF file {folder}\n"
            "hint: `argot init --model FILE.gguf` imports it once"
        )
    if not folder.is_dir():
        raise ModelFolderError(f"a model must be a folder; {folder} is not one")
    if not (folder / "config.json").is_file():
        raise ModelFolderError(f"a model folder must hold config.json; {folder} has none")
    if not any(folder.glob("*.safetensors")):
        pickles = [*folder.glob("*.bin"), *folder.glob("*.pt")]
        found = "only pickled weights, which can run code" if pickles else "none"
        raise ModelFolderError(f"a model folder must hold *.safetensors; {folder} has {found}")


def read_config(folder: Path) -> PretrainedConfig:
    """Read ``config.json``.

    Raises:
        ModelFolderError: it can't be read, or is an encoder-decoder's.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as exc:
        raise ModelFolderError(f"{folder}/config.json can't be used: {exc}") from exc
    if config.is_encoder_decoder:
        raise ModelFolderError(f"a base model must be decoder-only; {folder} is an encoder-decoder")
    return config


def set_attention_dropout(config: PretrainedConfig, probability: float) -> None:
    """Set the dropout of attention weights before the model is built.

    Raises:
        ModelFolderError: this architecture has none.
    """
    text_config = config.get_text_config()
    for name in ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob"):
        if hasattr(text_config, name):
            setattr(text_config, name, probability)
            return
    raise ModelFolderError(f"{config.model_type} models have no attention dropout to set")


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Load the tokenizer, with a padding token.

    Raises:
        ModelFolderError: there is none, or none that reports where its tokens stand in the text.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as exc:
        raise ModelFolderError(f"{folder} holds no tokenizer that can be loaded: {exc}") from exc
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelFolderError(f"a tokenizer must report offsets; {folder} has no tokenizer.json")
    if tokenizer.eos_token_id is None:
        raise ModelFolderError(f"a tokenizer must have an end-of-text token; {folder} has none")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
