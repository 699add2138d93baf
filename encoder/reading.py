"""Read many prompts with a causal decoder: what they share is read once, batches keep a cache.

Shapes: B prompts of a batch · P tokens that all prompts share · T tokens of the rest, padded on the
left · V vocabulary.
"""

import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import Cache, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from encoder.attention import one_directional_layers
from encoder.batching import batches_by_length
from encoder.errors import EncoderError
from encoder.instructions import clean
from encoder.loading import Decoder, context_tokens
from encoder.prompting import special_affixes


@torch.no_grad()
def read_prompts(
    decoder: Decoder,
    prompts: Sequence[str],
    *,
    batch_tokens: int,
    new_tokens: int = 0,
    copies: int = 1,
) -> Iterator[tuple[list[int], "Reading"]]:
    """Read prompts up to where the model goes on.

    Args:
        decoder: Causal, with its head.
        prompts: None empty; the longer the beginning that all share, the faster.
        batch_tokens: Positions in the cache of a batch, at most; a prompt beyond it is a batch of
            its own.
        new_tokens: Room to leave for what will be written behind each prompt.
        copies: How often each prompt will be written behind.

    Yields:
        Batch after batch, the longest prompts first: positions in ``prompts``, and what was read.

    Raises:
        ValueError: a prompt has no token, or more than the model's context has room for.
        EncoderError: the model keeps its cache to itself.
    """
    if not prompts:
        return
    rows = _tokenize(decoder.tokenizer, [clean(prompt) for prompt in prompts])
    _require_room(decoder, rows, new_tokens=new_tokens)
    # A layer that carries a state may start anew with every part that is read (Jamba, Bamba).
    shared = 0 if one_directional_layers(decoder.model.config) else _shared_tokens(rows)
    prefix = Reading.of_prefix(decoder.model, rows[0][:shared])
    cached = [copies * (len(row) + new_tokens) for row in rows]
    for batch in _batches(decoder.model, cached, copies=copies, batch_tokens=batch_tokens):
        yield batch, prefix.read_on([rows[i][shared:] for i in batch])


class Reading:
    """What a model has read in several rows at once, and its logits for the next tokens."""

    def __init__(self, model: PreTrainedModel, cache: Cache | None, mask: Tensor) -> None:
        self._model = model
        self._cache = cache  # None: nothing read yet; the model makes its own kind
        self._mask = mask  # [B, P + T], 1 = a token
        self._accepted = frozenset(inspect.signature(model.forward).parameters)
        self.logits = torch.empty(0)
        """For the token after the last, ``[B, V]``."""

    @classmethod
    def of_prefix(cls, model: PreTrainedModel, ids: list[int]) -> "Reading":
        """Read what all rows begin with, which may be nothing."""
        reading = cls(model, None, torch.zeros((1, 0), dtype=torch.int64, device=model.device))
        if ids:
            reading.read(torch.tensor([ids]), torch.ones((1, len(ids)), dtype=torch.int64))
        return reading

    def read_on(self, rows: Sequence[list[int]]) -> "Reading":
        """Read several rows behind this one, which stays as it is."""
        reading = Reading(self._model, copy.deepcopy(self._cache), self._mask)
        reading.select(torch.zeros(len(rows), dtype=torch.int64))
        width = max(len(row) for row in rows)
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        reading.read(ids, mask)
        return reading

    def repeated(self, times: int) -> "Reading":
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
            EncoderError: the model keeps its cache to itself.
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
            raise EncoderError(
                f"a model that writes must hand out its cache; {type(self._model).__name__} "
                "does not\nhint: leave out what it would write, or choose another model for it"
            )
        self.logits = output.logits[:, -1]


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


def _require_room(decoder: Decoder, rows: Sequence[list[int]], *, new_tokens: int) -> None:
    longest, context = max(len(row) for row in rows), context_tokens(decoder.model.config)
    if longest + new_tokens > context:
        raise ValueError(
            f"a prompt and {new_tokens} new tokens must fit into the model's context of "
            f"{context} tokens; the longest prompt has {longest}\n"
            "hint: show fewer or shorter examples, or less of a passage"
        )


def _shared_tokens(rows: Sequence[list[int]]) -> int:
    """Count the tokens that all rows begin with, at least one of each left out."""
    first, last = min(rows), max(rows)  # these two differ where any two do
    longest = min(len(row) for row in rows) - 1
    return next((i for i in range(longest) if first[i] != last[i]), longest)


def _batches(
    model: PreTrainedModel, cached: Sequence[int], *, copies: int, batch_tokens: int
) -> Iterator[list[int]]:
    """Group prompts by the positions they cache; where padding would show, only equal ones."""
    if _may_pad(model, longest=max(cached) // copies):
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
