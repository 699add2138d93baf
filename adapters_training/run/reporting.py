"""Tell of each step: to metrics.jsonl, and to whoever watches."""

from adapters_training.run.checkpoint import TrainingState
from adapters_training.selection.metrics import MetricsLog, Progress, StepReport
from adapters_training.selection.selection import Evaluation


class StepReporter:
    """Reports the steps and evaluations of one stage."""

    def __init__(
        self,
        metrics: MetricsLog | None,
        *,
        label: str,
        steps: int,
        every_steps: int,
        progress: Progress | None,
    ) -> None:
        """Take who is told.

        Args:
            metrics: Of the run; None: nothing is written.
            label: Of the stage, unique in its run.
            steps: Of the whole stage.
            every_steps: Steps between two lines of metrics.
            progress: Called after every step.
        """
        self._metrics = metrics
        self._label = label
        self._steps = steps
        self._every_steps = every_steps
        self._progress = progress
        self._unreported: list[float] = []

    def start_after(self, step: int) -> None:
        """Forget what was reported of later steps, which will be taken again."""
        if self._metrics is not None:
            self._metrics.forget_after(stage=self._label, step=step)

    def report(
        self, state: TrainingState, *, progress: float, loss: float, norm: float, rate: float
    ) -> None:
        """Tell of a step.

        Args:
            state: After it.
            progress: Part of the stage that is behind, above 0.
            loss: Its loss, in nats.
            norm: Of its gradient, before clipping.
            rate: Its learning rate.
        """
        self._unreported.append(loss)
        report = StepReport(
            stage=self._label,
            step=state.step,
            steps=self._steps,
            progress=progress,
            loss=sum(self._unreported) / len(self._unreported),
            grad_norm=norm,
            learning_rate=rate,
            tokens=state.tokens,
            seconds=state.seconds,
            tokens_per_second=state.tokens / max(state.seconds, 1e-9),
            eta_seconds=state.seconds * (1 - progress) / progress,
        )
        if self._progress is not None:
            self._progress(report)
        if state.step % self._every_steps == 0 or progress >= 1:
            if self._metrics is not None:
                self._metrics.append(report)
            self._unreported = []

    def report_evaluation(self, evaluation: Evaluation) -> None:
        """Tell how the development set was ranked."""
        if self._metrics is not None:
            self._metrics.append_evaluation(self._label, evaluation)
