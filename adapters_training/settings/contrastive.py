"""Settings of the contrastive stage."""

from dataclasses import dataclass, field
from typing import ClassVar

from adapters_training.pairs import ORIGINS
from adapters_training.settings.checks import require_choice, require_positive
from adapters_training.settings.run import POOLINGS, OptimizerSettings, StageSettings
from adapters_training.settings.synthetic import SyntheticSettings

MINERS = ("bm25", "encoder")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastiveSettings(StageSettings):
    """Stage contrastive: a query finds its passage among those of the batch and hard negatives.

    Needs labelled pairs, or makes pairs from the text: see ``pairs``.
    """

    kind: ClassVar[str] = "contrastive"

    max_tokens: int = 256
    """Tokens of one passage, at most."""

    query_tokens: int = 64
    """Tokens of one query, at most."""

    evaluations: int = 5

    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=2e-4, warmup_steps=20)
    )

    temperature: float = 0.05
    """Of the softmax over cosines, > 0; LLM2Vec's supervised recipe takes 0.02."""

    negatives: int = 1
    """Hard negatives of each query in a step, at most; 0: only the batch's other passages."""

    mine: tuple[str, ...] = MINERS
    """Where hard negatives are looked for, if a pair has fewer: ``bm25`` and ``encoder``; empty:
    nowhere."""

    pool: int = 5000
    """Passages that queries are written for, tried on and negatives are looked for among, at most;
    drawn from the text by seed."""

    matryoshka: tuple[int, ...] = ()
    """Widths below the full one at which the loss is taken too; empty: the full width only."""

    false_negative_margin: float | None = 0.1
    """A passage whose cosine is above the positive's by more than this is no negative of the query;
    None: every other passage is one. Source: Zhang et al. 2025, Qwen3-Embedding,
    arXiv:2506.05176."""

    pairs: tuple[str, ...] = ORIGINS
    """Of ``labelled``, ``structural`` and ``synthetic``: which pairs are learned from."""

    symmetric: tuple[str, ...] = ()
    """Sets whose passages are of the same kind as their queries; both get the query instruction."""

    size_exponent: float = 0.5
    """A set is drawn in proportion to its size to this power, in [0, 1]: 1 draws all pairs alike,
    0 all sets alike."""

    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)

    pooling: str = "mean"
    """How a text's states become one vector; must be the encoder's pooling."""

    query_instruction: str = ""
    """Read before each query and not pooled; must be the encoder's."""

    document_instruction: str = ""
    """Read before each passage and not pooled; must be the encoder's."""

    memory_tokens: int = 6144
    """Tokens whose states are in memory at once; a larger batch takes a gradient cache, which reads
    it twice. It changes the gradient of a step by rounding only."""

    def __post_init__(self) -> None:
        StageSettings.__post_init__(self)
        require_positive(
            temperature=self.temperature, memory_tokens=self.memory_tokens, pool=self.pool
        )
        require_choice("pooling", self.pooling, choices=POOLINGS)
        for name, values, choices in (("mine", self.mine, MINERS), ("pairs", self.pairs, ORIGINS)):
            for value in values:
                require_choice(name, value, choices=choices)
        if not self.pairs:
            raise ValueError(f"`pairs` must name at least one of {', '.join(ORIGINS)}; got none")
        if self.batch_size < 2:
            raise ValueError(
                "`batch_size` must be at least 2 in the contrastive stage, the others are "
                f"negatives; got {self.batch_size}"
            )
        if self.query_tokens < 4 or self.negatives < 0:
            raise ValueError(
                "`query_tokens` must be at least 4 and `negatives` at least 0; "
                f"got {self.query_tokens} and {self.negatives}"
            )
        if any(width < 1 for width in self.matryoshka):
            raise ValueError(f"`matryoshka` must be widths of at least 1; got {self.matryoshka}")
        if not 0 <= self.size_exponent <= 1:
            raise ValueError(f"`size_exponent` must be in [0, 1]; got {self.size_exponent}")
        if self.false_negative_margin is not None and self.false_negative_margin < 0:
            raise ValueError(
                f"`false_negative_margin` must be at least 0; got {self.false_negative_margin}"
            )
