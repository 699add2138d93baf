"""Gather the pairs of a contrastive stage: labelled, from structure, written by the model itself.

What was gathered is kept in the stage's folder, so that a resumed run learns from the same pairs
and makes none twice.
"""

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters_training.disk import durable_write, write_json
from adapters_training.errors import TrainingPairsError
from adapters_training.pair_making.current_encoder import CurrentEncoder
from adapters_training.pair_making.gathering import gather
from adapters_training.pair_making.hard_negatives import (
    MiningReport,
    MiningSettings,
    mine_negatives,
    with_positives,
)
from adapters_training.pair_making.held_back import hold_back, without_queries
from adapters_training.pair_making.sources import PairSources, make_rankers, passage_pool
from adapters_training.pairs import Pair, pair_from_dict, pair_to_dict
from adapters_training.randomness import derive_seed
from adapters_training.selection.development import (
    DevelopmentSet,
    development_to_dict,
    read_development,
)
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.run import AdaptSettings

logger = logging.getLogger(__name__)

FEW_BATCHES = 4
PAIRS_FILE, REPORT_FILE = "pairs.jsonl", "pairs.json"
DEVELOPMENT_FILE = "development-set.json"


@dataclass(frozen=True, slots=True)
class MadePairs:
    """The pairs of a stage, and how they came about."""

    pairs: tuple[Pair, ...]
    report: Mapping[str, Any]
    """JSON values."""

    development: DevelopmentSet | None = None
    """What the stage is evaluated on; none of its queries is among the pairs."""


def make_pairs(
    sources: PairSources,
    settings: ContrastiveSettings,
    *,
    run: AdaptSettings,
    folder: Path,
    label: str,
) -> MadePairs:
    """Gather the pairs that a stage asks for, or read what was gathered before.

    Raises:
        TrainingPairsError: there are fewer than 2.
    """
    before = read_made(folder)
    if before is not None:
        return before
    seed = derive_seed(run.seed, label, "pairs")
    encoder = CurrentEncoder(sources.base, sources.adapters, settings=settings, run=run)
    pairs, report = gather(sources, settings, run=run, folder=folder, seed=seed, encoder=encoder)
    gathered = len(pairs)
    pairs, development = keep_apart(
        pairs, sources, run=run, seed=seed, held=settings.evaluations > 0
    )
    report["held_back"] = gathered - len(pairs)
    if len(pairs) < 2:
        raise TrainingPairsError(
            f"the contrastive stage needs at least 2 pairs; got {len(pairs)}, "
            f"and {gathered - len(pairs)} of development queries\n"
            "hint: give labelled pairs, or text with titles or headings"
        )
    if len(pairs) < FEW_BATCHES * settings.batch_size:
        logger.warning(
            "%s has %d pairs, fewer than %d batches of %d: an encoder learns little from so few",
            *(label, len(pairs), FEW_BATCHES, settings.batch_size),
        )
    if settings.negatives and settings.mine:
        pairs, mined = mine(pairs, sources, settings, seed=seed, encoder=encoder)
        report["negatives"] = dataclasses.asdict(mined)
    made = MadePairs(pairs=tuple(pairs), report=report, development=development)
    write_made(folder, made)
    return made


def mine(
    pairs: list[Pair],
    sources: PairSources,
    settings: ContrastiveSettings,
    *,
    seed: int,
    encoder: CurrentEncoder,
) -> tuple[list[Pair], MiningReport]:
    """Look for hard negatives of the pairs that have too few."""
    passages = with_positives(passage_pool(sources, settings, seed=seed), pairs)
    sources.announce(f"hard negatives are looked for among {len(passages)} passages")
    return mine_negatives(
        pairs,
        passages,
        rankers=make_rankers(passages, settings.mine, encoder=encoder, announce=sources.announce),
        settings=MiningSettings(count=settings.negatives),
    )


def keep_apart(
    pairs: list[Pair], sources: PairSources, *, run: AdaptSettings, seed: int, held: bool
) -> tuple[list[Pair], DevelopmentSet | None]:
    """Take the development queries out of the pairs that are trained on.

    Args:
        pairs: All there are.
        sources: With the development set, where there is one.
        run: How large a set to hold back.
        seed: Decides which queries.
        held: Whether pairs may be held back where no set is given.

    Returns:
        The pairs that are left, and the development set.
    """
    if sources.development is not None:
        return without_queries(pairs, sources.development), sources.development
    if not held or not run.development_queries:
        return pairs, None
    return hold_back(
        pairs,
        count=run.development_queries,
        max_passages=run.development_passages,
        extra_passages=sources.corpus.texts,
        seed=seed,
    )


def write_made(folder: Path, made: MadePairs) -> None:
    """Keep what was gathered; the report is written last and says that it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(pair_to_dict(pair), ensure_ascii=False) for pair in made.pairs]
    durable_write(folder / PAIRS_FILE, ("\n".join(lines) + "\n").encode())
    if made.development is not None:
        write_json(folder / DEVELOPMENT_FILE, development_to_dict(made.development))
    write_json(folder / REPORT_FILE, made.report)


def read_made(folder: Path) -> MadePairs | None:
    """Read what was gathered; None: it is not, or not to the end."""
    if not (folder / REPORT_FILE).is_file():
        return None
    lines = (folder / PAIRS_FILE).read_text(encoding="utf-8").split("\n")
    pairs = tuple(pair_from_dict(json.loads(line)) for line in lines if line)
    return MadePairs(
        pairs=pairs,
        report=json.loads((folder / REPORT_FILE).read_text("utf-8")),
        development=read_development(folder / DEVELOPMENT_FILE),
    )
