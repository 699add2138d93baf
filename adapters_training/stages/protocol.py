"""What the training loop asks of a stage."""

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from adapters_training.processes import ALONE, Processes
from adapters_training.stages.gradient_cache import Precision


@dataclass(frozen=True, slots=True)
class StepLoss:
    """What one step's batch gave."""

    loss: float
    """Mean over the batch, in nats."""

    tokens: int
    """Tokens of its texts, padding left out."""


class Stage(Protocol):
    """What a stage learns: its examples and its loss."""

    def tokens(self, step: int) -> int:
        """Count the tokens of a step's texts, padding left out."""

    def backward(
        self,
        model: nn.Module,
        step: int,
        *,
        precision: Precision,
        processes: Processes = ALONE,
    ) -> StepLoss:
        """Add this process's share of the gradient of a step's mean loss to the parameters.

        The batch is a function of ``step``, and so is what is drawn at random after torch's seed
        was set for the step. The model is to be run in the context that ``precision`` makes. What
        is returned is the whole step's, the same in all processes.
        """
