"""A frozen base spread over the processes, for one too large for a single device.

Source: Zhao et al. 2023, PyTorch FSDP, arXiv:2304.11277; here torch's second form of it,
``fully_shard``. Each process holds a part of every weight, and a block's are put together while it
computes.
"""

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel

from adapters_training.errors import TrainingError


def shard_decoder(model: PreTrainedModel, mesh: DeviceMesh, *, device: str) -> None:
    """Freeze a decoder and spread its weights, in place; each process does so with equal weights.

    An adapter that is attached afterwards is whole in every process. So is the head: a decoder is
    read with it and without, and whatever is called must not lie above what was spread.

    Args:
        model: On any device, such as the CPU; no other than its blocks, one after another, are
            whole on ``device``.
        mesh: Of all processes.
        device: This process's own.

    Raises:
        TrainingError: the decoder has no blocks.
    """
    model.requires_grad_(False)
    trunk = model.base_model
    stacks = [child for child in trunk.children() if isinstance(child, nn.ModuleList)]
    if not stacks:
        raise TrainingError(
            "`shard` needs a decoder whose blocks stand in a list; "
            f"{type(model).__name__} has none\nhint: set `shard = false`"
        )
    for block in max(stacks, key=len):
        fully_shard(block, mesh=mesh)
    fully_shard(trunk, mesh=mesh)
    model.to(device)  # type: ignore[arg-type]
