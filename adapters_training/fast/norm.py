"""Root-mean-square norms that take fewer passes over memory in training on a CPU.

autograd keeps and reads a float32 tensor for each operation of the library's norm; here the
backward pass is one formula, and only the input is kept.

Shapes: N tokens · D width.
Source: Zhang and Sennrich 2019, arXiv:1910.07467.
"""

import inspect

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from transformers import PreTrainedModel

EPSILONS = ("variance_epsilon", "eps")
"""The names that transformers' norms give to what they add to the mean square."""

TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
"""Relative; by how much rounding may differ."""


class NormContext(FunctionCtx):
    """What autograd keeps of a norm."""

    saved_tensors: tuple[Tensor, Tensor, Tensor]
    """Input, weight, inverse of the root mean square ``[..., 1]``."""


class RootMeanSquareNorm(torch.autograd.Function):
    """``x / rms(x) * weight``, in float32, rounded to the input's type before the weight."""

    @staticmethod
    def forward(ctx: NormContext, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """Normalise ``x [..., D]``."""
        values = x.float()
        # The library's operations in its order: with these the output is the same to the bit.
        inverse = torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + epsilon)  # [..., 1]
        ctx.save_for_backward(x, weight, inverse)
        normed: Tensor = (values * inverse).to(x.dtype) * weight
        return normed

    @staticmethod
    def backward(ctx: NormContext, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Carry the gradient to the input."""
        x, weight, inverse = ctx.saved_tensors
        values = x.float() * inverse
        scaled = (gradient * weight).float()
        along = (scaled * values).mean(dim=-1, keepdim=True)
        return scaled.sub_(values.mul_(along)).mul_(inverse).to(x.dtype), None, None


class FrozenNorm(nn.Module):
    """A norm whose weight is not trained."""

    def __init__(self, weight: nn.Parameter, *, epsilon: float) -> None:
        """Share the weight ``[D]`` of another norm."""
        super().__init__()
        self.weight = weight
        self.eps = self.variance_epsilon = epsilon  # for code that reads it by either name

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Normalise ``[..., D]``."""
        with torch.autocast(hidden_states.device.type, enabled=False):
            normed: Tensor = RootMeanSquareNorm.apply(  # type: ignore[no-untyped-call]
                hidden_states, self.weight, self.eps
            )
        return normed


def replace_norms(model: PreTrainedModel) -> int:
    """Replace the norms that are this formula by ones that train faster.

    Which ones they are is seen from what they compute: norms of like names add one to the weight,
    or centre first.

    Returns:
        How many were replaced.
    """
    count = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            norm = same_formula(child)
            if norm is not None and computes_the_same(norm, child):
                setattr(parent, name, norm)
                count += 1
    return count


def same_formula(module: nn.Module) -> FrozenNorm | None:
    """Make a norm of a module's weight, if it takes one input and has nothing but a weight."""
    epsilon = next((getattr(module, name) for name in EPSILONS if hasattr(module, name)), None)
    own = dict(module.named_parameters())
    inputs = len(inspect.signature(module.forward).parameters)
    if epsilon is None or own.keys() != {"weight"} or inputs != 1:
        return None
    weight = own["weight"]
    if weight.dim() != 1 or weight.dtype not in TOLERANCES or type(weight) is not nn.Parameter:
        return None  # another class of parameter is a part of a weight that several processes hold
    return FrozenNorm(weight, epsilon=epsilon)


@torch.no_grad()
def computes_the_same(norm: FrozenNorm, module: nn.Module) -> bool:
    """Compare two norms on random numbers that are not centred."""
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(4, len(norm.weight), generator=generator).add_(0.5).to(norm.weight)
    found, expected = norm(probe), module(probe)
    tolerance = TOLERANCES[norm.weight.dtype]
    return found.dtype == expected.dtype and torch.allclose(
        found, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max())
    )
