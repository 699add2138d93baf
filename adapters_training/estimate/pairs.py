"""The pairs that a contrastive stage would learn from, with stand-ins for what takes long to make.

Labelled pairs and those from structure are the real ones. A few queries are written for real, and
stand in for all that would be written. Negatives are mined for real for a few pairs among a few
passages; all others are given as many as those found, passages drawn at random.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

from adapters_training.errors import TrainingPairsError
from adapters_training.estimate.reading import reading_seconds
from adapters_training.pair_making.current_encoder import CurrentEncoder
from adapters_training.pair_making.gathering import load_writer, pairs_by_source, shown_examples
from adapters_training.pair_making.hard_negatives import (
    MiningSettings,
    mine_negatives,
    with_positives,
)
from adapters_training.pair_making.making import keep_apart
from adapters_training.pair_making.sources import PairSources, make_rankers, passage_pool
from adapters_training.pairs import Pair
from adapters_training.randomness import derive_seed, numpy_generator
from adapters_training.selection.development import DevelopmentSet
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.run import AdaptSettings
from adapters_training.synthetic.prompt import BUILT_IN_EXAMPLES
from adapters_training.synthetic.queries import choose_passages, has_text, write_queries

logger = logging.getLogger(__name__)

TRIED_PASSAGES = 16
"""Passages that queries are written for, to see how long it takes."""

TRIED_PAIRS = 48
"""Pairs that negatives are looked for, to see how many are found."""

POOL_SHARE = 2
"""Passages they are looked for among, besides their own, for each such pair."""


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
    found = tried_negatives(kept, passages, settings=settings, seed=seed, encoder=encoder)
    return ExpectedPairs(
        pairs=tuple(with_stand_ins(kept, found, seed=seed)),
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


def tried_negatives(
    pairs: Sequence[Pair],
    passages: Sequence[str],
    *,
    settings: ContrastiveSettings,
    seed: int,
    encoder: CurrentEncoder,
) -> list[int]:
    """Mine for some of the pairs among some of the passages.

    Returns:
        How many negatives each of them was found; ``[0]`` where none would be mined.
    """
    if not settings.negatives or not settings.mine:
        return [0]
    rng = numpy_generator(seed, "tried negatives")
    tried = [pairs[place] for place in rng.permutation(len(pairs))[:TRIED_PAIRS]]
    some = rng.permutation(len(passages))[: POOL_SHARE * len(tried)]
    pool = with_positives([passages[place] for place in some], tried)
    mined, _ = mine_negatives(
        tried,
        pool,
        rankers=make_rankers(pool, settings.mine, encoder=encoder, announce=logger.debug),
        settings=MiningSettings(count=settings.negatives),
    )
    return [
        len(after.negatives) - len(before.negatives)
        for before, after in zip(tried, mined, strict=True)
    ]


def with_stand_ins(pairs: Sequence[Pair], found: Sequence[int], *, seed: int) -> list[Pair]:
    """Give every pair as many positives of others for negatives as one that was tried found."""
    rng = numpy_generator(seed, "stand-ins")
    counts = rng.choice(found, size=len(pairs)).tolist()
    return [
        replace(
            pair,
            negatives=(
                *pair.negatives,
                *(pairs[place].positive for place in rng.integers(len(pairs), size=count)),
            ),
        )
        for pair, count in zip(pairs, counts, strict=True)
    ]
