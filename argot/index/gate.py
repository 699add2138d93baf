"""Whether a new index version finds what the live one finds, tested query by query."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from argot.errors import SettingsError
from argot.evaluation.searches import SEED
from connectors.document import Document
from indexing.catalog.points import CatalogPoints
from retriever.evaluation.evaluation import EvaluationReport, compare
from retriever.evaluation.judgements import Judgements, read_beir, read_judgements
from retriever.evaluation.significance import PairedDifference

logger = logging.getLogger(__name__)

METRICS = ("ndcg@10", "recall@100")
MAX_P_VALUE = 0.05
"""A loss is one when chance alone gives it more rarely."""

FEW_QUERIES = 30
"""With fewer, only a large loss can be told from chance."""

HEADINGS = 300
"""Queries made of headings, at most."""

MAX_DOCUMENTS = 3
"""A heading of more documents, such as `Introduction`, asks for none of them."""

MIN_WORDS = 2


@dataclass(frozen=True, slots=True)
class Questions:
    """What both versions are asked."""

    judgements: Judgements
    origin: str
    """For people: where they are from."""

    made_up: bool = False
    """They are headings of the documents themselves and not questions of users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Both versions measured on the same queries."""

    origin: str
    queries: int
    live: EvaluationReport
    new: EvaluationReport
    tested: Mapping[str, PairedDifference]
    """The new version minus the live one, by metric."""

    @property
    def worse(self) -> list[str]:
        """Metrics in which the new version is worse by more than chance."""
        return [
            name
            for name, found in self.tested.items()
            if found.difference < 0 and found.p_value < MAX_P_VALUE
        ]

    @property
    def few(self) -> bool:
        """Whether the queries are too few to see a small loss."""
        return self.queries < FEW_QUERIES


def judge(live: EvaluationReport, new: EvaluationReport, *, origin: str) -> Verdict:
    """Compare two measurements of the same queries.

    Args:
        live: Of the version that answers.
        new: Of the one that is to.
        origin: Where the queries are from.
    """
    return Verdict(
        origin=origin,
        queries=len(new.per_query),
        live=live,
        new=new,
        tested=compare(new, live, rng=np.random.default_rng(SEED)),
    )


def judged_questions(
    *, queries: Path | None, qrels: Path | None, beir: Path | None, split: str
) -> Questions | None:
    """Read the user's own judged queries; None where none are named.

    Args:
        queries: ``queries.jsonl``.
        qrels: Judgements of those.
        beir: Folder in BEIR's layout, in place of both; its corpus is not read.
        split: Of its qrels.

    Raises:
        SettingsError: one is given without the other, or both kinds are.
        JudgementsError: a file can't be read.
    """
    if beir is not None:
        if queries is not None or qrels is not None:
            raise SettingsError("give either --beir, or --queries and --qrels; got both")
        return Questions(read_beir(beir, split=split), f"{beir}, split {split}")
    if queries is None and qrels is None:
        return None
    if queries is None or qrels is None:
        raise SettingsError("--queries and --qrels go together; one of them is missing")
    return Questions(read_judgements(queries=queries, qrels=qrels), str(qrels))


def headings_as_questions(points: CatalogPoints, *, principals: Sequence[str]) -> Questions:
    """Make queries of the documents' own headings and titles, the same ones at every call.

    A heading's relevant documents are those it stands in. Each chunk is encoded with its headings,
    so these are easier than questions of users: they show that a version is broken, or clearly
    worse, and not that it is better.

    Args:
        points: Of the live version.
        principals: Who asks; documents that they may not see are left out.

    Raises:
        SettingsError: there are no such headings.
    """
    found: dict[str, set[str]] = {}
    for heading, document in _headings(points, principals):
        found.setdefault(heading, set()).add(document.id)
    telling = sorted(heading for heading, ids in found.items() if len(ids) <= MAX_DOCUMENTS)
    if not telling:
        raise SettingsError(
            "a promotion needs queries to judge it by, and the documents have no headings to make "
            "them of\nhint: give --queries and --qrels, or --no-gate to promote unmeasured"
        )
    rng = np.random.default_rng(SEED)
    drawn = sorted(rng.permutation(len(telling))[:HEADINGS].tolist())
    queries = {f"heading-{place}": telling[place] for place in drawn}
    grades = {id_: dict.fromkeys(sorted(found[text]), 1) for id_, text in queries.items()}
    return Questions(Judgements(queries, grades), "headings of the documents", made_up=True)


def _headings(points: CatalogPoints, principals: Sequence[str]) -> Iterator[tuple[str, Document]]:
    asking = set(principals)
    for page in points.pages():
        for indexed, chunk in points.owners(page).values():
            document = indexed.document
            public = document.access is None and not indexed.protected
            heading = (chunk.heading_path or (document.title,))[-1].strip()
            if len(heading.split()) >= MIN_WORDS and (
                public or asking & {*(document.access or ())}
            ):
                yield heading, document
