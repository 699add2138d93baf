"""What the steps of a stage cost, from a few of them.

Shapes: S steps whose tokens are counted, all of them or some at even distances.
"""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from adapters_training.randomness import derive_seed
from adapters_training.settings.run import StageSettings
from adapters_training.stages.building import PreparedStage
from adapters_training.stages.gradient_cache import Precision
from adapters_training.stages.lora import trainable
from adapters_training.torch_randomness import own_random_state

COUNTED_EXAMPLES = 50_000
"""Examples whose tokens are counted, about: more would take longer than it tells."""

PARTS = 3
"""Steps that are timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCosts:
    """Tokens and seconds of a stage's steps."""

    tokens: npt.NDArray[np.float64]
    """Of each counted step, padding left out, ``[S]``."""

    seconds: npt.NDArray[np.float64]
    """Likewise, ``[S]``."""

    steps: int
    """Steps of the stage, at least S."""

    def until(self, seconds: float | None) -> tuple[int, int, float]:
        """Sum up the steps that begin before a time, all of them where there is none.

        Returns:
            Steps, their tokens, their seconds.
        """
        each = self.steps / len(self.tokens)
        ends = np.cumsum(self.seconds) * each
        begun = len(ends) if seconds is None else min(len(ends), 1 + int((ends < seconds).sum()))
        steps = self.steps if begun == len(ends) else max(1, round(begun * each))
        share = steps / begun
        return (
            steps,
            round(float(self.tokens[:begun].sum()) * share),
            float(self.seconds[:begun].sum()) * share,
        )


def measure_steps(prepared: PreparedStage, settings: StageSettings) -> StepCosts:
    """Count the tokens of a stage's steps and take some of them; the adapter is changed by that.

    The largest comes first and is not timed: it meets the peak of memory and warms up. Then the
    steps are divided by size into three parts, and the middle one of each is timed: its time a
    token is its part's.
    """
    counted = counted_steps(settings)
    tokens = np.array([prepared.stage.tokens(step) for step in counted], dtype=np.float64)
    by_size = np.argsort(tokens, kind="stable")
    steps = OptimizerSteps(prepared, settings)
    steps.take(counted[by_size[-1]])
    seconds = np.zeros_like(tokens)
    for part in np.array_split(by_size, min(PARTS, len(by_size))):
        middle = part[len(part) // 2]
        seconds[part] = tokens[part] * steps.take(counted[middle]) / tokens[middle]
    return StepCosts(tokens=tokens, seconds=seconds, steps=settings.steps)


def counted_steps(settings: StageSettings) -> list[int]:
    """Choose steps at even distances whose examples are not too many to count."""
    most = max(PARTS, COUNTED_EXAMPLES // settings.batch_size)
    places = np.linspace(0, settings.steps - 1, min(settings.steps, most))
    return [int(place) for place in places]


class OptimizerSteps:
    """Steps as the trainer takes them, nothing written."""

    def __init__(self, prepared: PreparedStage, settings: StageSettings) -> None:
        """Make the optimizer."""
        self._prepared = prepared
        self._settings = settings.optimizer
        self._parameters = list(trainable(prepared.model).values())
        self._device = self._parameters[0].device
        self._optimizer = torch.optim.AdamW(
            self._parameters,
            lr=self._settings.learning_rate,
            weight_decay=self._settings.weight_decay,
        )

    def take(self, step: int) -> float:
        """Take one step; return its seconds."""
        self._prepared.model.train()
        with own_random_state(self._device):
            began = time.monotonic()
            torch.manual_seed(derive_seed(step, "dropout"))
            self._prepared.stage.backward(
                self._prepared.model, step, precision=precision_of(self._prepared)
            )
            nn.utils.clip_grad_norm_(self._parameters, self._settings.max_grad_norm)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            return time.monotonic() - began


def precision_of(prepared: PreparedStage) -> Precision:
    """Make the context in which a stage's model computes."""
    device = prepared.model.device.type
    return lambda: torch.autocast(device, dtype=torch.bfloat16, enabled=prepared.autocast)
