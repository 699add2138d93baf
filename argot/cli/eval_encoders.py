"""Which encoders `argot eval` measures, and on what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click

from argot.cli.output import find_project, say
from argot.errors import NoProjectError, SettingsError
from argot.evaluation.baselines import Measurable, given, load_measurable, parse_measurable
from argot.project import Project
from argot.settings import EncoderChoice
from encoder.base import DenseEncoder

Result = TypeVar("Result")

TASKS = ("--beir", "--queries", "--sts", "--tokens")

WORKS_WITH = {
    "--split": ("--beir",),
    "--qrels": ("--queries",),
    "--as": ("--queries",),
    "--mode": ("--beir", "--queries"),
    "--rerank": ("--beir", "--queries"),
    "--expand": ("--beir", "--queries"),
    "--rescore": ("--queries",),
    "--cross-encoder": ("--beir",),
    "--language-model": ("--beir",),
    "--metric": ("--beir", "--queries"),
    "--per-query": ("--beir", "--queries"),
    "--compare": ("--beir", "--queries"),
    "--dims": ("--beir", "--sts"),
    "--tokens-train": ("--tokens",),
    "--tag-column": ("--tokens",),
    "--shift": ("--tokens",),
    **dict.fromkeys(
        ("--encoder", "--causal", "--echo", "--pooling", "--dtype"), ("--beir", "--sts", "--tokens")
    ),
}
"""What each option is for; elsewhere it would be ignored, and is refused."""


def chosen_task(given_options: Mapping[str, object]) -> str:
    """Find the one thing to measure on, and refuse options that it would ignore.

    Args:
        given_options: Value of every option that may be left out, by name.

    Raises:
        UsageError: none or several are given, or an option does not fit.
    """
    asked = {name for name, value in given_options.items() if value}
    tasks = [task for task in TASKS if task in asked]
    if len(tasks) != 1 or ("--queries" in tasks and "--qrels" not in asked):
        raise click.UsageError(
            "give one of --beir DIR, --queries FILE with --qrels FILE, --sts FILE, or "
            f"--tokens FILE with --tokens-train FILE; got {' and '.join(tasks) or 'none'}"
        )
    for name, fitting in WORKS_WITH.items():
        if name in asked and tasks[0] not in fitting:
            raise click.UsageError(f"{name} works with {' or '.join(fitting)} only")
    if tasks[0] == "--tokens" and "--tokens-train" not in asked:
        raise click.UsageError("--tokens needs words to learn from: --tokens-train FILE")
    return tasks[0]


@dataclass(frozen=True, slots=True)
class Encoders:
    """What to measure, and the project it may be of."""

    wanted: tuple[Measurable, ...]
    """Empty: no encoder was named and the project here, if any, has none."""

    named: bool
    """Whether the command line names them."""

    project: Project | None

    def measure(self, measure: Callable[[DenseEncoder], Result]) -> dict[str, Result]:
        """Load each in turn and measure it; one alone is in memory at a time."""
        paths = self.project.paths if self.project else None
        results: dict[str, Result] = {}
        for measurable in self.wanted:
            if len(self.wanted) > 1:
                say(f"measuring {measurable.label}")
            results[measurable.label] = measure(load_measurable(measurable, paths))
        return results

    def require(self) -> None:
        """Refuse to go on without an encoder.

        Raises:
            SettingsError: there is none.
        """
        if not self.wanted:
            raise SettingsError(
                "there is no encoder to measure\nhint: give --encoder NAME or FOLDER"
            )


def choose_encoders(
    models: Sequence[str], *, common: EncoderChoice, echo: bool, folder: Path | None
) -> Encoders:
    """Take the encoders of the command line, else the project's own.

    Args:
        models: As `parse_measurable` reads them.
        common: What the other options ask of every encoder.
        echo: Whether every encoder is to read its texts twice.
        folder: Of the project; None: here.

    Raises:
        SettingsError: an encoder is named twice alike, or with an option that is not known.
    """
    project = project_or_none(folder)
    if len(set(models)) < len(models):
        raise SettingsError("--encoder may name each encoder once; one is there twice")
    if models:
        named = tuple(parse_measurable(model, common=common, echo=echo) for model in models)
        return Encoders(named, named=True, project=project)
    own = project.settings.encoder if project else EncoderChoice()
    if not own.model:
        return Encoders((), named=False, project=project)
    asked = {name: value for name, value in given(common).items() if name != "model"}
    return Encoders(
        (Measurable(own.model, replace(own, **asked), echo),), named=False, project=project
    )


def project_or_none(folder: Path | None) -> Project | None:
    """Open the project here if there is one."""
    try:
        return find_project(folder)
    except NoProjectError:
        return None
