"""The prompt behind which a model writes a query for a passage.

Source: Dai et al. 2022, arXiv:2209.11755 (Promptagator), up to eight examples of the task;
Bonifacio et al. 2022, arXiv:2202.05144 (InPars), a prompt to be continued. Where there is a chat
template it takes the place of their continuation: with SmolLM2-135M-Instruct more than half of the
queries then find their passage among the first three of BM25, and behind a plain prompt one in ten.
"""

from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerFast

from adapters_training.settings.synthetic import SyntheticSettings
from encoder.prompting import readable, write_chat

Example = tuple[str, str]
"""A query and the passage that answers it."""

BUILT_IN_EXAMPLES: tuple[Example, ...] = (
    (
        "how is the filter of the coffee machine replaced?",
        "Maintenance\nSwitch the machine off and let it cool. Pull the water tank upwards, turn "
        "the filter cartridge a quarter to the left and take it out. Rinse the new cartridge for "
        "one minute before it is inserted.",
    ),
    (
        "who approves travel expenses above 500 euros?",
        "Travel expenses\nExpenses up to 500 euros are approved by the head of the team. Higher "
        "amounts need the written consent of the finance department before the journey is booked.",
    ),
    (
        "why do leaves turn yellow in autumn?",
        "As the days grow shorter, trees stop making chlorophyll, the green pigment of their "
        "leaves. Yellow and orange pigments that were hidden all summer then become visible, and "
        "some species produce red ones.",
    ),
)
"""Shown where the user gives none; of no field in particular."""

Prompt = Callable[[str], str]


def make_prompt(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example], *, settings: SyntheticSettings
) -> Prompt:
    """Make the function that turns a passage into a prompt.

    Raises:
        ValueError: ``prompt = "chat"``, and the tokenizer has no chat template.
    """
    examples = examples[: settings.examples]
    passages = readable(tokenizer, [p for _, p in examples], max_tokens=settings.passage_tokens)
    queries = [_on_one_line(query) for query, _ in examples]
    shown = list(zip(queries, passages, strict=True))
    if settings.prompt == "chat" and not tokenizer.chat_template:
        raise ValueError(
            '`prompt = "chat"` needs a tokenizer with a chat template; this one has none\n'
            'hint: use `prompt = "plain"`'
        )
    if settings.prompt == "plain" or not tokenizer.chat_template:
        return _plain(shown)
    return _chat(tokenizer, shown, instruction=settings.instruction)


def _chat(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example], *, instruction: str
) -> Prompt:
    def ask(passage: str) -> dict[str, str]:
        return {"role": "user", "content": f"Passage: {passage}\n\n{instruction}"}

    turns: list[dict[str, str]] = []
    for query, passage in examples:
        turns += [ask(passage), {"role": "assistant", "content": query}]

    def prompt(passage: str) -> str:
        return write_chat(tokenizer, [*turns, ask(passage)])

    return prompt


def _plain(examples: Sequence[Example]) -> Prompt:
    def block(passage: str, query: str) -> str:
        return f"Passage: {_on_one_line(passage)}\nQuestion:{query}"

    start = "".join(block(passage, f" {query}\n\n") for query, passage in examples)
    return lambda passage: start + block(passage, "")


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
