"""What a run's development set says: words alone, the base as it was, each stage, the result."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adapters_training.disk import write_json
from adapters_training.ranking import WordRanker
from adapters_training.run.folder import SCORES_FILE, StageFolder
from adapters_training.selection.development import (
    CUTOFF,
    DevelopmentSet,
    FloatArray,
    ndcg_of_rankings,
)
from adapters_training.selection.ranking import measure_adapters
from adapters_training.selection.selection import MEASURE
from adapters_training.settings.run import AdaptSettings

logger = logging.getLogger(__name__)


def compare_run(
    run_folder: Path,
    development: DevelopmentSet,
    *,
    base: Path,
    stages: Sequence[StageFolder],
    settings: AdaptSettings,
) -> None:
    """Write development.json: each query's nDCG@10 by every system; nothing if it is there.

    Args:
        run_folder: Gets the file.
        development: Queries and passages.
        base: Checkpoint folder of the decoder.
        stages: In order, finished.
        settings: Of the run, dtype and device resolved.
    """
    path = run_folder / SCORES_FILE
    if path.is_file():
        return
    scores = [stage.read_scores() for stage in stages]
    adapters = [stage.adapter for stage in stages]

    def measure(count: int) -> list[float]:
        logger.info("ranking the development set with %d stages", count)
        found = measure_adapters(base, adapters[:count], development=development, run=settings)
        return rounded(found)

    first, last = scores[0], scores[-1]
    write_json(
        path,
        {
            "schema_version": 1,
            "measure": MEASURE,
            "origin": development.origin,
            "composition": development.composition,
            "passages": len(development.passages),
            "queries": list(development.queries),
            "bm25": rounded(rank_by_words(development)),
            "base": rounded(first["start"]) if first else measure(0),
            "stages": [
                {**one, "start": rounded(one["start"]), "best": rounded(one["best"])}
                for one in scores
                if one
            ],
            "adapted": rounded(last["best"]) if last else measure(len(stages)),
        },
    )


def rank_by_words(development: DevelopmentSet) -> FloatArray:
    """Rank the development set by BM25; each query's nDCG@10, ``[Q]``."""
    passages = development.passages
    ranked = WordRanker(passages).rank(development.queries, k=min(CUTOFF, len(passages)))
    found = np.where(ranked.scores > 0, ranked.positions, -1)
    return ndcg_of_rankings(found, development.relevant)


def rounded(scores: Sequence[float] | FloatArray) -> list[float]:
    """Shorten values for people who open the file."""
    return [round(float(score), 6) for score in scores]
