"""Train one stage of a run, in each of its processes."""

import logging
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adapters_training.pair_making.making import MadePairs, make_pairs
from adapters_training.pair_making.sources import Announce, PairSources
from adapters_training.pairs import Pair
from adapters_training.processes import ALONE, Processes
from adapters_training.run.checkpoint import TrainingState
from adapters_training.run.folder import StageFolder, without
from adapters_training.run.trainer import LoopSettings, Selection, Trainer
from adapters_training.selection.development import DevelopmentSet
from adapters_training.selection.metrics import MetricsLog, Progress
from adapters_training.selection.ranking import DevelopmentRanker, reading_of
from adapters_training.selection.selection import (
    describe_evaluations,
    describe_scores,
    out_of_patience,
)
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.dicts import stage_to_dict
from adapters_training.settings.run import AdaptSettings, StageSettings
from adapters_training.stages.building import Examples, PreparedStage, prepare_stage
from adapters_training.stages.lora import parameter_count
from adapters_training.text.examples import Corpus
from encoder.loading import context_tokens, load_tokenizer

logger = logging.getLogger(__name__)

IRRELEVANT = (
    "device",
    "shard",
    "checkpoint_every_seconds",
    "metrics_every_steps",
    "gradient_checkpointing",
)
"""Settings that a resumed run may change: they decide where and how fast, not what is learned. So
does the number of processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the stages of a run share. The main process makes it, and each completes its own."""

    base: Path
    corpus: Corpus
    labelled: Sequence[Pair]
    settings: AdaptSettings
    record: Mapping[str, Any]
    """What the run is made of, JSON values."""

    folder: Path
    development: DevelopmentSet | None
    """The user's own."""

    processes: Processes = ALONE
    progress: Progress | None = None
    """Called after every step; the main process's."""

    announce: Announce = logger.info
    """Told what is done between the stages."""

    @property
    def metrics(self) -> MetricsLog | None:
        """Where steps are written; None: another process writes them."""
        return MetricsLog(self.folder / "metrics.jsonl") if self.processes.is_main else None


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
        The stage's report, as the main process wrote it.
    """
    processes = run.processes
    examples, made = Examples(texts=run.corpus.texts), None
    if isinstance(stage_settings, ContrastiveSettings):
        sources = PairSources(
            base=run.base,
            corpus=run.corpus,
            labelled=run.labelled,
            adapters=adapters,
            development=development,
            announce=run.announce,
        )
        made = processes.from_main(partial(pairs_of, sources, stage_settings, run, folder))
        examples, development = Examples(pairs=made.pairs), made.development
    prepared = prepare_stage(
        run.base,
        examples,
        stage_settings,
        run=run.settings,
        label=folder.label,
        adapters=adapters,
        processes=processes,
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
        "processes": processes.size,
        **({} if made is None else {"pairs": made.report}),
    }
    scores = describe_scores(folder.label, state.evaluations)
    if scores and not scores["chosen_step"] and processes.is_main:
        logger.warning("%s: no step was better than the start, which is kept", folder.label)
    # All wait for it: the next stage reads the adapter.
    processes.from_main(partial(folder.finish, prepared.model, report, scores=scores))
    return report


def pairs_of(
    sources: PairSources, settings: ContrastiveSettings, run: Run, folder: StageFolder
) -> MadePairs:
    """Gather a stage's pairs, or read what was gathered before."""
    return make_pairs(sources, settings, run=run.settings, folder=folder.path, label=folder.label)


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
        processes=run.processes,
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
