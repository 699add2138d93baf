"""Continue many prompts with a causal decoder: what they share is read once, batches keep a cache.

Shapes: B prompts of a batch, later R rows that are written, several to a prompt · P tokens that all
prompts share · T tokens of the rest, padded on the left · V vocabulary.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from transformers import Cache, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from adapters_training.errors import TrainingPairsError
from adapters_training.examples import special_affixes
from adapters_training.sampling import Sampling, choose_tokens, make_draws
from encoder.attention import one_directional_layers
from encoder.batching import batches_by_length
from encoder.instructions import clean
from encoder.loading import Decoder, context_tokens


@dataclass(frozen=True, slots=True)
class Continuation:
    """What was written behind a prompt."""

    text: str
    """One line, stripped."""

    ended: bool
    """Whether the line, or the text, came to its end before ``max_new_tokens``."""


@torch.no_grad()
def continue_prompts(
    decoder: Decoder, prompts: Sequence[str], *, sampling: Sampling, batch_tokens: int
) -> Iterator[list[tuple[int, list[Continuation]]]]:
    """Write on behind each prompt until a line, or the text, ends.

    In float32 a continuation depends on its prompt and ``sampling`` alone, up to the rounding of
    sums in another order; not on the prompts beside it.

    Args:
        decoder: Causal, with its head.
        prompts: None empty; the longer the beginning that all share, the faster.
        sampling: How tokens are chosen.
        batch_tokens: Positions in the cache of a batch, at most; a prompt beyond it is a batch of
            its own.

    Yields:
        Batch after batch, the longest prompts first: positions in ``prompts``, each with its
        ``each`` continuations.

    Raises:
        ValueError: a prompt has no token, or more than the model's context has room for.
        TrainingPairsError: the model keeps its cache to itself.
    """
    if not prompts:
        return
    prompts = [clean(prompt) for prompt in prompts]
    rows = _tokenize(decoder.tokenizer, prompts)
    _require_room(decoder, rows, max_new_tokens=sampling.max_new_tokens)
    # A layer that carries a state may start anew with every part that is read (Jamba, Bamba).
    shared = 0 if one_directional_layers(decoder.model.config) else _shared_tokens(rows)
    prefix = _Reading.of_prefix(decoder.model, rows[0][:shared])
    ends = _line_end(decoder)
    for batch in _batches(decoder.model, rows, sampling=sampling, batch_tokens=batch_tokens):
        reading = prefix.read_on([rows[i][shared:] for i in batch])
        draws = [
            make_draws(prompts[i], number=number, sampling=sampling)
            for i in batch
            for number in range(sampling.each)
        ]
        written = _write(
            reading.repeated(sampling.each),
            torch.from_numpy(np.stack(draws)),
            sampling=sampling,
            ends=ends,
        )
        done = [Continuation(_first_line(decoder.tokenizer, ids), ends(ids)) for ids in written]
        yield [
            (position, done[i * sampling.each : (i + 1) * sampling.each])
            for i, position in enumerate(batch)
        ]


class _Reading:
    """What a model has read in several rows at once, and its logits for the next tokens."""

    def __init__(self, model: PreTrainedModel, cache: Cache | None, mask: Tensor) -> None:
        self._model = model
        self._cache = cache  # None: nothing read yet; the model makes its own kind
        self._mask = mask  # [B, P + T], 1 = a token
        self._accepted = frozenset(inspect.signature(model.forward).parameters)
        self.logits = torch.empty(0)  # [B, V]

    @classmethod
    def of_prefix(cls, model: PreTrainedModel, ids: list[int]) -> "_Reading":
        """Read what all rows begin with, which may be nothing."""
        reading = cls(model, None, torch.zeros((1, 0), dtype=torch.int64, device=model.device))
        if ids:
            reading.read(torch.tensor([ids]), torch.ones((1, len(ids)), dtype=torch.int64))
        return reading

    def read_on(self, rows: Sequence[list[int]]) -> "_Reading":
        """Read several rows behind this one, which stays as it is."""
        reading = _Reading(self._model, copy.deepcopy(self._cache), self._mask)
        reading.select(torch.zeros(len(rows), dtype=torch.int64))
        width = max(len(row) for row in rows)
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        reading.read(ids, mask)
        return reading

    def repeated(self, times: int) -> "_Reading":
        """Have each row several times in a row, without reading it again."""
        self.select(torch.arange(len(self._mask)).repeat_interleave(times))
        return self

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        rows = rows.to(self._mask.device)
        if self._cache is not None:
            self._cache.reorder_cache(cast("torch.LongTensor", rows))
        self._mask = self._mask[rows]
        self.logits = self.logits[rows] if len(self.logits) else self.logits

    def read(self, ids: Tensor, mask: Tensor) -> None:
        """Read on in each row.

        Args:
            ids: ``[B, T]``.
            mask: ``[B, T]``, 1 = a token.

        Raises:
            TrainingPairsError: the model keeps its cache to itself.
        """
        self._mask = torch.cat([self._mask, mask.to(self._mask.device)], dim=1)
        positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        options = {"position_ids": positions, "logits_to_keep": 1}
        output = self._model(
            input_ids=ids.to(self._mask.device),
            attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
            **{name: value for name, value in options.items() if name in self._accepted},
        )
        self._cache = getattr(output, "past_key_values", None)
        if self._cache is None:
            raise TrainingPairsError(
                f"a model that writes must hand out its cache; {type(self._model).__name__} "
                "does not\nhint: leave synthetic queries out of this run"
            )
        self.logits = output.logits[:, -1]


def _write(
    reading: _Reading,
    draws: Tensor,
    *,
    sampling: Sampling,
    ends: Callable[[list[int]], bool],
) -> list[list[int]]:
    """Choose tokens until every row has ended; rows that have are no longer computed.

    Args:
        reading: R rows.
        draws: In [0, 1), ``[R, max_new_tokens]``.
        sampling: How tokens are chosen.
        ends: Whether a row, given its tokens, has ended.
    """
    written: list[list[int]] = [[] for _ in draws]
    alive = torch.arange(len(draws))
    for step in range(sampling.max_new_tokens):
        chosen = choose_tokens(reading.logits, draws[alive, step], sampling=sampling).cpu()
        for row, token in zip(alive.tolist(), chosen.tolist(), strict=True):
            written[row].append(token)
        going = torch.tensor([not ends(written[row]) for row in alive.tolist()])
        if step + 1 == sampling.max_new_tokens or not going.any():
            break
        if not going.all():
            reading.select(going.nonzero()[:, 0])
            alive, chosen = alive[going], chosen[going]
        reading.read(chosen[:, None], torch.ones((len(alive), 1), dtype=torch.int64))
    return written


def _tokenize(tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str]) -> list[list[int]]:
    # What a tokenizer puts behind a text, such as an end of text, must not stand before the rest.
    first: list[int] = special_affixes(tokenizer)[0].tolist()
    encoded = tokenizer(list(prompts), add_special_tokens=False, verbose=False)
    # A chat template writes the beginning of a text itself.
    rows = [ids if ids[: len(first)] == first else first + ids for ids in encoded["input_ids"]]
    empty = next((i for i, row in enumerate(rows) if not row), None)
    if empty is not None:
        raise ValueError(f"a prompt must have at least one token; number {empty} has none")
    return rows


def _require_room(decoder: Decoder, rows: Sequence[list[int]], *, max_new_tokens: int) -> None:
    longest, context = max(len(row) for row in rows), context_tokens(decoder.model.config)
    if longest + max_new_tokens > context:
        raise ValueError(
            f"a prompt and {max_new_tokens} new tokens must fit into the model's context of "
            f"{context} tokens; the longest prompt has {longest}\n"
            "hint: show fewer or shorter examples, or less of a passage"
        )


def _shared_tokens(rows: Sequence[list[int]]) -> int:
    """Count the tokens that all rows begin with, at least one of each left out."""
    first, last = min(rows), max(rows)  # these two differ where any two do
    longest = min(len(row) for row in rows) - 1
    return next((i for i in range(longest) if first[i] != last[i]), longest)


def _batches(
    model: PreTrainedModel, rows: Sequence[list[int]], *, sampling: Sampling, batch_tokens: int
) -> Iterator[list[int]]:
    """Group prompts; where padding would show, only those of one length together."""
    cached = [sampling.each * (len(row) + sampling.max_new_tokens) for row in rows]
    if _may_pad(model, longest=max(cached) // sampling.each):
        yield from batches_by_length(cached, token_budget=batch_tokens)
        return
    for length in sorted(set(cached), reverse=True):
        alike = [i for i, tokens in enumerate(cached) if tokens == length]
        size = max(1, batch_tokens // length)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))


def _may_pad(model: PreTrainedModel, *, longest: int) -> bool:
    """Tell whether padding between prefix and rest leaves no trace.

    It leaves one where positions can't be given, where a layer carries a state through it, and
    where it takes room in a sliding window.
    """
    takes_positions = "position_ids" in inspect.signature(model.forward).parameters
    window = _window(model.config.get_text_config())
    return takes_positions and not one_directional_layers(model.config) and longest <= window


def _window(config: PretrainedConfig) -> int:
    # Some models keep a window in their configuration and a switch beside it.
    used = getattr(config, "use_sliding_window", True)
    return int(getattr(config, "sliding_window", None) or 2**31) if used else 2**31


def _line_end(decoder: Decoder) -> Callable[[list[int]], bool]:
    """Make the test for a row that has ended: end of text, or a line break behind some text."""
    decode, endings = decoder.tokenizer.decode, _end_ids(decoder)

    @functools.cache
    def breaks_line(token: int) -> bool:
        return "\n" in decode([token])

    def ends(tokens: list[int]) -> bool:
        if tokens[-1] in endings:
            return True
        return breaks_line(tokens[-1]) and bool(_first_line(decoder.tokenizer, tokens))

    return ends


def _end_ids(decoder: Decoder) -> frozenset[int]:
    named = [decoder.tokenizer.eos_token_id]
    for config in (decoder.model.generation_config, decoder.model.config):
        ids = getattr(config, "eos_token_id", None)
        named += ids if isinstance(ids, list) else [ids]
    return frozenset(token for token in named if token is not None)


def _first_line(tokenizer: PreTrainedTokenizerFast, tokens: list[int]) -> str:
    text = cast("str", tokenizer.decode(tokens, skip_special_tokens=True))
    return text.strip().split("\n", 1)[0].strip()
