"""Random numbers as a function of where they are used, so that no generator's state has to be kept.

A step that is run again after a crash draws what it drew before, because its seed names the run's
seed, the stage and the step.
"""

import hashlib

import numpy as np


def derive_seed(*parts: int | str) -> int:
    """Mix parts into a seed in [0, 2**63); other parts give an unrelated seed."""
    text = "\0".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """Make a NumPy generator that is a function of ``parts``."""
    return np.random.default_rng(derive_seed(*parts))
