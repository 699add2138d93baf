"""Questions about Python's standard library, written and judged by hand for this project."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from argot.errors import DemoError

GRADES = (1, 2)
"""1: also helps. 2: answers the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question as a developer asks it who does not know the name, with its judged answers."""

    id: str
    """Unique among the questions."""

    text: str
    """One question in English."""

    answers: Mapping[str, int]
    """Grade of each document that answers, by qualified name; a name not here has grade 0."""

    def __post_init__(self) -> None:
        if not self.id or not self.text.strip():
            raise ValueError(f"a question needs an id and a text; got {self.id!r}, {self.text!r}")
        if not self.answers:
            raise ValueError(f"question {self.id} has no answer: a question no text can meet")
        wrong = {name: grade for name, grade in self.answers.items() if grade not in GRADES}
        if wrong:
            raise ValueError(f"grades of question {self.id} must be 1 or 2; got {wrong}")


def read_questions() -> tuple[Question, ...]:
    """Read the questions shipped with the package, in their order."""
    file = resources.files("argot.demo") / "questions.jsonl"
    return parse_questions(file.read_text(encoding="utf-8").splitlines())


def parse_questions(lines: Sequence[str]) -> tuple[Question, ...]:
    """Turn JSON lines into checked questions.

    Args:
        lines: One object a line: ``id``, ``question`` and ``answers``, a grade for each name.

    Returns:
        The questions in the order of the lines.

    Raises:
        ValueError: A line is not a question, or an id or a text is there twice.
    """
    questions = tuple(_parse(line, number=number) for number, line in enumerate(lines, start=1))
    for field, values in (
        ("id", [question.id for question in questions]),
        ("question", [question.text.casefold() for question in questions]),
    ):
        repeated = [value for value, count in Counter(values).items() if count > 1]
        if repeated:
            raise ValueError(f'questions.jsonl: each "{field}" must be there once; got {repeated}')
    return questions


def judged_in(document_ids: Collection[str], *, questions: Sequence[Question]) -> None:
    """Check that every judged answer is a document.

    Args:
        document_ids: Qualified names in the corpus.
        questions: Usually all of ``read_questions()``.

    Raises:
        DemoError: At least one is not, so the question could not be answered fairly.
    """
    missing = {
        f"{question.id} {name}"
        for question in questions
        for name in question.answers
        if name not in document_ids
    }
    if missing:
        raise DemoError(
            f"{len(missing)} judged answers are not among the {len(document_ids)} documents: "
            f"{', '.join(sorted(missing))}\n"
            "hint: this Python lacks a standard module or its documentation; use CPython 3.11+"
        )


def _parse(line: str, *, number: int) -> Question:
    place = f"questions.jsonl:{number}"
    try:
        row = json.loads(line)
        return Question(id=row["id"], text=row["question"], answers=row["answers"])
    except KeyError as exc:
        raise ValueError(f"{place}: the field {exc} is missing") from exc
    except (TypeError, AttributeError, ValueError) as exc:
        raise ValueError(f"{place}: not a question: {exc}") from exc
