"""Judged queries in two parts: some to choose by, others to check the choice on."""

from collections.abc import Sequence

import numpy as np

from argot.errors import SettingsError
from argot.evaluation.searches import SEED
from retriever.evaluation.judgements import Judgements

HELD_OUT_SHARE = 1 / 3
MIN_QUERIES = 5
"""In each part."""


def split_judgements(judgements: Judgements) -> tuple[Judgements, Judgements]:
    """Part queries at random, the same way every time: two thirds to choose by, one to hold out."""
    ids = list(answerable(judgements).queries)
    order = np.random.default_rng(SEED).permutation(len(ids)).tolist()
    out = {ids[place] for place in order[: round(len(ids) * HELD_OUT_SHARE)]}
    return (
        only(judgements, [id_ for id_ in ids if id_ not in out]),
        only(judgements, [id_ for id_ in ids if id_ in out]),
    )


def apart(train: Judgements, held_out: Judgements) -> tuple[Judgements, Judgements]:
    """Take out of the first what the second holds, by id or by wording, and check both.

    Raises:
        SettingsError: too few queries are left in one of them.
    """
    held_out = answerable(held_out)
    texts = {*held_out.queries.values()}
    kept = answerable(train)
    unseen = [
        id_
        for id_, text in kept.queries.items()
        if id_ not in held_out.queries and text not in texts
    ]
    taken = len(kept.queries) - len(unseen)
    both = f" ({taken} are left out, as they are held out, too)" if taken else ""
    train = only(train, unseen)
    for part, what in ((train, "to choose by"), (held_out, "to check on")):
        if len(part.queries) < MIN_QUERIES:
            raise SettingsError(
                f"tuning needs at least {MIN_QUERIES} queries {what} that have words and "
                f"a relevant document; got {len(part.queries)}{both if part is train else ''}\n"
                "hint: judge more queries, or give others with --held-out"
            )
    return train, held_out


def answerable(judgements: Judgements) -> Judgements:
    """Keep the queries that have words and a relevant document."""
    grades, texts = judgements.grades, judgements.queries
    return only(
        judgements,
        [id_ for id_ in texts if texts[id_].strip() and max(grades[id_].values(), default=0) > 0],
    )


def only(judgements: Judgements, ids: Sequence[str]) -> Judgements:
    """Keep some queries."""
    return Judgements(
        {id_: judgements.queries[id_] for id_ in ids}, {id_: judgements.grades[id_] for id_ in ids}
    )
