"""Adapt a project's base model on its own text, and register the encoder."""

import dataclasses
import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adapters_training.adapt import adapt
from adapters_training.pair_making.sources import Announce
from adapters_training.pairs import read_pairs
from adapters_training.recipes import DEFAULT_RECIPE, lay_over, load_recipe
from adapters_training.selection.development import DevelopmentSet
from adapters_training.selection.metrics import Progress
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.dicts import settings_from_dict
from adapters_training.settings.run import AdaptSettings, SimcseSettings, StageSettings
from adapters_training.text.documents import TrainingText
from adapters_training.text.files import read_texts
from argot.encoders import NamedEncoder, check_name, find_encoder
from argot.errors import SettingsError
from argot.evaluation.development import read_development_set
from argot.project import Project
from argot.training.report import training_report
from encoder.directory import read_any_spec, write_adapter_encoder
from encoder.spec import EncodingSettings
from indexing.catalog.catalog import Catalog
from indexing.errors import NoIndexError
from indexing.files.lock import hold_lock
from indexing.versions.description import live_version

logger = logging.getLogger(__name__)

RUN_NAME = re.compile(r"adapted-(\d+)")


def adapt_project(
    project: Project,
    *,
    name: str | None = None,
    text: Sequence[Path] = (),
    pairs: Sequence[Path] = (),
    development: Path | None = None,
    development_split: str = "dev",
    settings: AdaptSettings | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    announce: Announce = logger.info,
) -> NamedEncoder:
    """Train the stages and write the result as an encoder of the project.

    Args:
        project: Its ``[encoder]`` names the base model.
        name: Of the new encoder; None: the next free ``adapted-N``, or the run to resume.
        text: Folders, txt or jsonl files to learn from; none: what the project has indexed.
        pairs: Labelled pairs, ``.jsonl`` or ``.jsonl.gz``; see `adapters_training.pairs`.
        development: Folder in BEIR's layout whose judged queries choose the weights and tell
            whether adaptation helped; None: a contrastive stage holds some of its pairs back.
        development_split: Of its qrels.
        settings: Stages and how to run them; None: the project's ``[adapt]``.
        resume: Go on with a run that was interrupted.
        progress: Called after every step.
        announce: Told what is done between the stages, and how far it is.

    Returns:
        The new encoder.

    Raises:
        SettingsError: no base model is configured, or the name is taken.
        NoIndexError: there is no text: none given and nothing indexed.
    """
    name = check_name(name) if name else next_name(project, resume=resume)
    target = project.paths.encoders / name
    if target.exists():
        raise SettingsError(
            f"an encoder is never overwritten; {name!r} exists\nhint: choose another --name"
        )
    base = base_model(project)
    run_folder = project.paths.runs / name
    texts = read_texts(list(text)) if text else exported_texts(project, run_folder)
    encoding = encoding_settings(project, base)
    settings = matched(settings or adapt_settings(project), encoding)
    judged = judged_set(development, split=development_split, encoding=encoding, settings=settings)
    project.paths.make_state()
    with hold_lock(project.paths.runs / f"{name}.lock", what=f"the training run {name}"):
        made = adapt(
            base,
            texts,
            settings=settings,
            run_folder=run_folder,
            pairs=read_pairs(pairs),
            development=judged,
            resume=resume,
            progress=progress,
            announce=announce,
        )
    stages = [stage["kind"] for stage in made.lineage["stages"]]
    target.parent.mkdir(parents=True, exist_ok=True)
    spec = write_adapter_encoder(
        target,
        base=base,
        adapters=list(zip(stages, made.adapters, strict=True)),
        settings=encoding,
        lineage=made.lineage,
    )
    training_report(run_folder)
    return NamedEncoder(name, target, spec)


def judged_set(
    folder: Path | None, *, split: str, encoding: EncodingSettings, settings: AdaptSettings
) -> DevelopmentSet | None:
    """Read the user's own development queries; None where none are given.

    Raises:
        SettingsError: they are given, and the settings take none of them.
    """
    if folder is None:
        return None
    if not settings.development_queries:
        raise SettingsError(
            f"`development_queries` in [adapt] must be above 0 to use those of {folder}; got 0"
        )
    return read_development_set(
        folder,
        split=split,
        query_instruction=encoding.query_instruction,
        max_queries=settings.development_queries,
        max_passages=settings.development_passages,
        seed=settings.seed,
    )


def base_model(project: Project) -> Path:
    """Find the checkpoint to adapt.

    Raises:
        SettingsError: none is configured, or it is an encoder already.
    """
    choice = project.settings.encoder
    if not (choice.base or choice.model):
        raise SettingsError(
            "adapting needs a base model; [encoder] names none\n"
            "hint: set `model` to the folder of a decoder checkpoint"
        )
    folder = find_encoder(choice.base or choice.model, project.paths)
    if read_any_spec(folder).form != "checkpoint":
        raise SettingsError(
            f"a base model must be a plain decoder checkpoint; {folder} is an encoder already\n"
            "hint: set `base` in [encoder] to the decoder it was made from"
        )
    return folder


def adapt_settings(
    project: Project,
    *,
    recipe: str | Path | None = None,
    stages: Sequence[str] = (),
    **changes: Any,  # noqa: ANN401 - of any stage
) -> AdaptSettings:
    """Read a recipe, with ``[adapt]`` laid over it, and changes to every stage over that.

    Args:
        project: Its ``[adapt]`` may name a recipe too.
        recipe: Name or file; None: the project's, else the default one.
        stages: Kinds to train, in order; none: all.
        changes: New values; None keeps a value.

    Raises:
        SettingsError: there is no such recipe, or a setting is unknown or wrong.
    """
    own = dict(project.settings.adapt)
    named = str(own.pop("recipe", DEFAULT_RECIPE))
    try:
        loaded = load_recipe(recipe) if recipe else load_recipe(named, beside=project.paths.root)
        table = lay_over(loaded, own)
        if stages:  # of a kind that [adapt] leaves out the recipe may still have one
            known = [*table.get("stages", ()), *loaded.get("stages", ())]
            table = lay_over({**table, "stages": known}, {"stages": [*stages]})
        settings = settings_from_dict(table)
        wanted = {key: value for key, value in changes.items() if value is not None}
        changed = tuple(dataclasses.replace(stage, **wanted) for stage in settings.stages)
        return dataclasses.replace(settings, stages=changed)
    except ValueError as exc:
        raise SettingsError(f"[adapt]: {exc}") from exc


def matched(settings: AdaptSettings, encoding: EncodingSettings) -> AdaptSettings:
    """Let the stages train the very vectors that the encoder will give."""
    return dataclasses.replace(
        settings,
        causal=encoding.causal,
        stages=tuple(matched_stage(stage, encoding) for stage in settings.stages),
    )


def matched_stage(stage: StageSettings, encoding: EncodingSettings) -> StageSettings:
    """Give a stage the encoder's pooling and instructions, where it has any."""
    if isinstance(stage, SimcseSettings):
        return dataclasses.replace(
            stage, pooling=encoding.pooling, instruction=encoding.document_instruction
        )
    if isinstance(stage, ContrastiveSettings):
        return dataclasses.replace(
            stage,
            pooling=encoding.pooling,
            query_instruction=encoding.query_instruction,
            document_instruction=encoding.document_instruction,
        )
    return stage


def encoding_settings(project: Project, base: Path) -> EncodingSettings:
    """How the new encoder pools: as the base does, with what ``[encoder]`` says."""
    choice = project.settings.encoder
    fields = [field.name for field in dataclasses.fields(EncodingSettings)]
    wanted = {name: getattr(choice, name) for name in fields}
    changes = {name: value for name, value in wanted.items() if value is not None}
    return dataclasses.replace(read_any_spec(base).settings, **changes)


def exported_texts(project: Project, run_folder: Path) -> Iterator[TrainingText]:
    """Write what is indexed to ``text.jsonl`` in the run's folder, once, and read it.

    A resumed run reads the same text, whatever was ingested since.

    Raises:
        NoIndexError: nothing is indexed.
    """
    path = run_folder / "text.jsonl"
    # Without run.json no training has begun, and the text may be an older one.
    if not (path.is_file() and (run_folder / "run.json").is_file()):
        texts = indexed_texts(project)
        run_folder.mkdir(parents=True, exist_ok=True)
        aside = path.with_name("text.jsonl.unfinished")
        with aside.open("w", encoding="utf-8") as file:
            for text in texts:
                file.write(json.dumps(dataclasses.asdict(text), ensure_ascii=False) + "\n")
        aside.rename(path)
    return read_texts([path])


def indexed_texts(project: Project) -> Iterator[TrainingText]:
    """Read what is indexed, chunk by chunk.

    Raises:
        NoIndexError: nothing is indexed.
    """
    version = live_version(project.paths.indexes)
    if version is None:
        raise NoIndexError(
            "adapting needs text: nothing is indexed yet and no --text is given\n"
            "hint: run `argot ingest` first, or give --text PATH"
        )
    return version_texts(project, version)


def version_texts(project: Project, version: str) -> Iterator[TrainingText]:
    """Read the chunks of an index version."""
    with Catalog(project.paths.catalog_url(project.settings.catalog.url)) as catalog:
        for document in catalog.indexed_documents(version=version):
            for chunk in document.chunks:
                yield TrainingText(
                    text=chunk.text,
                    title=document.document.title or "",
                    headings=chunk.heading_path,
                    source=document.source,
                )


def next_name(project: Project, *, resume: bool) -> str:
    """Name a new run ``adapted-N``, or find the latest one that has made no encoder.

    Raises:
        SettingsError: there is no run to resume.
    """
    runs = project.paths.runs
    folders = [f.name for f in runs.iterdir() if f.is_dir()] if runs.is_dir() else []
    if resume:
        open_runs = [run for run in folders if not (project.paths.encoders / run).exists()]
        if not open_runs:
            raise SettingsError("there is no interrupted run to resume\nhint: run `argot adapt`")
        return max(open_runs, key=lambda run: (runs / run).stat().st_mtime)
    taken = [*folders, *(entry.name for entry in project.paths.encoders.glob("*"))]
    numbers = [int(match.group(1)) for name in taken if (match := RUN_NAME.fullmatch(name))]
    return f"adapted-{max(numbers, default=0) + 1}"
