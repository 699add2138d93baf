"""The pairs that a contrastive stage would learn from, with stand-ins for what takes long to make.

Labelled pairs and those from structure are the real ones. A few queries are written for real; they
stand in for all that would be written, and passages drawn at random for negatives to be mined.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

from adapters_training.config import AdaptSettings
from adapters_training.contrastive_settings import ContrastiveSettings
from adapters_training.current_encoder import CurrentEncoder
from adapters_training.development import DevelopmentSet
from adapters_training.errors import TrainingPairsError
from adapters_training.pair_gathering import load_writer, pairs_by_source, shown_examples
from adapters_training.pair_making import keep_apart
from adapters_training.pair_sources import PairSources, passage_pool
from adapters_training.pairs import Pair
from adapters_training.query_prompt import BUILT_IN_EXAMPLES
from adapters_training.randomness import derive_seed, numpy_generator
from adapters_training.reading_costs import reading_seconds
from adapters_training.synthetic_queries import choose_passages, has_text, write_queries

TRIED_PASSAGES = 16
"""Passages that queries are written for, to see how long it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedPairs:
    """What a stage would be given."""

    pairs: tuple[Pair, ...]
    development: DevelopmentSet | None
    counts: Mapping[str, int]
    """Before any are held back, by origin; of the synthetic ones how many would be asked for."""

    rest_seconds: float
    """To write, filter and mine all, beyond the few that were written."""


def expect_pairs(
    sources: PairSources, settings: ContrastiveSettings, *, run: AdaptSettings, label: str
) -> ExpectedPairs:
    """Gather pairs as `pair_making.make_pairs` would.

    Raises:
        TrainingPairsError: there would be fewer than 2.
    """
    seed = derive_seed(run.seed, label, "pairs")
    encoder = CurrentEncoder(sources.base, sources.adapters, settings=settings, run=run)
    passages = passage_pool(sources, settings, seed=seed)
    pairs = list(sources.labelled) if "labelled" in settings.pairs else []
    if "structural" in settings.pairs:
        pairs += pairs_by_source(sources.corpus.items, seed=seed)[0]
    seconds = 0.0
    if "synthetic" in settings.pairs and any(map(has_text, passages)):
        written, seconds = expect_queries(
            sources, passages, settings=settings, run=run, seed=seed, encoder=encoder
        )
        pairs += written
    counts = Counter(pair.origin for pair in pairs)
    kept, development = keep_apart(
        pairs, sources, run=run, seed=seed, held=settings.evaluations > 0
    )
    if len(kept) < 2:
        raise TrainingPairsError(
            f"the contrastive stage needs at least 2 pairs; got {len(kept)}\n"
            "hint: give labelled pairs, or text with titles or headings"
        )
    if settings.negatives and "encoder" in settings.mine:
        # Mining ranks each query and scores its positive.
        queries = [pair.query for pair in kept]
        seconds += filtering_seconds(encoder, passages, queries=[*queries, *queries])
    return ExpectedPairs(
        pairs=tuple(with_stand_ins(kept, settings, seed=seed)),
        development=development,
        counts=counts,
        rest_seconds=seconds,
    )


def expect_queries(
    sources: PairSources,
    passages: Sequence[str],
    *,
    settings: ContrastiveSettings,
    run: AdaptSettings,
    seed: int,
    encoder: CurrentEncoder,
) -> tuple[list[Pair], float]:
    """Write queries for a few passages, and repeat them for all that would be written for.

    Returns:
        Pairs, and the seconds to write the others and to filter all.
    """
    synthetic = settings.synthetic
    chosen = choose_passages(passages, count=synthetic.passages, seed=seed)
    tried = min(TRIED_PASSAGES, len(chosen))
    with tempfile.TemporaryDirectory() as folder:
        made = write_queries(
            load_writer(sources.base, run=run),
            passages,
            settings=replace(synthetic, passages=tried),
            cache=Path(folder) / "written.jsonl",
            seed=seed,
            examples=shown_examples(sources, settings),
        )
    queries = [one.query for one in made.queries] or [query for query, _ in BUILT_IN_EXAMPLES]
    places = [place for place in chosen for _ in range(synthetic.queries_per_passage)]
    pairs = [
        Pair(query=query, positive=passages[place], set="synthetic", origin="synthetic")
        for query, place in zip(cycle(queries), places, strict=False)
    ]
    filtering = filtering_seconds(encoder, passages, queries=[pair.query for pair in pairs])
    return pairs, made.seconds * (len(chosen) / tried - 1) + filtering


def filtering_seconds(
    encoder: CurrentEncoder, passages: Sequence[str], *, queries: Sequence[str]
) -> float:
    """Estimate the time in which the encoder reads passages and queries."""
    encoder.encode_queries(queries[:1])  # loads the model
    return reading_seconds(encoder.encode_passages, passages) + reading_seconds(
        encoder.encode_queries, queries
    )


def with_stand_ins(
    pairs: Sequence[Pair], settings: ContrastiveSettings, *, seed: int
) -> list[Pair]:
    """Give pairs that lack negatives those of any other pair, where negatives would be mined."""
    if not settings.mine:
        return list(pairs)
    rng = numpy_generator(seed, "stand-ins")
    drawn = rng.integers(len(pairs), size=(len(pairs), settings.negatives))
    return [
        replace(
            pair,
            negatives=(*pair.negatives, *(pairs[place].positive for place in places)),
        )
        for pair, places in zip(pairs, drawn, strict=True)
    ]
