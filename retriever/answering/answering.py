"""Questions to answers: search, keep what is relevant, let a model write, check what it cites."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Unpack

from encoder.base import SparseEncoder
from retriever.answering.citations import CitedText
from retriever.answering.prompt import NO_ANSWER, AnswerModel, Source, fit_sources, prompt
from retriever.answering.relevance import Relevance, relevance
from retriever.answering.settings import AnswerSettings
from retriever.conditions import Filter
from retriever.errors import QuestionError
from retriever.plan import PlanOptions
from retriever.results import Hit
from retriever.search import Searcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered, and from what."""

    question: str
    text: str = ""
    """As the model wrote it, citations of sources that do not exist dropped."""

    sources: tuple[Source, ...] = ()
    """What the model was given to read."""

    cited: tuple[int, ...] = ()
    """Numbers of sources, in the order in which the text cites them."""

    unknown: tuple[int, ...] = ()
    """Numbers that the model cited and that no source has."""

    left_out: int = 0
    """Relevant hits that the model's context had no room for."""

    refusal: str | None = None
    """Why the question is not answered; None if it is."""


def ignore(_: str) -> None:
    """Do nothing with a piece of an answer."""


def check_question(question: str) -> None:
    """Refuse a blank question; to be called before anything is loaded for it.

    Raises:
        QuestionError: saying what to give.
    """
    if not question.strip():
        raise QuestionError(
            f"a question must have at least one word; got {question!r}\n"
            "hint: write it out, such as 'How many days of leave are there?'"
        )


class Answerer:
    """Answers questions from what a searcher finds.

    Args:
        searcher: Its index and its access rules hold.
        sparse: Weighs words as when that index was built.
        load_model: Called when there is something to answer from.
        settings: What is relevant, and how much is read and written.
    """

    def __init__(
        self,
        searcher: Searcher,
        *,
        sparse: SparseEncoder,
        load_model: Callable[[], AnswerModel],
        settings: AnswerSettings,
    ) -> None:
        self._searcher = searcher
        self._sparse = sparse
        self._load_model = load_model
        self._settings = settings

    def answer(
        self,
        question: str,
        *,
        on_text: Callable[[str], None] = ignore,
        where: Filter = None,
        principals: Sequence[str] | None = None,
        **options: Unpack[PlanOptions],
    ) -> Answer:
        """Answer a question, or say why not.

        Raises what a search raises, MissingPrincipalError among it.

        Args:
            question: In the user's words; not blank.
            on_text: Told each piece of the answer as it is written.
            where: Narrows the chunks that are searched.
            principals: Who asks, as for `Searcher.search`.
            options: As for `Searcher.search`, but `k` counts the hits that the model may read, and
                has a setting of its own; with a `min_cosine` there is always rescoring.

        Raises:
            QuestionError: the question is blank.
            ValueError: the model's context has no room for a source.
        """
        check_question(question)
        asked = options.get("k")
        wanted = options["k"] = self._settings.k if asked is None else asked
        if self._settings.min_cosine is not None:
            # It is compared with cosines, not with what codes make of them.
            options["rescore"] = True
        found = self._searcher.search(question, where=where, principals=principals, **options)
        hits = found[:wanted]  # grouped by document, there may be more
        terms = self._sparse.terms(question)
        judged = [relevance(hit, terms=terms, sparse=self._sparse) for hit in hits]
        relevant = [
            hit
            for hit, judged_as in zip(hits, judged, strict=True)
            if judged_as.suffices(self._settings)
        ]
        if not relevant:
            return Answer(question=question, refusal=_why_not(judged, self._settings))
        return self._written(question, relevant, on_text=on_text)

    def _written(
        self, question: str, hits: Sequence[Hit], *, on_text: Callable[[str], None]
    ) -> Answer:
        model, new_tokens = self._load_model(), self._settings.max_new_tokens
        sources = fit_sources(question, hits, model=model, max_new_tokens=new_tokens)
        turns = prompt(question, sources, model=model)
        checked = CitedText(len(sources))
        pieces: list[str] = []

        def pass_on(text: str) -> None:
            text = text if pieces else text.lstrip()
            if text:
                pieces.append(text)
                on_text(text)

        for piece in model.write(turns, max_new_tokens=new_tokens):
            pass_on(checked.feed(piece))
        pass_on(checked.finish().rstrip())
        text = "".join(pieces)
        return Answer(
            question=question,
            text=text,
            sources=sources,
            cited=checked.cited,
            unknown=checked.unknown,
            left_out=len(hits) - len(sources),
            refusal=_refusal_of(text),
        )


def _refusal_of(text: str) -> str | None:
    if not text:
        return "the model wrote nothing"
    said_no = text.casefold().startswith(NO_ANSWER.rstrip(".").casefold())
    return "the model found no answer in the sources" if said_no else None


def _why_not(judged: Sequence[Relevance], settings: AnswerSettings) -> str:
    if not judged:
        return "nothing was found"
    least, share = settings.min_term_share, max(found.term_share for found in judged)
    cosines = [found.cosine for found in judged if found.cosine is not None]
    parts = [f"at least {least:.0%} of the question's words; the best has {share:.0%}"]
    if settings.min_cosine is not None:
        best = f"{max(cosines):.3f}" if cosines else "unknown"
        parts.append(f"a cosine of at least {settings.min_cosine}; the best is {best}")
    return f"none of {len(judged)} hits is relevant: one must hold " + ", or have ".join(parts)
