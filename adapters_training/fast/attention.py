"""Attention for training on a CPU: eager's arithmetic in fewer passes over memory.

Against the library's eager attention, keys and values are not copied for each query head that
shares them, the softmax makes no float32 copy of the weights, and dropout draws a byte an element.
SDPA's backward pass on CPUs is slower than either.

Shapes: B batch · H query heads · K key heads · G = H / K · T queries · S keys · D head width.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from adapters_training.fast.dropout import random_bytes, without_dropped
from encoder.attention import attention_backend

NAME = "eager_training"
"""What the library's switch calls it."""

WITHOUT_EFFECT = {"is_causal", "sliding_window", "position_ids", "use_cache", "cache_position"}
"""What models pass on and eager attention does not read: the mask says it all."""

SAME = {torch.float32: 1e-4, torch.bfloat16: 0.02}
"""Relative difference of states that is rounding."""

FLOAT32_BELOW = 64
"""Keys below which the library's bf16 softmax is slower than its float32 one."""


class AttentionContext(FunctionCtx):
    """What autograd keeps of an attention."""

    saved_tensors: tuple[Tensor, ...]
    """Queries scaled, keys, values, weights, random bytes or None."""

    scaling: float
    dropped: int


class GroupedAttention(torch.autograd.Function):
    """Softmax attention of G query heads to each key head."""

    @staticmethod
    def forward(
        ctx: AttentionContext,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        scaling: float,
        dropped: int,
    ) -> Tensor:
        """Attend.

        Args:
            ctx: autograd's.
            query: ``[B, H, T, D]``.
            key: ``[B, K, S, D]``.
            value: ``[B, K, S, D]``.
            mask: Added to the scores, ``[B or 1, 1, T or 1, S]``, or None.
            scaling: Of the scores.
            dropped: Of 256 weights.

        Returns:
            ``[B, T, H, D]``.
        """
        batch, heads, length, _ = query.shape
        keys, span = key.shape[1:3]
        grouped = (batch * keys, heads // keys * length)  # B * K, G * T
        q = torch.mul(query, scaling, out=query.new_empty(query.shape)).view(*grouped, -1)
        k, v = (part.reshape(batch * keys, span, -1) for part in (key, value))
        weights = torch.bmm(q, k.transpose(1, 2))  # [B * K, G * T, S]
        if mask is not None:
            lowest = torch.finfo(weights.dtype).min
            weights.view(batch, heads, length, span).add_(mask.clamp(min=lowest))
        narrow = torch.float32 if span < FLOAT32_BELOW and query.itemsize == 2 else None
        weights = torch.softmax(weights, dim=-1, dtype=narrow).to(query.dtype)
        drawn = random_bytes(weights.shape) if dropped else None
        mixed = torch.bmm(without_dropped(weights, drawn, dropped), v)
        if dropped:
            mixed.mul_(256 / (256 - dropped))
        saved: Any = (q, k, v, weights, drawn)
        ctx.save_for_backward(*saved)
        ctx.scaling, ctx.dropped = scaling, dropped
        return mixed.view(batch, heads, length, -1).transpose(1, 2).contiguous()

    @staticmethod
    def backward(ctx: AttentionContext, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Carry the gradient ``[B, T, H, D]`` to queries, keys and values."""
        q, k, v, weights, drawn = ctx.saved_tensors
        batch, length, heads, _ = gradient.shape
        keys, span = heads * length // q.shape[1], k.shape[1]
        mixed = gradient.transpose(1, 2).reshape(*q.shape[:2], -1)
        if ctx.dropped:
            mixed = mixed * (256 / (256 - ctx.dropped))
        kept = without_dropped(weights, drawn, ctx.dropped)
        # The narrow matrix first: transposing the wide one costs the product a third.
        v_gradient = torch.bmm(mixed.transpose(1, 2), kept).transpose(1, 2)
        scores = without_dropped(torch.bmm(mixed, v.transpose(1, 2)), drawn, ctx.dropped)
        scores = torch._softmax_backward_data(scores, weights, -1, weights.dtype)  # noqa: SLF001
        q_gradient = torch.bmm(scores, k).mul_(ctx.scaling)
        k_gradient = torch.bmm(q.transpose(1, 2), scores).transpose(1, 2)
        return (
            q_gradient.view(batch, heads, length, -1),
            k_gradient.reshape(batch, keys, span, -1),
            v_gradient.reshape(batch, keys, span, -1),
            None,
            None,
            None,
        )


def training_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """Attend as the model's own eager attention does; it is asked itself for what is unknown here.

    The signature is the library's.
    """
    asked = {name for name, value in options.items() if value is not None and value is not False}
    # Evaluation computes exactly what the library does.
    learning = module.training or torch.is_grad_enabled()
    if asked - WITHOUT_EFFECT or query.device.type != "cpu" or not learning:
        return own_eager(module)(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **options
        )
    dropped = max(round(dropout * 256), 1) if dropout else 0
    with torch.autocast("cpu", enabled=False):
        mixed: Tensor = GroupedAttention.apply(  # type: ignore[no-untyped-call]
            query, key, value, attention_mask, scaling, dropped
        )
    return mixed, None


def own_eager(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """Find eager attention in the file of a model's attention module, by the library's name."""
    own: Callable[..., tuple[Tensor, Tensor | None]]
    own = sys.modules[type(module).__module__].eager_attention_forward
    return own


def use_training_attention(model: PreTrainedModel) -> bool:
    """Switch a model from eager attention to this one, where that changes nothing but speed.

    Returns:
        Whether it was switched.
    """
    if attention_backend(model) != "eager" or not model._supports_attention_backend:  # noqa: SLF001
        return False
    AttentionInterface.register(NAME, training_attention)
    AttentionMaskInterface.register(NAME, eager_mask)
    expected = states(model)
    model.set_attn_implementation(NAME)
    try:
        found = states(model)
    except AttributeError:  # no eager attention of its own to ask
        found = torch.full_like(expected, torch.nan)
    same = float(torch.dist(found, expected)) <= SAME[model.dtype] * float(expected.norm())
    if not same:
        model.set_attn_implementation("eager")
    return same


@torch.enable_grad()  # without, eager itself is asked
def states(model: PreTrainedModel) -> Tensor:
    """Compute the decoder's states of a few tokens, without padding and with."""
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.tensor([[vocabulary // part for part in (7, 6, 5, 4, 3)]] * 2, device=model.device)
    padded = torch.ones_like(ids)
    padded[1, 3:] = 0
    decoder: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]
    was_training = model.training
    model.eval()  # type: ignore[no-untyped-call]
    try:
        found = [
            decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            for mask in (None, padded)
        ]
    finally:
        model.train(was_training)
    return torch.cat([found[0].flatten(), found[1][padded.bool()].flatten()]).detach().float()
