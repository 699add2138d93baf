"""The processes of one run: one, or several that share each step.

A step's batch is a function of its number, so every process makes the same one and computes its own
part. What a part gives, vectors and the adapters' gradients, is small and goes to all; then every
process takes the same optimizer step. So several processes do what one does, up to rounding.

Shapes: B rows of an item · D width.
"""

import atexit
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from adapters_training.errors import TrainingError

T = TypeVar("T")

LONGEST_WAIT = timedelta(days=7)
"""For what one process does alone, such as writing queries. A process that ends is noticed at
once."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One item of a step that a process computes."""

    number: int
    """Of the item."""

    spare: bool
    """Another process counts this item. It is computed all the same, because a model that is spread
    over the processes needs all of them in each pass; what it gives is dropped."""


class Processes:
    """One process alone, which shares nothing and waits for nobody."""

    rank: int = 0
    size: int = 1
    device: str | None = None
    """The process's own, where there are several."""

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and talks."""
        return self.rank == 0

    def turns(self, count: int) -> list[Turn]:
        """Name this process's items of ``count``, as many as every other process has."""
        return turns_of(self.rank, size=self.size, count=count)

    def gather(self, own: Sequence[Tensor], rows: Sequence[int]) -> list[Tensor]:
        """Give every process the vectors of all items.

        Args:
            own: ``[B, D]`` for each of this process's turns, without gradient.
            rows: B of every item.

        Returns:
            ``[B, D]`` for every item, in their order.
        """
        del rows
        return list(own)

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients by their sums over the processes."""

    def copy_from_main(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the parameters by the main process's."""

    def add_up(self, value: float) -> float:
        """Sum a number over the processes."""
        return value

    def from_main(self, make: Callable[[], T]) -> T:
        """Let the main process make something, and wait until all have it."""
        return make()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Run the block in one process after another."""
        yield


ALONE = Processes()


class ProcessGroup(Processes):
    """This process among several, which a launcher has started."""

    def __init__(self, *, rank: int, size: int, device: str) -> None:
        """Meet the others; each of them does the same.

        Args:
            rank: Of this process; 0 is the main one.
            size: Number of processes, at least 2.
            device: This process's own, such as ``cuda:1``.
        """
        self.rank = rank
        self.size = size
        self.device = device
        # Apart from tensors: NCCL takes a long wait for a failure, and would not see a process end.
        self._control = dist.new_group(backend="gloo", timeout=LONGEST_WAIT)

    def gather(self, own: Sequence[Tensor], rows: Sequence[int]) -> list[Tensor]:
        """Give every process the vectors of all items."""
        turns = [turns_of(rank, size=self.size, count=len(rows)) for rank in range(self.size)]
        counts = [[rows[turn.number] for turn in of_rank] for of_rank in turns]
        vectors = torch.cat(list(own))
        padded = vectors.new_zeros(max(map(sum, counts)), vectors.shape[1])
        padded[: len(vectors)] = vectors
        everyone = [torch.empty_like(padded) for _ in turns]
        with together():
            dist.all_gather(everyone, padded)
        found: dict[int, Tensor] = {}
        for of_rank, sizes, theirs in zip(turns, counts, everyone, strict=True):
            parts = theirs[: sum(sizes)].split(sizes)  # type: ignore[no-untyped-call]
            found |= {t.number: p for t, p in zip(of_rank, parts, strict=True) if not t.spare}
        return [found[number] for number in range(len(rows))]

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients by their sums over the processes; none anywhere stays none."""
        present = torch.tensor([float(p.grad is not None) for p in parameters])
        flat = torch.cat([present.to(parameters[0]), *(gradient_of(p) for p in parameters)])
        with together():
            dist.all_reduce(flat)
        present, *sums = flat.split([len(parameters), *(p.numel() for p in parameters)])  # type: ignore[no-untyped-call]
        for parameter, count, total in zip(parameters, present.tolist(), sums, strict=True):
            parameter.grad = total.view_as(parameter) if count else None

    def copy_from_main(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the parameters by the main process's."""
        with together():
            for parameter in parameters:
                dist.broadcast(parameter.data, src=0)

    def add_up(self, value: float) -> float:
        """Sum a number over the processes."""
        total = torch.tensor(value, dtype=torch.float64)
        with together():
            dist.all_reduce(total, group=self._control)
        return float(total)

    def from_main(self, make: Callable[[], T]) -> T:
        """Let the main process make something, and wait until all have it."""
        box = [make()] if self.is_main else [None]
        with together():
            dist.broadcast_object_list(box, src=0, group=self._control)
        made: T = box[0]  # type: ignore[assignment]
        return made

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Run the block in one process after another."""
        for _ in range(self.rank):
            self._wait()
        yield
        for _ in range(self.rank, self.size):
            self._wait()

    def mesh(self) -> DeviceMesh:
        """Describe the processes as torch's sharding wants it; each of them asks at once."""
        kind = str(self.device).partition(":")[0]
        return init_device_mesh(kind, (self.size,))

    def leave(self) -> None:
        """End the threads that move data; nothing can be shared afterwards.

        One that is still busy when the interpreter goes aborts the process, whose work was done.
        """
        if dist.is_initialized():  # unless somebody else has done so
            dist.destroy_process_group()
        del self._control

    def _wait(self) -> None:
        with together():
            dist.barrier(group=self._control)


def turns_of(rank: int, *, size: int, count: int) -> list[Turn]:
    """Deal items to processes like cards; who has none left takes the last one as a spare."""
    dealt = range(rank, rank + size * -(-count // size), size)
    return [Turn(number=min(i, count - 1), spare=i >= count) for i in dealt]


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """Flatten a parameter's gradient; zeros where there is none."""
    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return gradient.flatten()


@contextmanager
def together() -> Iterator[None]:
    """Say what it means when the processes can't do something together.

    Raises:
        TrainingError: one of them has ended, or can't be reached.
    """
    try:
        yield
    except RuntimeError as exc:
        raise TrainingError(
            f"every process of a run must stay to its end; another one is gone: {exc}\n"
            "hint: what it wrote says why; then resume the run"
        ) from exc


@functools.cache
def join_processes() -> Processes:
    """Meet the processes that `accelerate launch` or `torchrun` started; without them, be alone.

    It is done once: the group lasts as long as the process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return ALONE
    from accelerate import PartialState  # type: ignore[import-untyped]
    from accelerate.utils import parse_flag_from_env  # type: ignore[import-untyped]

    # accelerate's own launcher says by this variable that GPUs are to be left alone.
    cpu = not torch.cuda.is_available() or bool(parse_flag_from_env("ACCELERATE_USE_CPU"))
    with together():
        state = PartialState(cpu=cpu)
        device = "cpu" if cpu else str(state.device)  # the library numbers even the CPU
        group = ProcessGroup(rank=state.process_index, size=state.num_processes, device=device)
    atexit.register(group.leave)
    return group
