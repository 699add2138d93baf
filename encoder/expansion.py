"""Queries widened by a language model before the search: likely answers, and other wordings.

Both write the same for the same query every time unless a temperature is given; with one, what is
drawn still follows from the seed and the query.
"""

from encoder.generation import Continuation, continue_prompts
from encoder.hardware import choose_token_budget
from encoder.line_cleaning import normalize, repeats_itself, tidy
from encoder.loading import Decoder, context_tokens
from encoder.prompting import readable
from encoder.sampling import Sampling
from encoder.search_prompts import ANSWER, Task, rewording_task, wording, write_prompt

QUERY_SHARE = 4
"""A query may take this part of the context, one in so many."""

PREAMBLE = 2
"""Lines more than wanted that are read of a chat's answer, such as "Here are three wordings:"."""

MAX_WORDING_CHARS = 300


class PassageWriter:
    """Writes passages such as would answer a query; HyDE searches with their vectors.

    Source:
        Gao et al. 2022, arXiv:2212.10496. They draw several passages at temperature 0.7; ours is
        one, the likeliest, so that a search can be repeated.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        passages: int = 1,
        max_new_tokens: int = 128,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Wrap a loaded model.

        Args:
            decoder: Causal, with its head; such as the generator of `load_with_generator`.
            passages: Written for each query, at least 1; fewer are given where two are the same.
            max_new_tokens: Of one passage; it is cut there.
            temperature: Divides the logits, >= 0; 0: the likeliest token, always.
            seed: Decides what is drawn at a temperature above 0.

        Raises:
            ValueError: an argument is out of range, or several passages would all be the same.
        """
        _check(passages=passages, max_new_tokens=max_new_tokens, temperature=temperature)
        if passages > 1 and temperature == 0:
            raise ValueError(
                f"{passages} passages at temperature 0 would all be the same\n"
                "hint: set a temperature such as 0.7"
            )
        self._decoder = decoder
        self._sampling = Sampling(
            each=passages, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed
        )

    def write(self, query: str) -> tuple[str, ...]:
        """Write passages for a query; maybe none, as for a blank one."""
        # Behind a plain prompt the model would go on with another example.
        lines = None if self._decoder.tokenizer.chat_template else 1
        written = _continue(self._decoder, ANSWER, query, sampling=self._sampling, max_lines=lines)
        texts = dict.fromkeys(passage.text for passage in written if passage.text)
        return tuple(text for text in texts if not repeats_itself(text))


class QueryRewriter:
    """Writes a query in other words; each wording is searched for, and the rankings are fused."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        wordings: int = 3,
        max_new_tokens: int = 96,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Wrap a loaded model.

        Args:
            decoder: Causal, with its head; such as the generator of `load_with_generator`.
            wordings: Wanted for each query, at least 1; fewer are given where lines are unfit.
            max_new_tokens: Of all wordings together; a line that is cut there is left out.
            temperature: Divides the logits, >= 0; 0: the likeliest token, always.
            seed: Decides what is drawn at a temperature above 0.

        Raises:
            ValueError: an argument is out of range.
        """
        _check(wordings=wordings, max_new_tokens=max_new_tokens, temperature=temperature)
        self._decoder = decoder
        self._wordings = wordings
        self._sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)

    def write(self, query: str) -> tuple[str, ...]:
        """Write other wordings of a query, each once and none the query itself; maybe none."""
        is_chat = bool(self._decoder.tokenizer.chat_template)
        written = _continue(
            self._decoder,
            rewording_task(self._wordings),
            query,
            sampling=self._sampling,
            max_lines=self._wordings + PREAMBLE * is_chat,
        )
        return tuple(
            line for answer in written for line in fit_wordings(answer, query)[: self._wordings]
        )


def fit_wordings(written: Continuation, query: str) -> list[str]:
    """Take the wordings out of a model's answer: tidied, each once, none the query itself.

    A line that ends in a colon announces the others, and one that was cut has lost its end.
    """
    lines = written.text.split("\n")
    fit: dict[str, str] = {}
    for line in map(tidy, lines if written.ended else lines[:-1]):
        plain = normalize(line)
        if plain and not line.endswith(":") and len(line) <= MAX_WORDING_CHARS:
            fit.setdefault(plain, line)
    fit.pop(normalize(query), None)
    return list(fit.values())


def _continue(
    decoder: Decoder, task: Task, query: str, *, sampling: Sampling, max_lines: int | None
) -> list[Continuation]:
    """Let the model answer a request about one query."""
    context = context_tokens(decoder.model.config)
    (text,) = readable(decoder.tokenizer, [query], max_tokens=max(1, context // QUERY_SHARE))
    if not text:
        return []
    ((_, written),) = next(
        continue_prompts(
            decoder,
            [write_prompt(decoder.tokenizer, task, wording(text))],
            sampling=sampling,
            batch_tokens=choose_token_budget(decoder.model.device.type),
            max_lines=max_lines,
        )
    )
    return written


def _check(*, max_new_tokens: int, temperature: float, **counts: int) -> None:
    for name, count in {**counts, "max_new_tokens": max_new_tokens}.items():
        if count < 1:
            raise ValueError(f"`{name}` must be at least 1; got {count}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"`temperature` must be a finite number >= 0; got {temperature}")
