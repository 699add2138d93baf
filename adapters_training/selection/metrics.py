"""What a run reports while it runs: a line of metrics.jsonl, and a value for whoever watches.

A line is a `StepReport`; or of an evaluation, with ``stage``, ``step`` and ``ndcg@10``.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters_training.selection.selection import MEASURE, Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One optimizer step, or the mean of those since the report before."""

    stage: str
    step: int
    """Steps done, this one included."""

    steps: int
    """Steps the stage was given; a time budget may end it earlier."""

    progress: float
    """Part of the stage that is behind, by steps or by time, in [0, 1]."""

    loss: float
    """In nats, mean over the steps since the report before."""

    grad_norm: float
    """Of the latest step, before clipping."""

    learning_rate: float
    tokens: int
    """Read in this stage so far, padding left out."""

    seconds: float
    """Training time of this stage so far, all attempts together."""

    tokens_per_second: float
    eta_seconds: float
    """Until the stage ends at its present speed."""


Progress = Callable[[StepReport], None]


class MetricsLog:
    """Lines of metrics.jsonl."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made with the first line."""
        self._path = path

    def append(self, report: StepReport) -> None:
        """Add a line."""
        self._write(dataclasses.asdict(report))

    def append_evaluation(self, stage: str, evaluation: Evaluation) -> None:
        """Add a line with the mean nDCG@10 of the development set."""
        self._write({"stage": stage, "step": evaluation.step, MEASURE: evaluation.score})

    def forget_after(self, *, stage: str, step: int) -> None:
        """Drop the lines of steps that will be run again, and a line that a crash cut short.

        Args:
            stage: Its label.
            step: Of the checkpoint that training goes on from; -1: the stage starts anew, and with
                it the evaluation of its start.
        """
        if not self._path.is_file():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and _keeps(line, stage, step)]
        aside = self._path.with_name(f".writing-{self._path.name}")
        aside.write_text("".join(kept), encoding="utf-8")
        aside.replace(self._path)

    def _write(self, record: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def _keeps(line: str, stage: str, step: int) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return bool(record["stage"] != stage or record["step"] <= step)
