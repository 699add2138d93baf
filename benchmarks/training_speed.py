"""Seconds of a training step, Argot's and a plain transformers and peft loop's, as JSON lines.

Both have the same decoder, the same adapter to begin with, the same batches, lengths and types, and
take their steps in turn, so that a busy machine slows both. First both learn without dropout: the
losses of each step stand side by side, and differ by rounding. Then both learn with it and are
timed. Processor time is of all threads.

    python benchmarks/training_speed.py MODEL [--stages mntp,contrastive] [--steps 5] [--threads N]
        [--dtype bfloat16] [--blocks 4] [--block-tokens 512] [--pairs 32] [--passage-tokens 160]
"""

import argparse
import importlib
import inspect
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from reference_loop import ReferenceLoop

from adapters_training.pairs import Pair
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.run import (
    AdaptSettings,
    LoraSettings,
    MntpSettings,
    StageSettings,
)
from adapters_training.stages.building import DTYPES, Examples, PreparedStage, prepare_stage
from adapters_training.stages.contrastive import ContrastiveStage
from adapters_training.stages.lora import trainable
from adapters_training.stages.mntp import MntpStage
from adapters_training.structure.pairs import structural_pairs
from adapters_training.text.documents import TrainingText
from encoder.memory import keep_freed_memory

MODULES = ("argparse", "ast", "collections", "inspect", "json", "logging", "pathlib", "tarfile")
LEARNING_RATE = 1e-4
TEMPERATURE = 0.05
QUERY_TOKENS = 48

Step = Callable[[int], float]
"""Learns from the batch of this number; gives its loss."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One step."""

    wall: float
    cpu: float


def main() -> None:
    """Compare every stage and print a JSON line for each."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    for kind in options.stages:
        ours, theirs = both_loops(kind, options, dropout=0.0)
        losses = [(ours(step), theirs(step)) for step in range(options.steps)]
        ours, theirs = both_loops(kind, options, dropout=0.05)
        costs = [(timed(ours, step), timed(theirs, step)) for step in range(options.steps + 1)][1:]
        print(json.dumps({"stage": kind, **summary(losses, costs), **about(options)}), flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a decoder's folder")
    parser.add_argument("--stages", type=lambda s: s.split(","), default=["mntp", "contrastive"])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--blocks", type=int, default=4, help="of an MNTP step")
    parser.add_argument("--block-tokens", type=int, default=512)
    parser.add_argument("--pairs", type=int, default=32, help="of a contrastive step")
    parser.add_argument("--passage-tokens", type=int, default=160, help="at most")
    return parser.parse_args()


def both_loops(kind: str, options: argparse.Namespace, *, dropout: float) -> tuple[Step, Step]:
    """Make both loops, with equal adapters over the same examples."""
    texts = [TrainingText(text=inspect.getsource(importlib.import_module(m))) for m in MODULES]
    pairs, _ = structural_pairs(texts, seed=0)
    settings = stage_settings(kind, options, dropout=dropout)
    prepared = prepare_stage(
        options.model,
        Examples(texts=[text.text for text in texts], pairs=distinct(pairs)),
        settings,
        run=AdaptSettings(stages=(settings,), dtype=options.dtype, device="cpu"),
        label="1-stage",
        adapters=[],
    )
    reference = ReferenceLoop(
        options.model,
        head=kind == "mntp",
        dropout=dropout,
        learning_rate=LEARNING_RATE,
        dtype=DTYPES[options.dtype],
    )
    adapter = get_peft_model_state_dict(prepared.model)
    set_peft_model_state_dict(reference.model, adapter)
    return our_step(prepared), their_step(prepared, reference)


def stage_settings(kind: str, options: argparse.Namespace, *, dropout: float) -> StageSettings:
    """Describe a stage that the plain loop can take too: no cache, no second loss, no mining."""
    lora = LoraSettings(dropout=dropout)
    if kind == "mntp":
        return MntpSettings(
            batch_size=options.blocks,
            micro_batch_size=options.blocks,
            max_tokens=options.block_tokens,
            lora=lora,
        )
    return ContrastiveSettings(
        batch_size=options.pairs,
        max_tokens=options.passage_tokens,
        query_tokens=QUERY_TOKENS,
        temperature=TEMPERATURE,
        negatives=0,
        false_negative_margin=None,
        memory_tokens=1_000_000,
        lora=lora,
    )


def distinct(pairs: Sequence[Pair]) -> list[Pair]:
    """Keep pairs that share no text, in one set: the plain loop takes all others for negatives."""
    seen: set[str] = set()
    kept = []
    for pair in pairs:
        if not {pair.query, pair.positive} & seen:
            seen |= {pair.query, pair.positive}
            kept.append(replace(pair, set="code"))
    return kept


def our_step(prepared: PreparedStage) -> Step:
    """Make the step that `adapters_training.run.trainer` takes."""
    parameters = list(trainable(prepared.model).values())
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.0)
    prepared.model.train()

    def step(number: int) -> float:
        found = prepared.stage.backward(
            prepared.model,
            number,
            precision=lambda: torch.autocast(
                "cpu", dtype=torch.bfloat16, enabled=prepared.autocast
            ),
        )
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return found.loss

    return step


def their_step(prepared: PreparedStage, reference: ReferenceLoop) -> Step:
    """Make the plain loop's step over the batches of our stage."""
    stage = prepared.stage

    def step(number: int) -> float:
        if isinstance(stage, MntpStage):
            (part,) = stage.parts(number)
            ids, selected = part.masked.input_ids, part.masked.selected
            labels = torch.full_like(ids, -100).masked_scatter(selected, part.masked.labels)
            mask = torch.ones_like(ids) if part.attention_mask is None else part.attention_mask
            return reference.mntp_step(ids, mask.long(), labels)
        if not isinstance(stage, ContrastiveStage):
            raise TypeError(f"the plain loop has no such stage: {stage}")
        batch = stage.batch(number)
        return reference.contrastive_step(
            [batch.texts[i][1] for i in batch.queries],
            [batch.texts[batch.passages[i]][1] for i in batch.positives],
            query_tokens=batch.texts[batch.queries[0]][2],
            passage_tokens=batch.texts[batch.passages[0]][2],
            temperature=TEMPERATURE,
        )

    return step


def timed(step: Step, number: int) -> Cost:
    """Time one step."""
    wall, cpu = time.perf_counter(), time.process_time()
    step(number)
    return Cost(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)


def summary(losses: list[tuple[float, float]], costs: list[tuple[Cost, Cost]]) -> dict[str, object]:
    """Put the losses side by side, and take medians of seconds and of each pair's ratio."""
    ours, theirs = zip(*costs, strict=True)
    return {
        "losses": [[round(loss, 4) for loss in pair] for pair in losses],
        "largest_difference": round(max(abs(a - b) for a, b in losses), 4),
        "argot_seconds": round(statistics.median(cost.wall for cost in ours), 2),
        "plain_seconds": round(statistics.median(cost.wall for cost in theirs), 2),
        "ratio": round(statistics.median(b.wall / a.wall for a, b in costs), 2),
        "argot_cpu_seconds": round(statistics.median(cost.cpu for cost in ours), 2),
        "plain_cpu_seconds": round(statistics.median(cost.cpu for cost in theirs), 2),
        "cpu_ratio": round(statistics.median(b.cpu / a.cpu for a, b in costs), 2),
    }


def about(options: argparse.Namespace) -> dict[str, object]:
    """Say what was run, and where."""
    return {
        "steps": options.steps,
        "threads": options.threads,
        "dtype": options.dtype,
        "load_1min": round(os.getloadavg()[0], 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "command": " ".join(sys.argv),
    }


if __name__ == "__main__":
    main()
