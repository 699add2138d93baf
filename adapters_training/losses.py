"""Training losses, in nats.

Shapes: B batch · T tokens · D width · V vocabulary · K passages per query · N tokens to predict.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def info_nce(queries: Tensor, passages: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of each query against every passage in the batch.

    Args:
        queries: Unit-norm, ``[B, D]``.
        passages: Unit-norm, ``[B * K, D]``; row ``i * K`` is the positive of query ``i``.
        temperature: Softmax temperature, > 0; 0.05 is SimCSE's value.

    Returns:
        Mean loss, ``[]`` float32.

    Raises:
        ValueError: ``passages`` is not a whole multiple of ``queries``.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748; two dropout views: Gao et al. 2021,
        arXiv:2104.08821.
    """
    if len(queries) == 0 or len(passages) % len(queries):
        raise ValueError(
            "`passages` must be a whole multiple of `queries`; "
            f"got {len(passages)} passages for {len(queries)} queries"
        )
    scores = queries.float() @ passages.float().T / temperature  # [B, B * K]
    positives = torch.arange(len(queries), device=queries.device) * (len(passages) // len(queries))
    return functional.cross_entropy(scores, positives)


def mntp_loss(
    model: nn.Module,
    input_ids: Tensor,
    attention_mask: Tensor | None,
    *,
    selected: Tensor,
    labels: Tensor,
) -> Tensor:
    """Cross-entropy of hidden tokens, each predicted from the position before it.

    Equal to the library's own loss with label -100 elsewhere, without the logits of the positions
    that are not asked for.

    Args:
        model: A causal language model with its head, attention bidirectional.
        input_ids: What the model sees, ``[B, T]``.
        attention_mask: ``[B, T]`` bool, or None where nothing is padded.
        selected: Tokens to predict, ``[B, T]`` bool, False at the first position.
        labels: Those tokens, ``[N]``.

    Returns:
        Mean loss, ``[]`` float32.

    Source:
        BehnamGhader et al. 2024, arXiv:2404.05961: position i - 1 predicts token i, as in
        pre-training.
    """
    logits = masked_logits(model, input_ids, attention_mask, selected=selected)
    return functional.cross_entropy(logits.float(), labels)


def masked_logits(
    model: nn.Module, input_ids: Tensor, attention_mask: Tensor | None, *, selected: Tensor
) -> Tensor:
    """Compute the logits of the tokens to predict only, ``[N, V]``.

    The head is given the states of the positions before the selected ones; what a model does to its
    logits after the head (Gemma 2's soft cap, Granite's scale) still happens.
    """
    before = torch.zeros_like(selected)
    before[:, :-1] = selected[:, 1:]

    def keep_asked(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (arguments[0][before].unsqueeze(0), *arguments[1:])  # [1, N, D]

    causal_model: Any = model
    hook = causal_model.get_output_embeddings().register_forward_pre_hook(keep_asked)
    try:
        output = causal_model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
    finally:
        hook.remove()
    logits: Tensor = output.logits[0]
    return logits
