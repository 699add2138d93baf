"""The training loop that all stages share.

A step is a function of the weights, the optimizer's state and the step's number: its examples,
masks and dropout come from seeds that name the step. So a run that was killed and resumed ends with
the weights of one that was not: to the bit on a CPU in float32 with as many threads, unless a time
budget ended the stage.

Of several processes each has all of a stage's state, and `adapters_training.processes` keeps it the
same. The clock and the evaluations that count are the main process's, which alone writes; a request
to stop may reach any.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapters_training.disk import Writer
from adapters_training.errors import DivergedError, TrainingInterruptedError
from adapters_training.interruption import StopRequest, stop_requests
from adapters_training.processes import ALONE, Processes
from adapters_training.randomness import derive_seed
from adapters_training.run.checkpoint import (
    TrainingState,
    latest_checkpoint,
    load_best,
    load_checkpoint,
    save_checkpoint,
)
from adapters_training.run.reporting import StepReporter
from adapters_training.run.schedule import learning_rate, stage_progress
from adapters_training.selection.development import FloatArray
from adapters_training.selection.metrics import MetricsLog, Progress
from adapters_training.selection.selection import (
    Evaluation,
    best_evaluation,
    is_due,
    out_of_patience,
)
from adapters_training.settings.run import StageSettings
from adapters_training.stages.lora import trainable
from adapters_training.stages.protocol import Stage
from adapters_training.torch_randomness import own_random_state

logger = logging.getLogger(__name__)

Selection = Callable[[nn.Module], FloatArray]
"""Ranks the development set with a model as it is, in evaluation mode and without gradient; gives
each query's nDCG@10, ``[Q]``."""

LOSSES_KEPT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How a stage is run."""

    stage: StageSettings
    label: str
    """Of the stage, unique in its run."""

    seed: int
    checkpoints: Path
    """Folder of the stage's checkpoints."""

    metrics: MetricsLog | None
    """None: nothing is written."""

    identity: Mapping[str, Any] = field(default_factory=dict)
    """What the run is made of; a checkpoint is only loaded into an equal one."""

    autocast: bool = False
    """Compute in bf16 where that is safe; the adapters' own weights stay float32."""

    checkpoint_every_seconds: float = 60.0
    metrics_every_steps: int = 1
    progress: Progress | None = None
    selection: Selection | None = None
    """Chooses the weights that the stage ends with, if its settings ask for evaluations; None: the
    last ones."""

    write: Writer | None = None
    """Writes one checkpoint file durably; None: the disk's own."""

    processes: Processes = ALONE
    """That share each step."""


class Trainer:
    """Trains an adapter for one stage."""

    def __init__(self, model: nn.Module, stage: Stage, *, settings: LoopSettings) -> None:
        """Prepare the optimizer, and go back to the latest checkpoint where there is one.

        Each of several processes does so at the same time.

        Raises:
            CheckpointError: the latest checkpoint is of another run, or can't be read.
        """
        self._model = model
        self._stage = stage
        self._settings = settings
        self._processes = settings.processes
        self._optimizer_settings = settings.stage.optimizer
        self._parameters = trainable(model)
        self._device = next(iter(self._parameters.values())).device
        self._optimizer = torch.optim.AdamW(
            self._parameters.values(),
            lr=self._optimizer_settings.learning_rate,
            weight_decay=self._optimizer_settings.weight_decay,
        )
        self._reporter = StepReporter(
            settings.metrics,
            label=settings.label,
            steps=settings.stage.steps,
            every_steps=settings.metrics_every_steps,
            progress=settings.progress,
        )
        self._best: dict[str, Tensor] | None = None
        self._state = self._resumed()
        # Equal seeds draw equal numbers on equal hardware only.
        self._processes.copy_from_main(list(self._parameters.values()))

    def run(self) -> TrainingState:
        """Train to the end of the stage, and put the weights in the model that it ends with.

        Raises:
            DivergedError: a loss or gradient became NaN or infinite.
            TrainingInterruptedError: a signal asked to stop; a checkpoint was written.
            CheckpointError: a checkpoint could not be written.
        """
        self._model.train()
        saved_at = time.monotonic()
        # Time counts from the checkpoint's own, so that what a crash lost is not charged twice.
        started = saved_at - self._state.seconds
        with own_random_state(self._device), stop_requests() as request:
            started += self._evaluate(due=not self._state.evaluations)
            while not self._over():
                before = self._progress()
                self._step(started)
                count = self._settings.stage.evaluations
                due = is_due(count, before=before, after=self._progress())
                started += self._evaluate(due=due)
                self._stop_if_asked(request)
                waited = time.monotonic() - saved_at
                if self._processes.is_main and waited >= self._settings.checkpoint_every_seconds:
                    self._save()
                    saved_at = time.monotonic()
        self._model.eval()
        for name, weights in (self._best or {}).items():
            self._parameters[name].data.copy_(weights)
        return self._state

    def _over(self) -> bool:
        patience = self._settings.stage.patience
        return self._progress() >= 1 or out_of_patience(self._state.evaluations, patience)

    def _resumed(self) -> TrainingState:
        path = self._processes.from_main(lambda: latest_checkpoint(self._settings.checkpoints))
        state = TrainingState()
        if path is not None:
            state = load_checkpoint(
                path,
                parameters=self._parameters,
                optimizer=self._optimizer,
                identity=self._settings.identity,
            )
            self._best = load_best(path)
            logger.info("%s goes on after step %d", self._settings.label, state.step)
        self._reporter.start_after(-1 if path is None else state.step)
        return state

    def _progress(self) -> float:
        return stage_progress(
            self._settings.stage, step=self._state.step, seconds=self._state.seconds
        )

    def _step(self, started: float) -> None:
        step = self._state.step
        rate = learning_rate(self._optimizer_settings, step=step, progress=self._progress())
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(derive_seed(self._settings.seed, self._settings.label, "dropout", step))
        found = self._stage.backward(
            self._model, step, precision=self._precision, processes=self._processes
        )
        self._processes.sum_gradients(list(self._parameters.values()))
        norm = float(
            nn.utils.clip_grad_norm_(
                self._parameters.values(), self._optimizer_settings.max_grad_norm
            )
        )
        self._require_finite(found.loss, norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._state = replace(
            self._state,
            step=step + 1,
            seconds=self._processes.from_main(lambda: time.monotonic() - started),
            tokens=self._state.tokens + found.tokens,
            first_losses=(*self._state.first_losses, found.loss)[:LOSSES_KEPT],
            last_losses=(*self._state.last_losses, found.loss)[-LOSSES_KEPT:],
        )
        self._reporter.report(
            self._state, progress=self._progress(), loss=found.loss, norm=norm, rate=rate
        )

    def _evaluate(self, *, due: bool) -> float:
        """Rank the development set, if that is due; keep the weights if they are the best so far.

        Returns:
            Seconds it took.
        """
        selection = self._settings.selection
        if selection is None or not self._settings.stage.evaluations or not due:
            return 0.0
        began = time.monotonic()
        self._model.eval()
        with torch.no_grad(), self._precision():
            ranked = selection(self._model)
        # A tie may break otherwise on another GPU, and all must choose the same weights.
        scores = self._processes.from_main(lambda: ranked)
        self._model.train()
        found = Evaluation(step=self._state.step, scores=tuple(map(float, scores)))
        self._state = replace(self._state, evaluations=(*self._state.evaluations, found))
        if best_evaluation(self._state.evaluations) is found:
            self._best = {
                name: p.detach().to("cpu", copy=True) for name, p in self._parameters.items()
            }
        self._reporter.report_evaluation(found)
        logger.info(
            "%s: development nDCG@10 %.3f after step %d",
            *(self._settings.label, found.score, found.step),
        )
        return time.monotonic() - began

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=self._settings.autocast
        )

    def _require_finite(self, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        good = latest_checkpoint(self._settings.checkpoints)
        raise DivergedError(
            f"loss and gradient must be finite; in step {self._state.step + 1} of "
            f"{self._settings.label} the loss is {loss} and the gradient's norm {norm}\n"
            f"the last good checkpoint is {good or 'none'}\n"
            f"hint: start a new run with a `learning_rate` below "
            f'{self._optimizer_settings.learning_rate:g}, or with `dtype = "float32"`'
        )

    def _stop_if_asked(self, request: StopRequest) -> None:
        if self._processes.add_up(request.made):
            # All wait for it: a launcher ends the others as soon as one process has failed.
            path = self._processes.from_main(self._save)
            raise TrainingInterruptedError(
                f"training was stopped after step {self._state.step} of {self._settings.label}; "
                f"the checkpoint is {path}\nhint: resume the run to go on from there"
            )

    def _save(self) -> Path:
        return save_checkpoint(
            self._settings.checkpoints,
            self._state,
            parameters=self._parameters,
            optimizer=self._optimizer,
            identity=self._settings.identity,
            best=self._best,
            write=self._settings.write,
        )
