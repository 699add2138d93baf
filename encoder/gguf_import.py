"""Turn a GGUF file into a checkpoint folder that training and encoding can load."""

import copy
import logging
import struct
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from encoder.directory import write_directory
from encoder.errors import ModelFolderError

logger = logging.getLogger(__name__)

UNREADABLE = (OSError, ValueError, KeyError, IndexError, RuntimeError, struct.error)
"""What reading a damaged or unknown GGUF file raises."""


def import_gguf(gguf: Path, folder: Path) -> None:
    """Write the decoder in ``gguf`` to ``folder`` as safetensors in bf16, with its tokenizer.

    Quantised weights are expanded, so what the quantisation lost stays lost.

    Args:
        gguf: A file with a decoder that transformers can read.
        folder: Must not exist; there is either a whole checkpoint afterwards or none.

    Raises:
        ModelFolderError: the file is missing or no GGUF that transformers can read, or the
            folder exists.
    """
    check_gguf(gguf)
    if folder.exists():
        raise ModelFolderError(
            f"GGUF is imported to a new folder; {folder} exists already\n"
            "hint: name it as the model, or remove it first"
        )
    try:
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(
            gguf.parent, gguf_file=gguf.name, local_files_only=True
        )
    except ImportError as exc:
        raise ModelFolderError(
            "reading GGUF needs the package `gguf`\nhint: pip install 'argot-search[train]'"
        ) from exc
    except UNREADABLE as exc:
        raise ModelFolderError(f"{gguf} can't be read as a GGUF decoder: {exc}") from exc
    # The expanded weights are plain, but transformers refuses to save a model it read as quantised.
    config = copy.deepcopy(model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        config, dtype=torch.bfloat16
    )
    plain.load_state_dict(model.state_dict())

    def fill(aside: Path) -> None:
        plain.save_pretrained(aside)
        tokenizer.save_pretrained(aside)

    write_directory(folder, fill)
    logger.info("wrote %s from %s", folder, gguf)


def check_gguf(path: Path) -> None:
    """Refuse what is no GGUF file.

    Raises:
        ModelFolderError: there is no file, or it does not begin as GGUF does.
    """
    if not path.is_file():
        raise ModelFolderError(f"GGUF import needs a file; got {path}, which is not one")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ModelFolderError(f"a GGUF file must begin with the bytes GGUF; {path} has {magic!r}")
