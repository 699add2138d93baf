"""Run the stages in order: a base model and text in, one adapter a stage out."""

import dataclasses
import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters_training.checkpoint import TrainingState
from adapters_training.comparison import compare_run
from adapters_training.config import AdaptSettings, StageSettings
from adapters_training.config_dicts import settings_to_dict, stage_to_dict
from adapters_training.contrastive_settings import ContrastiveSettings
from adapters_training.development import DevelopmentSet, read_development
from adapters_training.development_ranking import DevelopmentRanker, reading_of
from adapters_training.examples import Corpus, collect_corpus
from adapters_training.lora import parameter_count
from adapters_training.metrics import MetricsLog, Progress
from adapters_training.pair_making import DEVELOPMENT_FILE, make_pairs
from adapters_training.pair_sources import PairSources
from adapters_training.pairs import Pair, digest_pairs
from adapters_training.run_folder import StageFolder, open_run, without
from adapters_training.selection import describe_evaluations, describe_scores, out_of_patience
from adapters_training.stages import (
    Examples,
    PreparedStage,
    choose_training_dtype,
    prepare_stage,
)
from adapters_training.trainer import LoopSettings, Selection, Trainer
from adapters_training.training_text import TrainingText
from encoder.hardware import choose_device
from encoder.loading import context_tokens, load_tokenizer
from encoder.spec import digest_weights

logger = logging.getLogger(__name__)

IRRELEVANT = ("device", "checkpoint_every_seconds", "metrics_every_steps", "gradient_checkpointing")
"""Settings that a resumed run may change: they decide where and how fast, not what is learned."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What a run made."""

    adapters: tuple[Path, ...]
    """Adapter directories in the order they apply, as peft saves them."""

    lineage: Mapping[str, Any]
    """How they were made, JSON values: settings, text, and each stage's steps, tokens, losses,
    seconds."""


def adapt(
    base: Path,
    texts: Iterable[TrainingText | str],
    *,
    settings: AdaptSettings,
    run_folder: Path,
    pairs: Iterable[Pair] = (),
    development: DevelopmentSet | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Adaptation:
    """Teach a base model the language of texts.

    Args:
        base: Checkpoint folder of a decoder.
        texts: Documents or parts of them; empty and repeated ones are left out.
        settings: Stages and how to run them.
        run_folder: Gets run.json, metrics.jsonl, a folder for each stage, and with a development
            set development.json. It must not hold another run.
        pairs: Labelled ones, for a contrastive stage.
        development: Queries of the user's own that tell whether training helps; None: a contrastive
            stage holds some of its pairs back.
        resume: Go on with the run in the folder: the same base, texts, pairs and settings give what
            an uninterrupted run gives. Without a run there, one is started.
        progress: Called after every step.

    Returns:
        Where the adapters are, and how they were made.

    Raises:
        TrainingTextError: there is no text, or too little for a stage.
        TrainingPairsError: a contrastive stage has no pairs, and could make none.
        RunFolderError: the folder holds a run and ``resume`` is False.
        CheckpointError: the run there was started with other settings, text or base.
        DivergedError: a loss became NaN or infinite.
        TrainingInterruptedError: stopped by a signal; resume goes on.
    """
    corpus = collect_corpus(texts)
    labelled = tuple(dict.fromkeys(pairs))
    settings = dataclasses.replace(
        settings,
        device=settings.device or choose_device(),
        dtype=choose_training_dtype(settings),
    )
    record = {
        **describe_run(corpus, labelled, settings, base_digest=digest_weights(base)),
        "development": development and development.digest(),
    }
    open_run(run_folder, record, resume=resume, irrelevant=IRRELEVANT)
    run = Run(
        base=base,
        corpus=corpus,
        labelled=labelled,
        settings=settings,
        record=record,
        metrics=MetricsLog(run_folder / "metrics.jsonl"),
        progress=progress,
    )
    adapters: list[Path] = []
    reports: list[Mapping[str, Any]] = []
    folders: list[StageFolder] = []
    for number, stage_settings in enumerate(settings.stages, start=1):
        folder = StageFolder(run_folder / f"{number}-{stage_settings.kind}")
        report: Mapping[str, Any] = folder.read_report() or train_stage(
            run, stage_settings, folder=folder, adapters=adapters, development=development
        )
        development = development or read_development(folder.path / DEVELOPMENT_FILE)
        folders.append(folder)
        adapters.append(folder.adapter)
        reports.append(report)
    if development is not None:
        compare_run(run_folder, development, base=base, stages=folders, settings=settings)
    return Adaptation(adapters=tuple(adapters), lineage={**record, "stages": reports})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the stages of a run share."""

    base: Path
    corpus: Corpus
    labelled: Sequence[Pair]
    settings: AdaptSettings
    record: Mapping[str, Any]
    metrics: MetricsLog
    progress: Progress | None


def train_stage(
    run: Run,
    stage_settings: StageSettings,
    *,
    folder: StageFolder,
    adapters: Sequence[Path],
    development: DevelopmentSet | None,
) -> Mapping[str, Any]:
    """Train one stage's adapter on the base model with the adapters before it merged.

    Returns:
        The stage's report, as it was written.
    """
    examples, made = Examples(texts=run.corpus.texts), None
    if isinstance(stage_settings, ContrastiveSettings):
        made = make_pairs(
            PairSources(
                base=run.base,
                corpus=run.corpus,
                labelled=run.labelled,
                adapters=adapters,
                development=development,
            ),
            stage_settings,
            run=run.settings,
            folder=folder.path,
            label=folder.label,
        )
        examples, development = Examples(pairs=made.pairs), made.development
    prepared = prepare_stage(
        run.base,
        examples,
        stage_settings,
        run=run.settings,
        label=folder.label,
        adapters=adapters,
    )
    logger.info(
        "%s: %d examples, %d trained parameters",
        folder.label,
        prepared.examples,
        parameter_count(prepared.model),
    )
    selection = rank_with(prepared, run, development=development)
    loop = loop_settings(run, stage_settings, folder=folder, prepared=prepared, selection=selection)
    state = Trainer(prepared.model, prepared.stage, settings=loop).run()
    report = {
        **describe_stage(state, stage_settings),
        "examples": prepared.examples,
        "trained_parameters": parameter_count(prepared.model),
        **({} if made is None else {"pairs": made.report}),
    }
    scores = describe_scores(folder.label, state.evaluations)
    if scores and not scores["chosen_step"]:
        logger.warning("%s: no step was better than the start, which is kept", folder.label)
    folder.finish(prepared.model, report, scores=scores)
    return report


def loop_settings(
    run: Run,
    stage_settings: StageSettings,
    *,
    folder: StageFolder,
    prepared: PreparedStage,
    selection: Selection | None,
) -> LoopSettings:
    """Gather what the training loop needs to know."""
    return LoopSettings(
        stage=stage_settings,
        label=folder.label,
        seed=run.settings.seed,
        checkpoints=folder.checkpoints,
        metrics=run.metrics,
        identity=without(run.record, IRRELEVANT),
        autocast=prepared.autocast,
        checkpoint_every_seconds=run.settings.checkpoint_every_seconds,
        metrics_every_steps=run.settings.metrics_every_steps,
        progress=run.progress,
        selection=selection,
    )


def rank_with(
    prepared: PreparedStage, run: Run, *, development: DevelopmentSet | None
) -> DevelopmentRanker | None:
    """Prepare the ranking of the development set by a stage's model, where there is one."""
    if development is None:
        return None
    return DevelopmentRanker(
        development,
        load_tokenizer(run.base),
        reading=reading_of(run.settings),
        context_tokens=context_tokens(prepared.model.config),
    )


def describe_run(
    corpus: Corpus, labelled: Sequence[Pair], settings: AdaptSettings, *, base_digest: str
) -> dict[str, Any]:
    """Tell what a run is made of, as JSON values."""
    return {
        "base_digest": base_digest,
        "texts": {
            "count": len(corpus.texts),
            "empty": corpus.empty,
            "duplicates": corpus.duplicates,
            "digest": corpus.digest,
        },
        "pairs": {"count": len(labelled), "digest": digest_pairs(labelled)},
        "settings": settings_to_dict(settings),
    }


def describe_stage(state: TrainingState, settings: StageSettings) -> dict[str, Any]:
    """Tell how a stage went, as JSON values; losses are means over up to 10 steps, in nats."""
    stopped_by = "steps" if state.step >= settings.steps else "time"
    if stopped_by == "time" and out_of_patience(state.evaluations, settings.patience):
        stopped_by = "patience"
    return {
        "kind": settings.kind,
        "settings": stage_to_dict(settings),
        "steps": state.step,
        "stopped_by": stopped_by,
        "tokens": state.tokens,
        "seconds": round(state.seconds, 1),
        "first_loss": statistics.fmean(state.first_losses),
        "last_loss": statistics.fmean(state.last_losses),
        "development": describe_evaluations(state.evaluations),
    }
