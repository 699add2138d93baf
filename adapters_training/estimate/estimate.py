"""What a run would cost: each stage is prepared for real, and a few of its steps are taken."""

import dataclasses
import gc
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from adapters_training.estimate.memory import forget_peak, peak_bytes
from adapters_training.estimate.pairs import expect_pairs
from adapters_training.estimate.reading import reading_seconds
from adapters_training.estimate.steps import measure_steps, precision_of
from adapters_training.pair_making.sources import PairSources
from adapters_training.pairs import Pair
from adapters_training.selection.development import DevelopmentSet
from adapters_training.selection.ranking import reading_of, trunk
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.run import AdaptSettings, StageSettings
from adapters_training.stages.building import (
    Examples,
    PreparedStage,
    choose_training_dtype,
    prepare_stage,
)
from adapters_training.stages.lora import parameter_count
from adapters_training.text.chunks import encode_texts
from adapters_training.text.documents import TrainingText
from adapters_training.text.examples import collect_corpus
from encoder.hardware import choose_device
from encoder.instructions import tokenize
from encoder.loading import context_tokens, load_tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """What a stage would take."""

    label: str
    examples: int
    """Blocks, texts or pairs that it would draw from."""

    pairs: Mapping[str, int]
    """By origin, before any are held back; of the synthetic ones as many as would be asked for."""

    trained_parameters: int
    steps: int
    """As many as its time budget leaves."""

    tokens: int
    """Read in training, padding left out."""

    prepare_seconds: float
    """To load the model and to make the examples; of pairs, to write and to filter them too."""

    train_seconds: float
    evaluate_seconds: float
    peak_memory_bytes: int
    """Of a GPU, or resident memory of the whole process."""

    @property
    def seconds(self) -> float:
        """All in all."""
        return self.prepare_seconds + self.train_seconds + self.evaluate_seconds


def estimate(
    base: Path,
    texts: Iterable[TrainingText | str],
    *,
    settings: AdaptSettings,
    pairs: Iterable[Pair] = (),
    development: DevelopmentSet | None = None,
) -> Iterator[StageEstimate]:
    """Estimate a run of `adapt.adapt` on this machine, stage by stage; nothing stays on the disk.

    Each stage is measured on the base model alone: merged adapters don't change what it costs.

    Args:
        base: Checkpoint folder of a decoder.
        texts: As for the run, and so are the others.
        settings: Stages and how to run them.
        pairs: Labelled ones.
        development: What is evaluated on.

    Yields:
        An estimate for each stage, as soon as it is made.

    Raises:
        TrainingTextError: there is no text, or too little for a stage.
        TrainingPairsError: a contrastive stage has no pairs, and could make none.
    """
    settings = dataclasses.replace(
        settings,
        device=settings.device or choose_device(),
        dtype=choose_training_dtype(settings),
    )
    sources = PairSources(
        base=base,
        corpus=collect_corpus(texts),
        labelled=tuple(dict.fromkeys(pairs)),
        adapters=(),
        development=development,
    )
    for number, stage in enumerate(settings.stages, start=1):
        yield estimate_stage(sources, stage, run=settings, label=f"{number}-{stage.kind}")
        # A model and its adapter hold each other; the next one needs the room.
        gc.collect()


def estimate_stage(
    sources: PairSources, settings: StageSettings, *, run: AdaptSettings, label: str
) -> StageEstimate:
    """Prepare a stage, take a few of its steps, and read a few of its texts."""
    device = run.device or choose_device()
    forget_peak(device)
    began = time.monotonic()
    expected = None
    if isinstance(settings, ContrastiveSettings):
        expected = expect_pairs(sources, settings, run=run, label=label)
    examples = Examples(
        texts=sources.corpus.texts, pairs=() if expected is None else expected.pairs
    )
    prepared = prepare_stage(sources.base, examples, settings, run=run, label=label, adapters=())
    prepare_seconds = time.monotonic() - began
    costs = measure_steps(prepared, settings)
    steps, tokens, train_seconds = costs.until(settings.time_budget_seconds)
    development = sources.development
    if expected is not None:
        prepare_seconds += expected.rest_seconds
        development = expected.development
    return StageEstimate(
        label=label,
        examples=prepared.examples,
        pairs={} if expected is None else dict(expected.counts),
        trained_parameters=parameter_count(prepared.model),
        steps=steps,
        tokens=tokens,
        prepare_seconds=prepare_seconds,
        train_seconds=train_seconds,
        evaluate_seconds=evaluation_seconds(
            prepared, development, sources=sources, run=run, times=settings.evaluations
        ),
        peak_memory_bytes=peak_bytes(device),
    )


def evaluation_seconds(
    prepared: PreparedStage,
    development: DevelopmentSet | None,
    *,
    sources: PairSources,
    run: AdaptSettings,
    times: int,
) -> float:
    """Estimate the time in which the development set is read: at the start and so many times."""
    if development is None or not times:
        return 0.0
    reading, tokenizer = reading_of(run), load_tokenizer(sources.base)
    limit = min(reading.passage_tokens, context_tokens(prepared.model.config))
    prepared.model.eval()

    def encode(texts: Sequence[str]) -> None:
        rows = tokenize(
            tokenizer, texts, instruction=reading.document_instruction, max_tokens=limit
        )
        with torch.no_grad(), precision_of(prepared)():
            encode_texts(
                trunk(prepared.model),
                rows,
                pad_id=tokenizer.pad_token_id,
                pooling=reading.pooling,
            )

    once = reading_seconds(encode, development.passages)
    once += reading_seconds(encode, development.queries)
    return once * (1 + times)
