"""Continue many prompts with a causal decoder.

Shapes: R rows that are written, several to a prompt.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from encoder.instructions import clean
from encoder.loading import Decoder
from encoder.reading import Reading, read_prompts
from encoder.sampling import Sampling, choose_tokens, make_draws


@dataclass(frozen=True, slots=True)
class Continuation:
    """What was written behind a prompt."""

    text: str
    """Its lines, stripped; as many as were asked for, at most."""

    ended: bool
    """Whether the last of these lines, or the text, came to its end before ``max_new_tokens``."""


@torch.no_grad()
def continue_prompts(
    decoder: Decoder,
    prompts: Sequence[str],
    *,
    sampling: Sampling,
    batch_tokens: int,
    max_lines: int | None = 1,
) -> Iterator[list[tuple[int, list[Continuation]]]]:
    """Write on behind each prompt until enough lines, or the text, have ended.

    In float32 a continuation depends on its prompt and ``sampling`` alone, up to the rounding of
    sums in another order; not on the prompts beside it.

    Args:
        decoder: Causal, with its head.
        prompts: None empty; the longer the beginning that all share, the faster.
        sampling: How tokens are chosen.
        batch_tokens: Positions in the cache of a batch, at most; a prompt beyond it is a batch of
            its own.
        max_lines: Lines wanted, blank ones not counted, at least 1; None: up to the end of text.

    Yields:
        Batch after batch, the longest prompts first: positions in ``prompts``, each with its
        ``each`` continuations.

    Raises:
        ValueError: a prompt has no token, or more than the model's context has room for.
        EncoderError: the model keeps its cache to itself.
    """
    ends = _end_test(decoder, max_lines=max_lines)
    for batch, reading in read_prompts(
        decoder,
        prompts,
        batch_tokens=batch_tokens,
        new_tokens=sampling.max_new_tokens,
        copies=sampling.each,
    ):
        draws = [
            make_draws(clean(prompts[i]), number=number, sampling=sampling)
            for i in batch
            for number in range(sampling.each)
        ]
        written = _write(
            reading.repeated(sampling.each),
            torch.from_numpy(np.stack(draws)),
            sampling=sampling,
            ends=ends,
        )
        done = [
            Continuation(_first_lines(_decode(decoder, ids), max_lines), ends(ids))
            for ids in written
        ]
        yield [
            (position, done[i * sampling.each : (i + 1) * sampling.each])
            for i, position in enumerate(batch)
        ]


def _write(
    reading: Reading,
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


def _end_test(decoder: Decoder, *, max_lines: int | None) -> Callable[[list[int]], bool]:
    """Make the test for a row that has ended: end of text, or a line break behind enough lines."""
    decode, endings = decoder.tokenizer.decode, _end_ids(decoder)

    @functools.cache
    def breaks_line(token: int) -> bool:
        return "\n" in decode([token])

    def ends(tokens: list[int]) -> bool:
        if tokens[-1] in endings:
            return True
        if max_lines is None or not breaks_line(tokens[-1]):
            return False
        whole = _decode(decoder, tokens).rpartition("\n")[0]
        return len(_lines(whole)) >= max_lines

    return ends


def _end_ids(decoder: Decoder) -> frozenset[int]:
    named = [decoder.tokenizer.eos_token_id]
    for config in (decoder.model.generation_config, decoder.model.config):
        ids = getattr(config, "eos_token_id", None)
        named += ids if isinstance(ids, list) else [ids]
    return frozenset(token for token in named if token is not None)


def _decode(decoder: Decoder, tokens: list[int]) -> str:
    return cast("str", decoder.tokenizer.decode(tokens, skip_special_tokens=True))


def _first_lines(text: str, count: int | None) -> str:
    return text.strip() if count is None else "\n".join(_lines(text)[:count])


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]
