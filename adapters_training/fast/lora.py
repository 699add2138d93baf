"""LoRA layers that take fewer passes over memory in training on a CPU.

Layers that read the same tensor (query, key and value; gate and up) are computed together: one
dropout mask for all of them, one product with their stacked first matrices. peft draws a mask a
layer; each adapter by itself sees the same distribution either way. The parameters are peft's, so
files and gradients are what they would be; on other devices peft's own code runs.

Shapes: N tokens · I width of the input · O of an output · R rank · G layers that read one input.
Source: Hu et al. 2021, LoRA, arXiv:2106.09685.
"""

from collections.abc import Sequence
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from adapters_training.fast.dropout import ByteDropout, random_bytes, without_dropped

ADAPTER = "default"


class GroupedLora(LoraLinear):
    """peft's layer, computed together with the layers that read the same input."""

    group: "LoraGroup"

    def forward(self, x: Tensor, *args: object, **kwargs: object) -> Tensor:
        """Compute the base layer and its adapter."""
        learning = self.training or torch.is_grad_enabled()  # evaluation runs peft's own code
        if args or kwargs or x.device.type != "cpu" or not learning or not self.group.is_plain():
            output: Tensor = super().forward(x, *args, **kwargs)
            return output
        return self.group.output(self, x)

    def is_plain(self) -> bool:
        """Tell whether nothing but the one trained adapter is on."""
        return not (self.disable_adapters or self.merged or self.lora_variant) and (
            self.active_adapters == [ADAPTER]
        )

    def base_weight(self) -> Tensor:
        """Return the frozen weight, ``[O, I]``."""
        base: Any = self.get_base_layer()
        weight: Tensor = base.weight
        return weight.t() if isinstance(base, Conv1D) else weight


class LoraGroup:
    """Layers that read one input; the first that is called computes the outputs of all."""

    def __init__(self, layers: Sequence[GroupedLora]) -> None:
        """Take the layers in the order in which the model calls them."""
        self._layers = tuple(layers)
        self._input: Tensor | None = None
        self._waiting: dict[int, Tensor] = {}

    def is_plain(self) -> bool:
        """Tell whether nothing but the one trained adapter is on, in all layers."""
        return all(layer.is_plain() for layer in self._layers)

    def output(self, layer: GroupedLora, x: Tensor) -> Tensor:
        """Give the layer's output for ``x``, ``[..., I]`` to ``[..., O]``."""
        if self._input is not x or id(layer) not in self._waiting:
            outputs = grouped_outputs(self._layers, x)
            self._waiting = {id(k): v for k, v in zip(self._layers, outputs, strict=True)}
            self._input = x
        output = self._waiting.pop(id(layer))
        if not self._waiting:
            self._input = None
        return output


def grouped_outputs(layers: Sequence[GroupedLora], x: Tensor) -> Sequence[Tensor]:
    """Compute the outputs of layers that read ``x``, in the type autocast asks for."""
    dropout = layers[0].lora_dropout[ADAPTER]
    drawn, dropped, scale = None, 0, 1.0
    if layers[0].training and isinstance(dropout, ByteDropout):
        drawn, dropped, scale = random_bytes(x.shape), dropout.dropped_of_256, dropout.scale
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    tensors: list[Any] = []
    for layer in layers:
        tensors += [layer.base_weight(), layer.get_base_layer().bias]
        tensors += [layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight]
    scales = [layer.scaling[ADAPTER] * scale for layer in layers]
    with torch.autocast("cpu", enabled=False):
        outputs: Sequence[Tensor] = GroupedProduct.apply(  # type: ignore[no-untyped-call]
            x.to(dtype), drawn, dropped, scales, *tensors
        )
    return outputs


class ProductContext(FunctionCtx):
    """What autograd keeps of a group's product."""

    saved_tensors: tuple[Tensor, ...]
    """Input after dropout, random bytes or None, products with A ``[N, G * R]``, A stacked, then W
    and B of each layer."""

    needs_input_grad: tuple[bool, ...]
    dropped: int
    scales: Sequence[float]
    shape: torch.Size
    """Of the input."""


class GroupedProduct(torch.autograd.Function):
    """Outputs of base layers with their adapters, for one input.

    Kept for the backward pass: the input after dropout, its random bytes, and for each token and
    layer R numbers.
    """

    @staticmethod
    def forward(
        ctx: ProductContext,
        x: Tensor,
        drawn: Tensor | None,
        dropped: int,
        scales: Sequence[float],
        *tensors: Tensor | None,
    ) -> tuple[Tensor, ...]:
        """Compute ``x W^T + bias + scale * drop(x) A^T B^T`` for each layer.

        Args:
            ctx: autograd's.
            x: ``[..., I]``.
            drawn: Random bytes of x's shape, or None where nothing is dropped.
            dropped: Of 256.
            scales: Of the adapters, G of them.
            tensors: Of each layer W ``[O, I]``, bias ``[O]`` or None, A ``[R, I]``, B ``[O, R]``.
        """
        every: Any = tensors
        rows = x.reshape(-1, x.shape[-1])  # [N, I]
        weights = [weight.to(x.dtype) for weight in every[0::4]]
        seconds = [(b * s).to(x.dtype) for b, s in zip(every[3::4], scales, strict=True)]
        stacked = torch.cat([a.to(x.dtype) for a in every[2::4]])  # [G * R, I]
        drawn = None if drawn is None else drawn.view(rows.shape)
        kept = without_dropped(rows, drawn, dropped)
        inner = kept @ stacked.t()  # [N, G * R]
        inners = inner.chunk(len(weights), dim=1)
        outputs = []
        for weight, bias, b, h in zip(weights, every[1::4], seconds, inners, strict=True):
            y = rows @ weight.t()
            y = y if bias is None else y.add_(bias)
            outputs.append(y.addmm_(h, b.t()).view(*x.shape[:-1], -1))
        saved: Any = (kept, drawn, inner, stacked, *weights, *seconds)
        ctx.save_for_backward(*saved)
        ctx.dropped, ctx.scales, ctx.shape = dropped, scales, x.shape
        return tuple(outputs)

    @staticmethod
    def backward(ctx: ProductContext, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Carry the outputs' gradients to the input and the adapters."""
        kept, drawn, inner, stacked, *rest = ctx.saved_tensors
        count = len(gradients)
        weights, seconds = rest[:count], rest[count:]
        rows = [g.reshape(-1, g.shape[-1]) for g in gradients]  # [N, O] each
        at_inner = torch.cat([g @ b for g, b in zip(rows, seconds, strict=True)], dim=1)
        at_first = (at_inner.t() @ kept).float().chunk(count)
        at_second = [
            (h.t() @ g).t().float() * scale
            for g, h, scale in zip(rows, inner.chunk(count, dim=1), ctx.scales, strict=True)
        ]
        at_x = None
        if ctx.needs_input_grad[0]:
            at_x = without_dropped(at_inner @ stacked, drawn, ctx.dropped)
            for g, weight in zip(rows, weights, strict=True):
                at_x.add_(g @ weight)  # faster than a product that adds to its output
            at_x = at_x.view(ctx.shape)
        pairs = zip(at_first, at_second, strict=True)
        of_layers = [gradient for a, b in pairs for gradient in (None, None, a, b)]
        return at_x, None, None, None, *of_layers


def group_adapters(model: PreTrainedModel, readers: Sequence[Sequence[nn.Module]]) -> None:
    """Let LoRA layers compute together with those that read their input.

    Layers of a kind that this code does not know, such as quantised ones, stay as peft made them.

    Args:
        model: With its adapters on.
        readers: From `readers_of_one_input`, found before the adapters were put on.
    """
    known = {
        id(module.get_base_layer()): module
        for module in model.modules()
        if type(module) is LoraLinear and type(module.get_base_layer()) in (nn.Linear, Conv1D)
    }
    for bases in readers:
        layers: list[Any] = [known[id(base)] for base in bases if id(base) in known]
        group = LoraGroup(layers)
        for layer in layers:
            layer.__class__ = GroupedLora  # still the module that peft made and knows
            layer.group = group


@torch.no_grad()
def readers_of_one_input(
    model: PreTrainedModel, layers: Sequence[nn.Module]
) -> list[list[nn.Module]]:
    """Find out which layers are given the same tensor, by running the decoder on two tokens.

    Returns:
        The layers in groups, those of a group in the order of their calls; a layer that is not
        called exactly once is alone.
    """
    calls: list[tuple[nn.Module, Tensor]] = []  # tensors are kept, so that no identity is reused

    def note(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        calls.extend((module, argument) for argument in arguments[:1])

    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.tensor([[vocabulary // 3, vocabulary // 2]], device=model.device)
    decoder: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]
    was_training = model.training
    model.eval()  # type: ignore[no-untyped-call]
    try:
        decoder(input_ids=ids, use_cache=False)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    called = [id(module) for module, _ in calls]
    groups: dict[int, list[nn.Module]] = {}
    for module, argument in calls:
        if called.count(id(module)) == 1:
            groups.setdefault(id(argument), []).append(module)
    grouped = {id(module) for group in groups.values() for module in group}
    return [*groups.values(), *([layer] for layer in layers if id(layer) not in grouped)]
