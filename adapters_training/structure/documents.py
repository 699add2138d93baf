"""Every query and passage that a document's structure offers, before anything is left out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from adapters_training.randomness import numpy_generator
from adapters_training.structure.code import documentation_pairs, is_code, name_pairs
from adapters_training.structure.prose import (
    is_question,
    label_pair,
    plain,
    question_pairs,
    sentence_pairs,
    summary_pair,
    title_pair,
)
from adapters_training.text.documents import TrainingText
from adapters_training.text.sentences import count_words, front_title, sections

MAX_SUBJECT_WORDS = 4
"""Of a title that queries name: of a product, a site, not of a paper."""

MAX_SHARING = 3
"""Texts that a title or heading may stand over and still name each of them."""

NAMED_SHARE = 0.25
"""Share of queries that name what they are asked of: the title or heading above."""

CONTEXT_SHARE = 0.5
"""Share of passages that keep the titles over them, as indexed chunks do."""


class Kind(StrEnum):
    """Where in the structure a query stands; the ``set`` of its pair."""

    TITLE = "title"
    HEADING = "heading"
    QUESTION = "question"
    SUMMARY = "summary"
    SENTENCE = "sentence"
    DOCUMENTATION = "documentation"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A query and a passage that may make a pair."""

    kind: Kind
    query: str
    passage: str
    context: str = ""
    """Titles over the passage, in the form the index puts them before a chunk."""

    @property
    def positive(self) -> str:
        """The passage below its context."""
        return "\n".join(part for part in (self.context, self.passage) if part)


@dataclass(frozen=True, slots=True)
class _Part:
    """A text below one heading."""

    text: str
    above: tuple[str, ...]
    """Title and headings, outermost first."""

    title: str
    """Its document's where the document opens with this part, else empty."""

    heading: str
    """The last of ``above`` where it is no title, else empty."""

    subject: str
    """The document's title where it is short and has more parts than this one, else empty."""


def candidates(
    texts: Sequence[TrainingText], *, seed: int, sentences_per_passage: int
) -> Iterator[Candidate]:
    """Find candidates, in the order of the texts; neighbours of one title are one document."""
    parts = list(_parts(texts))
    sharing = Counter(part.heading.casefold() for part in parts)
    for part in parts:
        rng = numpy_generator(seed, "structure", *part.above, part.text)
        if is_code(part.text):
            yield from _of_code(part, rng=rng)
            continue
        yield from _of_titles(part, sharing=sharing, rng=rng)
        yield from _of_prose(part, sentences_per_passage=sentences_per_passage, rng=rng)


def _parts(texts: Sequence[TrainingText]) -> Iterator[_Part]:
    titles = [plain(text.title or front_title(text.text)) for text in texts]
    for i, (text, title) in enumerate(zip(texts, titles, strict=True)):
        whole = list(sections(text.text)) if not is_code(text.text) else [((), text.text.strip())]
        continues = i > 0 and bool(title) and titles[i - 1] == title
        continued = i + 1 < len(titles) and titles[i + 1] == title
        several = continues or continued or len(whole) > 1
        subject = title if several and count_words(title) <= MAX_SUBJECT_WORDS else ""
        opening = "" if continues else title
        for inner, body in whole:
            path = [plain(heading) for heading in (*text.headings, *inner)]
            names = [name for name in dict.fromkeys((title, *path)) if name]
            heading = path[-1] if path and path[-1] != title else ""
            if body:
                yield _Part(body, tuple(names), opening, heading, subject)
                opening = ""


def _of_code(part: _Part, *, rng: np.random.Generator) -> Iterator[Candidate]:
    for query, passage in documentation_pairs(part.text):
        yield Candidate(Kind.DOCUMENTATION, query, passage, _context(part, rng=rng))
    for query, passage in name_pairs(part.text):
        yield Candidate(Kind.NAME, query, passage, _context(part, rng=rng))


def _of_titles(
    part: _Part, *, sharing: Counter[str], rng: np.random.Generator
) -> Iterator[Candidate]:
    if part.title:
        query, passage = title_pair(part.title, part.text, rng=rng)
        context = _context(part, said=(part.title,), rng=rng)
        yield Candidate(Kind.TITLE, query, passage, context)
    if part.heading:
        yield _of_heading(part, sharing=sharing, rng=rng)


def _of_heading(part: _Part, *, sharing: Counter[str], rng: np.random.Generator) -> Candidate:
    """Pair a heading with its text; one that says too little by itself with what is over it."""
    heading = part.heading
    says_enough = count_words(heading) > 1 and sharing[heading.casefold()] <= MAX_SHARING
    joined = len(part.above) > 1 and (not says_enough or rng.random() < NAMED_SHARE)
    said = part.above[-2:] if joined else (heading,)
    _, passage = title_pair(heading, part.text, rng=rng)
    kind = Kind.QUESTION if is_question(heading) else Kind.HEADING
    return Candidate(kind, ": ".join(said), passage, _context(part, said=said, rng=rng))


def _of_prose(
    part: _Part, *, sentences_per_passage: int, rng: np.random.Generator
) -> Iterator[Candidate]:
    found = [(Kind.QUESTION, *pair) for pair in question_pairs(part.text)]
    label = label_pair(part.text)
    found += [(Kind.HEADING, *label)] if label else []
    summary = summary_pair(part.text, rng=rng)
    found += [(Kind.SUMMARY, *summary)] if summary else []
    sentences = sentence_pairs(part.text, each=sentences_per_passage, rng=rng)
    found += [(Kind.SENTENCE, *pair) for pair in sentences]
    for kind, query, passage in found:
        # Who asks something of one product, site or paper among many names it.
        if part.subject and rng.random() < NAMED_SHARE:
            yield Candidate(kind, f"{part.subject}: {query}", passage, " > ".join(part.above))
        else:
            yield Candidate(kind, query, passage, _context(part, rng=rng))


def _context(part: _Part, *, said: tuple[str, ...] = (), rng: np.random.Generator) -> str:
    """Show the titles over a passage that its query does not say, or none of them."""
    names = [name for name in part.above if name not in said]
    return " > ".join(names) if rng.random() < CONTEXT_SHARE else ""
