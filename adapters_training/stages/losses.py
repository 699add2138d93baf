"""Training losses, in nats.

Shapes: B queries or texts · P passages · T tokens · D width · V vocabulary · N tokens to predict.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def info_nce(
    queries: Tensor,
    passages: Tensor,
    *,
    temperature: float,
    positives: Tensor | None = None,
    excluded: Tensor | None = None,
    margin: float | None = None,
) -> Tensor:
    """Cross-entropy of each query's passage against every passage.

    Args:
        queries: Unit-norm, ``[B, D]``.
        passages: Unit-norm, ``[P, D]``.
        temperature: Softmax temperature, > 0; 0.05 is SimCSE's value.
        positives: Row of each query's passage, ``[B]``; None: row i is query i's.
        excluded: True = no negative of this query, ``[B, P]``; never the positive itself.
        margin: A passage that scores above the positive by more than this is no negative; None:
            no such limit.

    Returns:
        Mean loss, ``[]`` float32.

    Raises:
        ValueError: there is no query, or without ``positives`` as many passages as queries.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748; two dropout views: Gao et al. 2021,
        arXiv:2104.08821; the margin: Zhang et al. 2025, arXiv:2506.05176.
    """
    if positives is None:
        if len(queries) != len(passages):
            raise ValueError(
                "without `positives` there must be one passage for each query; "
                f"got {len(passages)} passages for {len(queries)} queries"
            )
        positives = torch.arange(len(queries), device=queries.device)
    if len(queries) == 0:
        raise ValueError("`queries` must not be empty")
    cosines = queries.float() @ passages.float().T  # [B, P]
    hidden = torch.zeros_like(cosines, dtype=torch.bool) if excluded is None else excluded
    if margin is not None:
        of_positive = cosines.detach().gather(1, positives[:, None])  # [B, 1]
        hidden = hidden | (cosines.detach() > of_positive + margin)
    scores = (cosines / temperature).masked_fill(hidden, float("-inf"))
    return functional.cross_entropy(scores, positives)


def matryoshka_info_nce(
    queries: Tensor,
    passages: Tensor,
    *,
    widths: Sequence[int],
    temperature: float,
    positives: Tensor | None = None,
    excluded: Tensor | None = None,
    margin: float | None = None,
) -> Tensor:
    """Average `info_nce` over the full width and the first numbers of each vector.

    Args:
        queries: Unit-norm, ``[B, D]``.
        passages: Unit-norm, ``[P, D]``.
        widths: Each at least 1; one of D or more counts as the full width.
        temperature: As in `info_nce`, and so are the others.
        positives: Row of each query's passage, ``[B]``.
        excluded: True = no negative of this query, ``[B, P]``.
        margin: Above the positive's cosine at each width.

    All widths weigh alike, and each prefix is scaled to unit norm, as it is when it is searched.
    Source: Kusupati et al. 2022, Matryoshka, arXiv:2205.13147.
    """
    full = queries.shape[1]
    kept = [full, *sorted({width for width in widths if width < full}, reverse=True)]
    losses = [
        info_nce(
            functional.normalize(queries[:, :width], dim=1),
            functional.normalize(passages[:, :width], dim=1),
            temperature=temperature,
            positives=positives,
            excluded=excluded,
            margin=margin,
        )
        for width in kept
    ]
    return torch.stack(losses).mean()


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
