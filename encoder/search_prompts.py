"""What a language model is asked around a search: is this an answer, what would one be, what else.

Each task is shown an example or two, so that a model without a chat template has a pattern to
continue, and a small one with a template keeps to the form.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from encoder.prompting import write_chat


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of request, with examples."""

    instruction: str
    label: str
    """What stands before an answer where there are no turns."""

    examples: tuple[tuple[str, str], ...]
    """Requests with their answers."""


def write_prompt(tokenizer: PreTrainedTokenizerFast, task: Task, request: str) -> str:
    """Write the prompt behind which a model answers; a chat where the tokenizer has a template."""
    if not tokenizer.chat_template:
        shown = "".join(f"{asked}\n{task.label}:{_led(said)}\n\n" for asked, said in task.examples)
        return f"{task.instruction}\n\n{shown}{request}\n{task.label}:"
    turns = []
    for asked, said in task.examples:
        turns += [_user(task, asked), {"role": "assistant", "content": said}]
    return write_chat(tokenizer, [*turns, _user(task, request)])


def judging(query: str, passage: str) -> str:
    """Ask whether a passage answers a query; the query first, so that many passages share it."""
    return (
        f"Query: {query}\nPassage: {passage}\nDoes the passage answer the query? Answer yes or no."
    )


def wording(query: str) -> str:
    """Ask about a query alone."""
    return f"Query: {query}"


def _user(task: Task, request: str) -> dict[str, str]:
    return {"role": "user", "content": f"{task.instruction}\n\n{request}"}


def _led(answer: str) -> str:
    return f"\n{answer}" if "\n" in answer else f" {answer}"


FILTER_QUERY = "how is the filter of the coffee machine replaced?"
FILTER_PASSAGE = (
    "Switch the machine off and let it cool. Pull the water tank upwards, turn the filter "
    "cartridge a quarter to the left and take it out. Rinse the new cartridge for one minute "
    "before it is inserted."
)
OTHER_PASSAGE = (
    "The coffee machine may be used by all employees. Cups belong in the dishwasher and not in "
    "the sink."
)
FILTER_WORDINGS = (
    "changing the filter cartridge of a coffee maker",
    "steps to swap the coffee machine's filter",
    "coffee machine: insert new water filter",
)

JUDGE = Task(
    instruction="Tell whether a passage answers a query.",
    label="Answer",
    examples=(
        (judging(FILTER_QUERY, OTHER_PASSAGE), "no"),
        (judging(FILTER_QUERY, FILTER_PASSAGE), "yes"),
    ),
)
ANSWER = Task(
    instruction="Write a short passage, as it could stand in a document, that answers the query.",
    label="Passage",
    examples=((wording(FILTER_QUERY), FILTER_PASSAGE),),
)


def rewording_task(count: int) -> Task:
    """Make the task of writing ``count`` other wordings of a query."""
    shown: Sequence[str] = FILTER_WORDINGS
    return Task(
        instruction=(
            f"Write {count} other wordings of the search query, one a line: other words, the same "
            "meaning."
        ),
        label="Other wordings",
        examples=((wording(FILTER_QUERY), "\n".join(shown[:count])),),
    )
