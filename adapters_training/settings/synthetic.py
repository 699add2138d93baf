"""Settings of the queries that a model writes for the company's own passages."""

from dataclasses import dataclass

from adapters_training.settings.checks import require_choice, require_positive

PROMPTS = ("auto", "chat", "plain")
FILTERS = ("either", "both")


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticSettings:
    """How queries are written, and which are kept."""

    passages: int = 2000
    """Passages to write for, at most; which ones follows from the seed."""

    queries_per_passage: int = 2
    """Queries asked for, at least 1; fewer are kept."""

    examples: int = 2
    """Pairs shown to the model first, >= 0. Two did better than none and than four with a model of
    135 million weights; Promptagator shows a large one up to eight."""

    instruction: str = "Write a specific question about this passage."
    """What the model is told, in the language of the passages. Not part of a ``plain`` prompt."""

    prompt: str = "auto"
    """``chat``: the tokenizer's chat template; ``plain``: passages and questions in turn, to be
    continued; ``auto``: ``chat`` where there is a template."""

    passage_tokens: int = 256
    """Tokens of a passage that the model reads, at most."""

    max_new_tokens: int = 40
    """Tokens of one query; one that hasn't ended there is dropped."""

    temperature: float = 0.5
    """Divides the logits before a token is drawn; 0: the likeliest. Small models leave the passage
    when it is high: of one prompt's queries 56 % found theirs among BM25's first three at 0.3, 44 %
    at 0.7 and 30 % at 1."""

    top_p: float = 0.9
    """Tokens are drawn among the likeliest that have this probability together, in (0, 1]."""

    batch_tokens: int = 16_384
    """Positions kept in the cache of a batch, at most; a position takes some 20 kB in a model of
    135 million weights and 130 kB in one of 8 billion."""

    keep_rank: int = 3
    """A query is kept when its own passage is among this many found for it, at least 1."""

    filter: str = "either"
    """``either``: one ranker has to find the passage, so that the encoder also learns from queries
    in other words; ``both``: all of them."""

    def __post_init__(self) -> None:
        require_positive(
            passages=self.passages,
            queries_per_passage=self.queries_per_passage,
            passage_tokens=self.passage_tokens,
            max_new_tokens=self.max_new_tokens,
            batch_tokens=self.batch_tokens,
            keep_rank=self.keep_rank,
        )
        if self.examples < 0 or self.temperature < 0:
            raise ValueError(
                "`examples` and `temperature` must be at least 0; "
                f"got {self.examples} and {self.temperature}"
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"`top_p` must be in (0, 1]; got {self.top_p}")
        if self.queries_per_passage > 1 and self.temperature == 0:
            raise ValueError(
                "`temperature` must be above 0 for `queries_per_passage` above 1, or all queries "
                f"of a passage are the same; got {self.queries_per_passage} queries at 0"
            )
        if not self.instruction.strip():
            raise ValueError("`instruction` must say what to write; got none")
        require_choice("prompt", self.prompt, choices=PROMPTS)
        require_choice("filter", self.filter, choices=FILTERS)
