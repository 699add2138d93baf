"""Files that outlive a crash."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

Writer = Callable[[Path, bytes], None]


def encode_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Turn tensors into the bytes of a safetensors file."""
    return save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})


def durable_write(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk, so that a rename outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file durably, replacing the one before in one step."""
    aside = path.with_name(f".writing-{path.name}")
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    durable_write(aside, text.encode())
    aside.replace(path)
    flush_folder(path.parent)
