"""torch's random numbers as a function of where they are used."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from adapters_training.randomness import derive_seed


def torch_generator(*parts: int | str) -> torch.Generator:
    """Make a CPU generator that is a function of ``parts``."""
    return torch.Generator().manual_seed(derive_seed(*parts))


@contextmanager
def own_random_state(device: torch.device) -> Iterator[None]:
    """Give the block torch's global random state, and the caller theirs back after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
