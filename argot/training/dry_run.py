"""What adapting a project's base model would take, without doing it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from adapters_training.estimate.estimate import StageEstimate, estimate
from adapters_training.pairs import read_pairs
from adapters_training.settings.run import AdaptSettings
from adapters_training.text.files import read_texts
from argot.project import Project
from argot.training.adaptation import (
    adapt_settings,
    base_model,
    encoding_settings,
    indexed_texts,
    judged_set,
    matched,
)


def estimate_project(
    project: Project,
    *,
    text: Sequence[Path] = (),
    pairs: Sequence[Path] = (),
    development: Path | None = None,
    development_split: str = "dev",
    settings: AdaptSettings | None = None,
) -> Iterator[StageEstimate]:
    """Estimate a run of `adaptation.adapt_project`, which takes the same; nothing is written.

    Raises:
        SettingsError: no base model is configured.
        NoIndexError: there is no text: none given and nothing indexed.
    """
    base = base_model(project)
    encoding = encoding_settings(project, base)
    settings = matched(settings or adapt_settings(project), encoding)
    return estimate(
        base,
        read_texts(list(text)) if text else indexed_texts(project),
        settings=settings,
        pairs=read_pairs(pairs),
        development=judged_set(
            development, split=development_split, encoding=encoding, settings=settings
        ),
    )
