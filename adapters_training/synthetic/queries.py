"""Queries that the company's own model writes for its own passages, cleaned.

Source: Dai et al. 2022, arXiv:2209.11755 (Promptagator); Wang et al. 2022, arXiv:2112.07577 (GPL).
The second half of it, keeping queries that find their passage, is
`adapters_training.synthetic.round_trip`.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel

from adapters_training.errors import TrainingInterruptedError, TrainingPairsError
from adapters_training.interruption import stop_requests
from adapters_training.randomness import derive_seed
from adapters_training.settings.synthetic import SyntheticSettings
from adapters_training.synthetic.lines import Lines, WrittenLines, digest
from adapters_training.synthetic.prompt import BUILT_IN_EXAMPLES, Example, make_prompt
from adapters_training.synthetic.written import WrittenQueries, clean_lines
from encoder.generation import continue_prompts
from encoder.loading import Decoder
from encoder.prompting import readable
from encoder.sampling import Sampling

MIN_PASSAGE_LETTERS = 40
WEIGHTS_IN_DIGEST = 256

Progress = Callable[[int, int], None]
"""Told how many passages are done, and of how many."""


def write_queries(
    decoder: Decoder,
    passages: Sequence[str],
    *,
    settings: SyntheticSettings,
    cache: Path,
    seed: int = 0,
    examples: Sequence[Example] = BUILT_IN_EXAMPLES,
    progress: Progress | None = None,
) -> WrittenQueries:
    """Let a model write queries for some of the passages.

    Args:
        decoder: Causal, with its head.
        passages: All there are, as they are indexed.
        settings: How many, and how.
        cache: A JSONL file, made where it is missing: what was written once for the same prompt by
            the same model and settings is read from there.
        seed: Decides which passages are written for, and what is drawn.
        examples: Queries with their passages; the first ``settings.examples`` are shown.
        progress: Called after each batch.

    Raises:
        TrainingPairsError: no passage has text enough, or the cache can't be read or written.
        TrainingInterruptedError: a signal asked to stop; what was written is in the cache.
        ValueError: a chat prompt is wanted, and the tokenizer has no chat template.
    """
    started = time.monotonic()
    chosen = choose_passages(passages, count=settings.passages, seed=seed)
    texts = readable(
        decoder.tokenizer, [passages[i] for i in chosen], max_tokens=settings.passage_tokens
    )
    prompt = make_prompt(decoder.tokenizer, examples, settings=settings)
    lines = _write(
        decoder,
        [prompt(text) for text in texts],
        sampling=_sampling(settings, seed=seed),
        batch_tokens=settings.batch_tokens,
        cache=cache,
        progress=progress or (lambda _done, _total: None),
    )
    prompted = [settings.instruction, *(query for query, _ in examples[: settings.examples])]
    written = clean_lines(
        {i: (text, found) for i, text, found in zip(chosen, texts, lines, strict=True)},
        prompted=prompted,
    )
    return replace(written, seconds=time.monotonic() - started)


def choose_passages(passages: Sequence[str], *, count: int, seed: int) -> list[int]:
    """Choose passages to write for: with some text, each text once.

    A passage's turn follows from the seed and its text, so that a corpus that grew, or a higher
    ``count``, leaves most of the choice as it was.

    Returns:
        Positions in ``passages``, ascending, at least one.

    Raises:
        TrainingPairsError: none has text enough.
    """
    first = {text: i for i, text in reversed(list(enumerate(passages)))}
    fit = [text for text in first if has_text(text)]
    if not fit:
        raise TrainingPairsError(
            f"queries are written for passages of at least {MIN_PASSAGE_LETTERS} letters; got "
            f"{len(passages)} passages and none of these\nhint: add text, or leave this out"
        )
    turns = sorted(fit, key=lambda text: derive_seed("synthetic", seed, digest(text)))
    return sorted(first[text] for text in turns[:count])


def has_text(passage: str) -> bool:
    """Tell whether a passage has text enough for a query to be written for it."""
    return sum(map(str.isalpha, passage)) >= MIN_PASSAGE_LETTERS


def _write(
    decoder: Decoder,
    prompts: Sequence[str],
    *,
    sampling: Sampling,
    batch_tokens: int,
    cache: Path,
    progress: Progress,
) -> list[Lines]:
    """Read what the cache holds, and write the rest, batch by batch."""
    known = WrittenLines(cache)
    maker = f"{model_digest(decoder.model)} {sampling}"
    keys = [digest(maker, prompt) for prompt in prompts]
    missing = [i for i, key in enumerate(keys) if known.get(key) is None]
    done = len(prompts) - len(missing)
    with stop_requests() as request:
        progress(done, len(prompts))
        for batch in continue_prompts(
            decoder, [prompts[i] for i in missing], sampling=sampling, batch_tokens=batch_tokens
        ):
            known.add(
                {
                    keys[missing[i]]: tuple(c.text if c.ended else None for c in continuations)
                    for i, continuations in batch
                }
            )
            done += len(batch)
            progress(done, len(prompts))
            if request.made and done < len(prompts):
                raise TrainingInterruptedError(
                    f"writing queries was stopped after {done} of {len(prompts)} passages; they "
                    f"are kept in {cache}\nhint: resume the run to go on from there"
                )
    return [known.get(key) or () for key in keys]


def _sampling(settings: SyntheticSettings, *, seed: int) -> Sampling:
    return Sampling(
        each=settings.queries_per_passage,
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        seed=seed,
    )


def model_digest(model: PreTrainedModel) -> str:
    """Tell models apart by their configuration and the beginning of each of their weights."""
    parts = [json.dumps(model.config.to_dict(), sort_keys=True, default=str)]
    for name, weights in model.state_dict().items():
        start = weights.flatten()[:WEIGHTS_IN_DIGEST].to("cpu", torch.float32)
        parts.append(f"{name} {tuple(weights.shape)} {weights.dtype} {start.tolist()}")
    return digest(*parts)
