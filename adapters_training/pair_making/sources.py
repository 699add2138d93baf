"""What pairs are made from: text, labelled pairs, and the passages to write for and rank."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adapters_training.pair_making.current_encoder import CurrentEncoder
from adapters_training.pairs import Pair
from adapters_training.randomness import numpy_generator
from adapters_training.ranking import Ranker, VectorRanker, WordRanker
from adapters_training.selection.development import DevelopmentSet
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.text.examples import Corpus
from adapters_training.text.passages import cut_passages
from encoder.loading import load_tokenizer

logger = logging.getLogger(__name__)

ENCODE_AT_ONCE = 256

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSources:
    """What pairs are made from."""

    base: Path
    """The model that writes queries."""

    corpus: Corpus
    labelled: Sequence[Pair]
    adapters: Sequence[Path]
    """Of the stages before: with them the base is the encoder that filters and mines."""

    development: DevelopmentSet | None = None
    """The user's own, or of a stage before; None: pairs may be held back for one."""

    announce: Announce = logger.info
    """Told what is being done, and how far it is."""


def passage_pool(sources: PairSources, settings: ContrastiveSettings, *, seed: int) -> list[str]:
    """Cut the text into passages, and draw some where there are more than the pool holds."""
    tokenizer = load_tokenizer(sources.base)
    passages = cut_passages(sources.corpus.items, tokenizer, max_tokens=settings.max_tokens)
    if len(passages) <= settings.pool:
        return passages
    drawn = numpy_generator(seed, "pool").choice(len(passages), settings.pool, replace=False)
    return [passages[i] for i in sorted(drawn.tolist())]


def make_rankers(
    passages: Sequence[str], names: Sequence[str], *, encoder: CurrentEncoder, announce: Announce
) -> list[Ranker]:
    """Rank passages by words, by the encoder, or both."""
    rankers: list[Ranker] = []
    if "bm25" in names:
        rankers.append(WordRanker(passages))
    if "encoder" in names:
        show = countdown("passages encoded", announce)
        blocks = []
        for start in range(0, len(passages), ENCODE_AT_ONCE):
            blocks.append(encoder.encode_passages(passages[start : start + ENCODE_AT_ONCE]))
            show(min(start + ENCODE_AT_ONCE, len(passages)), len(passages))
        rankers.append(VectorRanker(np.concatenate(blocks), encoder.encode_queries))
    return rankers


def countdown(what: str, announce: Announce) -> Callable[[int, int], None]:
    """Make a callback that says how far something is and how long the rest takes."""
    started = time.monotonic()

    def show(done: int, total: int) -> None:
        left = (time.monotonic() - started) * (total - done) / max(done, 1)
        announce(f"{what}: {done} of {total}, {left:.0f} s left")

    return show
