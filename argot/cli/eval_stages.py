"""Which second stages `argot eval` measures: every combination of those named, a row each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argot.cli.eval_encoders import Encoders
from argot.encoders import find_encoder
from argot.errors import SettingsError
from argot.settings import EncoderChoice
from argot.stage_settings import EXPANDERS, RERANKERS, StageSettings
from argot.stages import StageModels, load_base
from retriever.settings import OFF

if TYPE_CHECKING:
    from encoder.loading import Decoder

Command = TypeVar("Command", bound=Callable[..., Any])
Folder = click.Path(exists=True, file_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to search; None: as configured, outside of a project none."""

    rerank: str | None = None
    expand: str | None = None
    rescore: bool | None = None

    def label(self, encoder: str) -> str:
        """Name the row of an encoder that is searched with in this way."""
        named = [stage for stage in (self.expand, self.rerank) if stage not in (None, OFF)]
        if self.rescore is not None:
            named.append("rescored" if self.rescore else "not rescored")
        return " + ".join([encoder, *map(str, named)])


@dataclass(frozen=True, slots=True)
class StageFolders:
    """Models that the command line names for a collection."""

    cross_encoder: Path | None = None
    language_model: Path | None = None


def stage_options(command: Command) -> Command:
    """Add the options that name stages, and their models."""
    for option in reversed(
        (
            click.option(
                "--rerank",
                "reranks",
                multiple=True,
                type=click.Choice((OFF, *RERANKERS)),
                help="Rerank with it; repeatable, for one table. Default: as configured.",
            ),
            click.option(
                "--expand",
                "expands",
                multiple=True,
                type=click.Choice((OFF, *EXPANDERS)),
                help="Widen each query with it; repeatable. Default: as configured.",
            ),
            click.option(
                "--rescore/--no-rescore",
                "rescores",
                multiple=True,
                help="Compare what codes or small vectors find with the whole vectors, in the "
                "project's index; both, for one table. Default: as configured.",
            ),
            click.option("--cross-encoder", type=Folder, help="Default: as [stages] says."),
            click.option(
                "--language-model",
                type=Folder,
                help="For --rerank llm and --expand. Default: as [stages] says, else the one that "
                "the first encoder was made of.",
            ),
        )
    ):
        command = option(command)
    return command


def ways_of(
    reranks: Sequence[str], expands: Sequence[str], *, rescores: Sequence[bool] = ()
) -> list[Way]:
    """Combine what is named; the first way is what the others are tested against.

    Raises:
        UsageError: something is named twice.
    """
    for name, given in (("--rerank", reranks), ("--expand", expands)):
        if len(set(given)) < len(given):
            raise click.UsageError(f"{name} may name each stage once; one is there twice")
    if len(set(rescores)) < len(rescores):
        raise click.UsageError("--rescore and --no-rescore may be given once each")
    parts = (reranks or (None,), expands or (None,), rescores or (None,))
    return [Way(*chosen) for chosen in product(*parts)]


def stage_models(
    encoders: Encoders, folders: StageFolders
) -> tuple[StageModels, Callable[[], "Decoder"]]:
    """Give the models for a collection, and what loads the language model of the first encoder."""
    project = encoders.project
    settings = project.settings.stages if project else StageSettings()
    if folders.cross_encoder is not None:
        settings = replace(settings, cross_encoder=str(folders.cross_encoder.resolve()))
    if folders.language_model is not None:
        settings = replace(settings, language_model=str(folders.language_model.resolve()))
    own = project.settings.encoder if project else EncoderChoice()
    choice = encoders.wanted[0].choice if encoders.wanted else own
    paths = project.paths if project else None

    @cache
    def base() -> "Decoder":
        if not choice.model:
            raise SettingsError(
                "this stage needs a language model, and no encoder is named whose base it could "
                "take\nhint: give --language-model FOLDER"
            )
        folder = find_encoder(choice.model, paths)
        return load_base(folder, dtype=choice.dtype, device=choice.device)

    return StageModels(settings, paths=paths, hardware=choice), base
