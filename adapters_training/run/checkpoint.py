"""Where training stands, on disk.

A checkpoint is written aside, flushed and renamed, so that a crash leaves the one before. Tensors
are safetensors and the rest is JSON; nothing that could run code is ever loaded. No random state is
kept, see `adapters_training.randomness`.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from adapters_training.disk import Writer, durable_write, encode_tensors, flush_folder
from adapters_training.errors import CheckpointError
from adapters_training.selection.selection import Evaluation, evaluations_from_dict

KEEP = 2
BEST_FILE = "best.safetensors"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """How far a stage is."""

    step: int = 0
    """Optimizer steps done."""

    seconds: float = 0.0
    """Training time used, all attempts together."""

    tokens: int = 0
    """Tokens read, padding left out."""

    first_losses: tuple[float, ...] = field(default=())
    """Of the first steps, at most 10, in nats."""

    last_losses: tuple[float, ...] = field(default=())
    """Of the latest steps, at most 10."""

    evaluations: tuple[Evaluation, ...] = field(default=())
    """Of the development set, in order; the first is the start's."""


def save_checkpoint(
    folder: Path,
    state: TrainingState,
    *,
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
    best: Mapping[str, Tensor] | None = None,
    write: Writer | None = None,
) -> Path:
    """Write a checkpoint, and delete all but the latest two.

    Args:
        folder: Of the stage's checkpoints.
        state: How far the stage is.
        parameters: What is trained, by name.
        optimizer: Over these parameters.
        identity: What the run is made of; a checkpoint is only loaded into an equal run.
        best: The weights of the best evaluation; they are kept with the state that chose them, so
            that no crash parts the two. None: there was no evaluation.
        write: Writes one file durably; a test may fill its disk here.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: it could not be written; the one before is untouched.
    """
    write = write or durable_write
    target = folder / f"step-{state.step:08d}"
    aside = folder / f".writing-{target.name}"
    moments = {
        f"{name}/{key}": value
        for name, parameter in parameters.items()
        for key, value in optimizer.state[parameter].items()
    }
    record = {"state": dataclasses.asdict(state), "identity": dict(identity)}
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        weights = {name: p.detach() for name, p in parameters.items()}
        write(aside / "adapter.safetensors", encode_tensors(weights))
        write(aside / "optimizer.safetensors", encode_tensors(moments))
        if best is not None:
            write(aside / BEST_FILE, encode_tensors(best))
        write(aside / "state.json", json.dumps(record, indent=2).encode())
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
        flush_folder(folder)
    except OSError as exc:
        shutil.rmtree(aside, ignore_errors=True)
        raise CheckpointError(
            f"a checkpoint must be written to {target}: {exc}\n"
            f"hint: free some space and resume; the last good checkpoint is "
            f"{latest_checkpoint(folder) or 'none, so the stage starts again'}"
        ) from exc
    for old in sorted(folder.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old)
    return target


def latest_checkpoint(folder: Path) -> Path | None:
    """Find the checkpoint with the most steps; None where there is none."""
    return max(folder.glob("step-*"), default=None)


def load_checkpoint(
    path: Path,
    *,
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
) -> TrainingState:
    """Put a checkpoint's weights and optimizer state where they were.

    Raises:
        CheckpointError: it can't be read, or is of another run; says what differs.
    """
    try:
        record = json.loads((path / "state.json").read_text(encoding="utf-8"))
        weights = load_file(path / "adapter.safetensors")
        moments = load_file(path / "optimizer.safetensors")
        values = record["state"]
        state = TrainingState(
            step=values["step"],
            seconds=values["seconds"],
            tokens=values["tokens"],
            first_losses=tuple(values["first_losses"]),
            last_losses=tuple(values["last_losses"]),
            evaluations=evaluations_from_dict(values["evaluations"]),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as exc:
        raise CheckpointError(f"the checkpoint {path} can't be read: {exc}") from exc
    check_identity(record["identity"], identity, where=str(path))
    for name, parameter in parameters.items():
        parameter.data.copy_(weights[name])
        optimizer.state[parameter] = {
            key: value if key == "step" else value.to(parameter.device)
            for key in ("step", "exp_avg", "exp_avg_sq")
            if (value := moments.get(f"{name}/{key}")) is not None
        }
    return state


def load_best(path: Path) -> dict[str, Tensor] | None:
    """Read the weights of the best evaluation from a checkpoint; None: there was no evaluation.

    Raises:
        CheckpointError: they can't be read.
    """
    file = path / BEST_FILE
    if not file.is_file():
        return None
    try:
        return load_file(file)
    except (OSError, SafetensorError) as exc:
        raise CheckpointError(f"the checkpoint {path} can't be read: {exc}") from exc


def check_identity(found: Mapping[str, Any], wanted: Mapping[str, Any], *, where: str) -> None:
    """Refuse to go on with a run that was started from something else.

    Raises:
        CheckpointError: naming each difference.
    """
    before, now = flatten(found), flatten(wanted)
    different = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if different:
        raise CheckpointError(
            f"a run is resumed with what it was started with; in {where} "
            + "; ".join(different)
            + "\nhint: restore these, or start a new run"
        )


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested tables into one, with dotted names, as JSON would hold the values."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            flat |= flatten({str(i): item for i, item in enumerate(value)}, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
