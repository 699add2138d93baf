"""When the development set is ranked in a stage, and which weights are kept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MEASURE = "ndcg@10"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a stage's weights ranked the development set."""

    step: int
    """Optimizer steps done; 0 is the start, where the stage's adapter has no effect yet."""

    scores: tuple[float, ...]
    """nDCG@10 of each query."""

    @property
    def score(self) -> float:
        """Mean over the queries."""
        return math.fsum(self.scores) / len(self.scores)


def best_evaluation(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Find the evaluation with the highest mean; of equal ones the first."""
    return max(evaluations, key=lambda evaluation: evaluation.score)


def is_due(evaluations: int, *, before: float, after: float) -> bool:
    """Tell whether an evaluation falls between two moments of a stage.

    Args:
        evaluations: In the whole stage, evenly spread, the last at its end.
        before: Part of the stage behind before a step, in [0, 1].
        after: And after it.
    """
    # A third of three thirds must not fall short of 1 by rounding.
    return math.floor(after * evaluations + 1e-9) > math.floor(before * evaluations + 1e-9)


def out_of_patience(evaluations: Sequence[Evaluation], patience: int | None) -> bool:
    """Tell whether so many evaluations in a row were no better than the best before them."""
    if patience is None or not evaluations:
        return False
    best = evaluations.index(best_evaluation(evaluations))
    return len(evaluations) - 1 - best >= patience


def describe_evaluations(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Tell the course of a stage and what was chosen, as JSON values; empty where none was made."""
    if not evaluations:
        return {}
    return {
        "measure": MEASURE,
        "evaluations": [{"step": one.step, "score": round(one.score, 6)} for one in evaluations],
        "chosen_step": best_evaluation(evaluations).step,
    }


def describe_scores(stage: str, evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Tell each query's nDCG@10 at a stage's start and with the chosen weights; empty: none was."""
    if not evaluations:
        return {}
    return {
        "stage": stage,
        **describe_evaluations(evaluations),
        "start": list(evaluations[0].scores),
        "best": list(best_evaluation(evaluations).scores),
    }


def evaluations_from_dict(values: Sequence[Mapping[str, Any]]) -> tuple[Evaluation, ...]:
    """Make evaluations from their fields, as a checkpoint holds them."""
    return tuple(Evaluation(step=one["step"], scores=tuple(one["scores"])) for one in values)
