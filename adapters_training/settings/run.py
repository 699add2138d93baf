"""Settings of a training run: frozen, checked when made, written beside what they produced.

Defaults are LLM2Vec's recipe (BehnamGhader et al. 2024, arXiv:2404.05961) unless a line says
otherwise.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from adapters_training.settings.checks import require_choice, require_positive

MASKINGS = ("bert", "all_mask")
SCHEDULES = ("linear", "constant")
DTYPES = ("auto", "float32", "bfloat16")
QUANTIZED = ("8bit", "4bit")
POOLINGS = ("mean", "weighted_mean", "last_token")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraSettings:
    """The small matrices that are trained."""

    rank: int = 16
    """Inner dimension, at least 1."""

    alpha: int = 32
    """The change is scaled by ``alpha / rank``; > 0."""

    dropout: float = 0.05
    """Share of the adapters' inputs dropped in training, in [0, 1)."""

    targets: tuple[str, ...] = ()
    """Leaf names of the linear layers to adapt. Empty: every linear layer of the decoder's blocks,
    which in Llama-like models is q, k, v, o, gate, up and down."""

    def __post_init__(self) -> None:
        require_positive(rank=self.rank, alpha=self.alpha)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1); got {self.dropout}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerSettings:
    """AdamW and its learning rate."""

    learning_rate: float = 5e-5
    """Highest learning rate, > 0."""

    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0."""

    schedule: str = "linear"
    """``linear``: falls to 0 at the end of the stage; ``constant``: stays."""

    weight_decay: float = 0.0
    """Decoupled weight decay, >= 0."""

    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm, > 0."""

    def __post_init__(self) -> None:
        require_positive(learning_rate=self.learning_rate, max_grad_norm=self.max_grad_norm)
        require_choice("schedule", self.schedule, choices=SCHEDULES)
        if self.warmup_steps < 0 or self.weight_decay < 0:
            raise ValueError(
                "`warmup_steps` and `weight_decay` must be at least 0; "
                f"got {self.warmup_steps} and {self.weight_decay}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class StageSettings:
    """What every stage has."""

    kind: ClassVar[str] = ""

    steps: int = 1000
    """Optimizer steps, at least 1."""

    time_budget_seconds: float | None = None
    """The stage also ends here, at the first step that would begin later; None: no limit. The
    learning rate follows whichever end is nearer. Evaluations do not count."""

    batch_size: int = 32
    """Sequences of one optimizer step."""

    max_tokens: int = 512
    """Tokens of one sequence, at most; the model's own limit applies too."""

    evaluations: int = 0
    """Times the development set is ranked in the stage, evenly by progress, the last at its end;
    the weights that rank it best, those at the start included, are the stage's result. 0, or no
    development set: the last weights are."""

    patience: int | None = None
    """The stage ends after so many evaluations in a row without a better one; None: never."""

    lora: LoraSettings = field(default_factory=LoraSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)

    def __post_init__(self) -> None:
        require_positive(steps=self.steps)
        if self.time_budget_seconds is not None:
            require_positive(time_budget_seconds=self.time_budget_seconds)
        if self.batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1; got {self.batch_size}")
        if self.evaluations < 0 or (self.patience is not None and self.patience < 1):
            raise ValueError(
                "`evaluations` must be at least 0 and `patience` at least 1; "
                f"got {self.evaluations} and {self.patience}"
            )
        if self.max_tokens < 4:
            raise ValueError(f"`max_tokens` must be at least 4; got {self.max_tokens}")


@dataclass(frozen=True, kw_only=True, slots=True)
class MntpSettings(StageSettings):
    """Stage MNTP: masked next-token prediction, from the position before the hidden token."""

    kind: ClassVar[str] = "mntp"

    mask_probability: float = 0.2
    """Share of tokens to predict in each sequence, in (0, 1); the paper takes 0.8 for Mistral."""

    masking: str = "bert"
    """``bert``: of the tokens to predict 80 % are hidden, 10 % replaced by a random one, 10 % left;
    ``all_mask``: all are hidden, the paper's choice for Mistral."""

    mask_token: str = "_"  # noqa: S105
    """Stands for a hidden token; one token of the model's own vocabulary."""

    micro_batch_size: int = 4
    """Sequences in memory at a time. It changes the gradient of a step by rounding only."""

    def __post_init__(self) -> None:
        StageSettings.__post_init__(self)
        if not 0 < self.mask_probability < 1:
            raise ValueError(f"`mask_probability` must be in (0, 1); got {self.mask_probability}")
        require_choice("masking", self.masking, choices=MASKINGS)
        require_positive(micro_batch_size=self.micro_batch_size)


@dataclass(frozen=True, kw_only=True, slots=True)
class SimcseSettings(StageSettings):
    """Stage SimCSE, unsupervised: two dropout views of a text find each other among the batch."""

    kind: ClassVar[str] = "simcse"

    max_tokens: int = 128
    """Tokens of one text, at most; longer texts are cut into several, at sentence ends where there
    are any."""

    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=3e-5)
    )

    temperature: float = 0.05
    """Of the softmax over cosines, > 0."""

    attention_dropout: float = 0.3
    """Share of attention weights dropped, in [0, 1); with the adapters' own dropout it makes the
    views."""

    pooling: str = "mean"
    """How a text's states become one vector; must be the encoder's pooling."""

    instruction: str = ""
    """Read before each text and not pooled; must be the encoder's document instruction."""

    memory_tokens: int = 6144
    """Tokens whose states are in memory at once; a larger batch takes a gradient cache, which reads
    it twice. It changes the gradient of a step by rounding only."""

    def __post_init__(self) -> None:
        StageSettings.__post_init__(self)
        require_positive(temperature=self.temperature, memory_tokens=self.memory_tokens)
        require_choice("pooling", self.pooling, choices=POOLINGS)
        if not 0 <= self.attention_dropout < 1:
            raise ValueError(f"`attention_dropout` must be in [0, 1); got {self.attention_dropout}")
        if self.attention_dropout == 0 and self.lora.dropout == 0:
            raise ValueError(
                "SimCSE needs `attention_dropout` or `lora.dropout` above 0: "
                "without dropout both views of a text are equal and there is nothing to learn"
            )
        if self.batch_size < 2:
            raise ValueError(
                "`batch_size` must be at least 2 in SimCSE, the others are negatives; "
                f"got {self.batch_size}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptSettings:
    """A whole run: its stages in order."""

    stages: tuple[StageSettings, ...] = field(
        default_factory=lambda: (MntpSettings(), SimcseSettings())
    )
    """Each starts from the merged weights of those before it."""

    seed: int = 0
    """Decides the adapters' start, the order of texts, masks and dropout."""

    dtype: str = "auto"
    """Of the frozen weights: ``auto``, ``float32`` or ``bfloat16``. Adapters are always float32."""

    device: str | None = None
    """A torch device; None: the GPU where there is one."""

    attention: str | None = None
    """A transformers attention backend; None: eager on a CPU, where it trains fastest, else the
    encoder's choice."""

    causal: bool = False
    """Leave the attention as the base was trained, for comparison; must be the encoder's."""

    gradient_checkpointing: bool = False
    """Compute the states a second time in the backward pass instead of keeping them: about a third
    slower, and far less memory."""

    quantize: str | None = None
    """``8bit`` or ``4bit``: bits of a frozen weight in training, on an NVIDIA GPU with the package
    bitsandbytes; None: as many as ``dtype`` has. The encoder has the base's own weights."""

    shard: bool = False
    """Spread the frozen weights over the processes of the run, for a base too large for one GPU."""

    checkpoint_every_seconds: float = 60.0
    """Least time between checkpoints; 0: after every step."""

    metrics_every_steps: int = 1
    """Steps between two lines of metrics.jsonl, at least 1."""

    development_queries: int = 200
    """Queries of the development set, at most. Without judgements of the user's own they are held
    back from the pairs, never more than a fifth of them; 0: none are."""

    development_passages: int = 1000
    """Passages they are looked for among, at most, unless more are needed as answers."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("`stages` must name at least one stage; got none")
        require_choice("dtype", self.dtype, choices=DTYPES)
        if self.quantize is not None:
            require_choice("quantize", self.quantize, choices=QUANTIZED)
        if self.quantize and self.shard:
            raise ValueError("`quantize` and `shard` can't be combined; got both")
        require_positive(metrics_every_steps=self.metrics_every_steps)
        if self.checkpoint_every_seconds < 0:
            raise ValueError(
                "`checkpoint_every_seconds` must be at least 0; "
                f"got {self.checkpoint_every_seconds}"
            )
        require_positive(development_passages=self.development_passages)
        if self.development_queries < 0:
            raise ValueError(
                f"`development_queries` must be at least 0; got {self.development_queries}"
            )
