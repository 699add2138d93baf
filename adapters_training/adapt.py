"""Run the stages in order: a base model and text in, one adapter a stage out."""

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adapters_training.errors import TrainingError
from adapters_training.pair_making.making import DEVELOPMENT_FILE
from adapters_training.pair_making.sources import Announce
from adapters_training.pairs import Pair, digest_pairs
from adapters_training.processes import Processes, join_processes
from adapters_training.run.comparison import compare_run
from adapters_training.run.folder import StageFolder, open_run
from adapters_training.run.stage import IRRELEVANT, Run, train_stage
from adapters_training.selection.development import DevelopmentSet, read_development
from adapters_training.selection.metrics import Progress
from adapters_training.settings.dicts import settings_to_dict
from adapters_training.settings.run import AdaptSettings
from adapters_training.stages.building import DTYPES, choose_training_dtype
from adapters_training.stages.quantized import quantization
from adapters_training.text.documents import TrainingText
from adapters_training.text.examples import Corpus, collect_corpus
from encoder.hardware import choose_device
from encoder.spec import digest_weights

logger = logging.getLogger(__name__)


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
    announce: Announce = logger.info,
) -> Adaptation:
    """Teach a base model the language of texts.

    Of several processes that a launcher has started the main one calls this and the others call
    `help_adapt`, or all call this and the main one's arguments count.

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
        announce: Told what is done between the stages, and how far it is.

    Returns:
        Where the adapters are, and how they were made.

    Raises:
        TrainingTextError: there is no text, or too little for a stage.
        TrainingPairsError: a contrastive stage has no pairs, and could make none.
        RunFolderError: the folder holds a run and ``resume`` is False.
        CheckpointError: the run there was started with other settings, text or base.
        DivergedError: a loss became NaN or infinite.
        TrainingInterruptedError: stopped by a signal; resume goes on.
        TrainingError: the settings ask for what the processes or the device can't do, or another
            process of the run has ended.
    """
    processes = join_processes()

    def begin() -> Run:
        settled = settle(settings, processes)
        corpus, labelled = collect_corpus(texts), tuple(dict.fromkeys(pairs))
        record = {
            **describe_run(corpus, labelled, settled, base_digest=digest_weights(base)),
            "development": development and development.digest(),
        }
        open_run(run_folder, record, resume=resume, irrelevant=IRRELEVANT)
        return Run(
            base=base,
            corpus=corpus,
            labelled=labelled,
            settings=settled,
            record=record,
            folder=run_folder,
            development=development,
        )

    return carry_out(
        processes.from_main(begin), processes=processes, progress=progress, announce=announce
    )


def help_adapt() -> Adaptation:
    """Do this process's share of what the main process adapts.

    Raises:
        TrainingError: as `adapt`, and its kinds.
    """
    processes = join_processes()

    def nothing() -> Run:
        raise TrainingError("the main process of a run must call `adapt`; it called `help_adapt`")

    return carry_out(processes.from_main(nothing), processes=processes)


def carry_out(
    run: Run,
    *,
    processes: Processes,
    progress: Progress | None = None,
    announce: Announce = logger.info,
) -> Adaptation:
    """Train what is not trained yet, all processes together.

    Args:
        run: As the main process began it.
        processes: Of the run.
        progress: Called after every step; the main process's.
        announce: Told what is done between the stages.
    """
    settings = dataclasses.replace(run.settings, device=processes.device or run.settings.device)
    run = dataclasses.replace(
        run,
        settings=settings,
        processes=processes,
        progress=progress if processes.is_main else None,
        announce=announce,
    )
    development = run.development
    adapters: list[Path] = []
    reports: list[Mapping[str, Any]] = []
    folders: list[StageFolder] = []
    for number, stage_settings in enumerate(settings.stages, start=1):
        folder = StageFolder(run.folder / f"{number}-{stage_settings.kind}")
        before = processes.from_main(folder.read_report)
        report = before or train_stage(
            run, stage_settings, folder=folder, adapters=adapters, development=development
        )
        held_back = partial(read_development, folder.path / DEVELOPMENT_FILE)
        development = development or processes.from_main(held_back)
        folders.append(folder)
        adapters.append(folder.adapter)
        reports.append(report)
    if development is not None and processes.is_main:
        compare_run(run.folder, development, base=run.base, stages=folders, settings=settings)
    return Adaptation(adapters=tuple(adapters), lineage={**run.record, "stages": reports})


def settle(settings: AdaptSettings, processes: Processes) -> AdaptSettings:
    """Choose device and number format where the settings leave them open.

    Raises:
        TrainingError: the settings ask for what the processes or the device can't do.
    """
    device, given = settings.device, processes.device
    if given is not None and device not in {None, given, given.partition(":")[0]}:
        raise TrainingError(
            f"of several processes each has a device of its own, this one {given}; "
            f"`device` is {device}\n"
            "hint: leave `device` out; ACCELERATE_USE_CPU=true in the environment means the CPU"
        )
    if settings.shard and processes.size == 1:
        raise TrainingError(
            "`shard` spreads the base over several processes; there is one\n"
            "hint: start the run with `accelerate launch`, or leave `shard` out"
        )
    settings = dataclasses.replace(settings, device=given or device or choose_device())
    settings = dataclasses.replace(settings, dtype=choose_training_dtype(settings))
    if settings.quantize:  # that it can't be done should show before pairs are made
        quantization(settings.quantize, device=str(settings.device), dtype=DTYPES[settings.dtype])
    return settings


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
