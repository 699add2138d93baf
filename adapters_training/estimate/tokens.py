"""A linear probe: how much of the words' tags do frozen states hold.

Shapes: W words · D width · L tags.
Source: BehnamGhader et al. 2024, LLM2Vec, arXiv:2404.05961, word-level tasks: a linear layer on
frozen states, dropout 0.1, learning rate 5e-4, batches of 8 sentences, 1,500 steps. The optimizer
is not named there; we take AdamW without weight decay and a linear decay to 0, the defaults of the
library they use. The layer starts at zero: its loss is convex, so no start is better than another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters_training.torch_randomness import torch_generator

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeSettings:
    """How the probe is trained."""

    steps: int = 1500
    """Optimizer steps, at least 1."""

    batch_size: int = 8
    """Sentences of one step, at least 1."""

    learning_rate: float = 5e-4
    """At the first step, > 0; it falls linearly to 0."""

    dropout: float = 0.1
    """Share of a state's values that are dropped in training, in [0, 1)."""

    seed: int = 0
    """Decides the order of sentences and what is dropped."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1:
            raise ValueError(
                "`steps` and `batch_size` must be at least 1; "
                f"got {self.steps} and {self.batch_size}"
            )
        if not self.learning_rate > 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "`learning_rate` must be greater than 0 and `dropout` in [0, 1); "
                f"got {self.learning_rate} and {self.dropout}"
            )


@dataclass(frozen=True, slots=True)
class TokenProbe:
    """A trained linear layer and the tags it knows."""

    layer: nn.Linear
    labels: tuple[str, ...]

    @torch.inference_mode()
    def predict(self, states: Sequence[FloatArray]) -> list[list[str]]:
        """Tag each word: sentences as ``[W, D]`` each, to W tags each."""
        return [
            [self.labels[best] for best in self.layer(torch.from_numpy(rows)).argmax(1).tolist()]
            for rows in states
        ]


def train_probe(
    states: Sequence[FloatArray],
    tags: Sequence[Sequence[str]],
    *,
    settings: ProbeSettings | None = None,
) -> TokenProbe:
    """Train a probe on the CPU; the same arguments give the same probe.

    Args:
        states: Of the words of each sentence, ``[W, D]`` each, not normalised.
        tags: W for each sentence.
        settings: None: the paper's.

    Raises:
        ValueError: there is no word, or a word without a tag or a state.
    """
    settings = settings or ProbeSettings()
    if [len(rows) for rows in states] != [len(row) for row in tags] or not any(map(len, tags)):
        raise ValueError("a probe needs words, each with one state and one tag")
    labels = tuple(sorted({tag for row in tags for tag in row}))
    number = {label: i for i, label in enumerate(labels)}
    inputs = [torch.from_numpy(np.ascontiguousarray(rows)) for rows in states if len(rows)]
    targets = [torch.tensor([number[tag] for tag in row]) for row in tags if row]
    layer = nn.Linear(inputs[0].shape[1], len(labels), device="meta").to_empty(device="cpu")
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    generator = torch_generator(settings.seed, "token probe")
    for step, batch in zip(
        range(settings.steps), _batches(len(inputs), settings.batch_size, generator), strict=False
    ):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * (1 - step / settings.steps)
        kept = _drop(torch.cat([inputs[i] for i in batch]), settings.dropout, generator)
        loss = functional.cross_entropy(layer(kept), torch.cat([targets[i] for i in batch]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return TokenProbe(layer, labels)


def _batches(sentences: int, size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Yield positions without end, in another order in every round; the last batch may be short."""
    while True:
        order = torch.randperm(sentences, generator=generator).tolist()
        for start in range(0, sentences, size):
            yield order[start : start + size]


def _drop(states: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Dropout whose random numbers come from a generator, not from torch's global state."""
    kept = torch.rand(states.shape, generator=generator) >= share
    return states * kept / (1 - share)
