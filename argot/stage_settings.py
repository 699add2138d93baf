"""Table ``[stages]``: the models of second stages, and how much they read and write. No torch."""

import math
from dataclasses import dataclass

from argot.typed import check_known
from retriever.plan import HYDE
from retriever.settings import OFF, SearchSettings

CROSS_ENCODER, LATE_INTERACTION = "cross-encoder", "late-interaction"
LLM, QUERY_LIKELIHOOD = "llm", "query-likelihood"
LLM_RERANKERS = (LLM, QUERY_LIKELIHOOD)
RERANKERS = (CROSS_ENCODER, *LLM_RERANKERS, LATE_INTERACTION)
"""What ``rerank`` may name."""

MULTI_QUERY = "multi-query"
EXPANDERS = (HYDE, MULTI_QUERY)
"""What ``expand`` may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """What the stages that ``[search]`` names with ``rerank`` and ``expand`` are made of."""

    cross_encoder: str = ""
    """Folder of a cross-encoder, for ``rerank = "cross-encoder"``."""

    language_model: str = ""
    """Folder of a decoder LLM, for ``rerank = "llm"`` or ``"query-likelihood"`` and for ``expand``;
    empty: the one that the encoder was made of, whose weights are then in memory once."""

    text_tokens: int = 384
    """Tokens of a candidate that a reranker reads, >= 16; a cross-encoder's query counts too. Late
    interaction reads what the encoder reads."""

    passages: int = 1
    """Passages that ``expand = "hyde"`` writes, >= 1; several need a temperature."""

    wordings: int = 3
    """Other wordings that ``expand = "multi-query"`` writes, >= 1."""

    new_tokens: int = 128
    """Tokens of one passage, or of all wordings together, >= 1; what is longer is cut."""

    temperature: float = 0.0
    """Of writing, >= 0; 0: the likeliest words. What is drawn above follows from the query."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("text_tokens", self.text_tokens, 16),
            ("passages", self.passages, 1),
            ("wordings", self.wordings, 1),
            ("new_tokens", self.new_tokens, 1),
        ):
            if value < least:
                raise ValueError(f"`{name}` must be at least {least}; got {value}")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"`temperature` must be a finite number >= 0; got {self.temperature}")
        if self.passages > 1 and self.temperature == 0:
            raise ValueError(
                f"`passages` = {self.passages} needs `temperature` above 0, such as 0.7: at 0 they "
                "would all be the same"
            )


def check_stage_names(search: SearchSettings) -> None:
    """Refuse settings that name a stage there is none of.

    Raises:
        SettingsError: with the nearest known name.
    """
    check_known([search.rerank], (OFF, *RERANKERS), where="[search] rerank")
    check_known([search.expand], (OFF, *EXPANDERS), where="[search] expand")


def asks_language_model(search: SearchSettings) -> bool:
    """Tell whether every search asks a language model."""
    return search.rerank in LLM_RERANKERS or search.expand != OFF
