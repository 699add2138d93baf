"""What a run's development set says about it, in words and with its uncertainty."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters_training.selection.development import HELD_BACK
from retriever.evaluation.significance import (
    Interval,
    PairedDifference,
    bootstrap_interval,
    randomisation_test,
)

SEED = 0
"""Of bootstrap and test, so that a report can be made again to the digit."""

LEVEL = 0.05
"""A difference with a p value below it is told apart from chance."""

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Development:
    """A run's development.json."""

    values: dict[str, Any]

    @property
    def stages(self) -> list[dict[str, Any]]:
        """Those that were evaluated, in order."""
        return list(self.values["stages"])

    def scores(self, system: str) -> list[float]:
        """Each query's nDCG@10 by ``bm25``, ``base`` or ``adapted``."""
        return list(self.values[system])

    def mean(self, system: str) -> float:
        """Mean nDCG@10 of a system."""
        return float(np.mean(self.scores(system)))

    def difference(self, system: str) -> PairedDifference:
        """Compare the adapted encoder with a system; positive: it is better."""
        return randomisation_test(
            self.scores("adapted"),
            self.scores(system),
            rng=np.random.default_rng(SEED),
            resamples=RESAMPLES,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether adaptation helped."""

    helped: bool | None
    """None: that is not told apart from chance."""

    sentence: str


def read_comparison(run_folder: Path) -> Development | None:
    """Read a run's development.json; None: the run had no development set."""
    path = run_folder / "development.json"
    if not path.is_file():
        return None
    return Development(json.loads(path.read_text(encoding="utf-8")))


def verdict_of(run_folder: Path) -> Verdict | None:
    """Tell whether a run's adaptation helped; None: it had no development set."""
    development = read_comparison(run_folder)
    return None if development is None else judge(development)


def judge(development: Development) -> Verdict:
    """Compare the adapted encoder with the unadapted base, query by query."""
    found = development.difference("base")
    means = (
        f"nDCG@10 is {development.mean('adapted'):.3f} with the adapted encoder and "
        f"{development.mean('base'):.3f} with the unadapted base, on "
        f"{len(development.scores('base'))} development queries"
    )
    chance = f"p = {found.p_value:.2g}"
    if all(stage["chosen_step"] == 0 for stage in development.stages) and development.stages:
        kept = "no training step ranked them better than the start, so the start was kept"
        if not found.difference:
            return Verdict(False, f"Adaptation did not help: {kept}. {means}.")
    if found.p_value >= LEVEL:
        return Verdict(
            None,
            f"The difference is not told apart from chance ({chance}): {means}.",
        )
    if found.difference > 0:
        return Verdict(True, f"Adaptation helped: {means} ({chance}).")
    return Verdict(False, f"Adaptation did not help, it made search worse: {means} ({chance}).")


def beside_words(development: Development) -> str:
    """Compare the adapted encoder with BM25, in a sentence."""
    found = development.difference("bm25")
    chance = f"p = {found.p_value:.2g}"
    means = f"{development.mean('adapted'):.3f} against {development.mean('bm25'):.3f}"
    if found.p_value >= LEVEL:
        return f"BM25 and the adapted encoder are not told apart ({chance}): {means}."
    better = "better" if found.difference > 0 else "worse"
    return f"Alone, the adapted encoder ranks {better} than BM25: {means} ({chance})."


def measured_systems(development: Development) -> list[tuple[str, Interval]]:
    """Name each system and give its mean nDCG@10 with a 95 % interval."""
    rows: list[tuple[str, Sequence[float]]] = [
        ("BM25", development.scores("bm25")),
        ("unadapted base", development.scores("base")),
        *(
            (f"after {stage['stage']}, step {stage['chosen_step']}", stage["best"])
            for stage in development.stages
        ),
        ("adapted", development.scores("adapted")),
    ]
    return [
        (name, bootstrap_interval(scores, rng=np.random.default_rng(SEED))) for name, scores in rows
    ]


def caveats(development: Development) -> list[str]:
    """Say where the queries are from, and what the figures do not show."""
    kinds = ", ".join(f"{n} {kind}" for kind, n in development.values["composition"].items())
    lines = [
        f"The development queries are {development.values['origin']} ({kinds}), looked for among "
        f"{development.values['passages']} passages. None of them was trained on."
    ]
    if development.values["origin"] == HELD_BACK and set(development.values["composition"]) - {
        "labelled"
    }:
        lines.append(
            "Queries made from the text itself are easier than those of people; the differences "
            "say more than the values. Judgements of your own tell the rest: --development."
        )
    if development.stages:
        lines.append(
            "The weights were chosen by these queries, so the adapted encoder's figure is a "
            "little too kind."
        )
    lines += [
        f"Warning: in {stage['stage']} no training step was better than its start. The start was "
        "kept, and the stage changes nothing."
        for stage in development.stages
        if stage["chosen_step"] == 0
    ]
    return lines
