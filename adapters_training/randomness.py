"""Random numbers as a function of where they are used, so that no generator's state has to be kept.

A step that is run again after a crash draws what it drew before, because its seed names the run's seed, the
stage and the step.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(*parts: int | str) -> int:
    """Mix parts into a seed in [0, 2**63); other parts give an unrelated seed."""
    text = "\0".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(*parts: int | str) -> torch.Generator:
    """Make a CPU generator that is a function of ``parts``."""
    return torch.Generator().manual_seed(derive_seed(*parts))


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """Make a NumPy generator that is a function of ``parts``."""
    return np.random.default_rng(derive_seed(*parts))


@contextmanager
def own_random_state(device: torch.device) -> Iterator[None]:
    """Give the block torch's global random state, and the caller theirs back after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
