"""Let every token of a decoder see the whole text, and prove that it does.

transformers >= 5.2 has the public switch ``config.is_causal``: masks, SDPA and FlashAttention
follow it and it is saved in ``config.json``. Setting only the modules' flag is a trap: SDPA is
then bidirectional until one row of a batch is padded. Hence the proof by behaviour, in the
backend that is used.

Source: BehnamGhader et al. 2024, LLM2Vec, arXiv:2404.05961, the step "Bi". They copy the
modelling code of four architectures; we switch the library's own.
"""

import logging

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from encoder.errors import NotBidirectionalError

logger = logging.getLogger(__name__)

ATTENTION_LAYERS = {"full_attention", "sliding_attention"}
SIGHT = 0.02
"""What tokens see moves a state 0.5 to 1.4 times as much from behind as from before, over 23
architectures; rounding, 4e-7 times."""


def set_causal(config: PretrainedConfig, *, causal: bool) -> None:
    """Set the switch on a config and, where it has one, on the config of its text decoder."""
    for part in {id(part): part for part in (config, config.get_text_config())}.values():
        part.is_causal = causal


def make_bidirectional(model: PreTrainedModel) -> None:
    """Switch a decoder's self-attention to see the whole text, and prove it.

    Layers that are no attention (convolution, linear attention, state space) stay
    one-directional: logged as a warning.

    Raises:
        NotBidirectionalError: a token still does not see the next one, or the model can't run
            without a mask.
    """
    set_causal(model.config, causal=False)
    for module in model.modules():
        # Some models (Nemotron on SDPA) read the module's own flag and not the config.
        if isinstance(getattr(module, "is_causal", None), bool):
            setattr(module, "is_causal", False)  # noqa: B010 - modules declare no such attribute
    try:
        reach = future_reach(model)
    except (RuntimeError, AttributeError, TypeError, ValueError, IndexError) as exc:
        raise NotBidirectionalError(
            f"a model must run with and without an attention mask; {type(model).__name__} with "
            f"{attention_backend(model)} attention does not: {exc}"
        ) from exc
    blind = [mask for mask, sees in reach.items() if not sees]
    if blind:
        raise NotBidirectionalError(
            f"every token must see the tokens after it; in {type(model).__name__} with "
            f"{attention_backend(model)} attention it does not with mask: {', '.join(blind)}\n"
            'hint: try another attention backend, `attention = "eager"`, or another base model'
        )
    other = one_directional_layers(model.config)
    if other:
        logger.warning(
            "%s: layers of type %s stay one-directional; only attention sees the whole text",
            type(model).__name__,
            ", ".join(other),
        )


def attention_backend(model: PreTrainedModel) -> str:
    """Name the attention kernel in use, such as ``sdpa``."""
    return str(model.config._attn_implementation)  # noqa: SLF001 - transformers has no public name


def one_directional_layers(config: PretrainedConfig) -> list[str]:
    """Name the layer types of a hybrid that the switch does not reach."""
    layer_types = getattr(config.get_text_config(), "layer_types", None) or []
    return sorted(set(layer_types) - ATTENTION_LAYERS)


@torch.no_grad()
def future_reach(model: PreTrainedModel) -> dict[str, bool]:
    """Tell, for each kind of mask, whether a token's state depends on the token after it.

    The token after must move the state at least `SIGHT` times as much as the token before does.
    That it moves it at all proves nothing: in a mixture of experts, other tokens change how the
    experts' rows are grouped, and so how they are rounded.
    """
    # From the middle of the vocabulary: ids at its ends may be reserved, with equal embeddings.
    vocabulary = model.config.get_text_config().vocab_size
    ids = [vocabulary // part for part in (7, 6, 5, 4, 3)]
    text = torch.tensor([ids], device=model.device)
    before, after = text.clone(), text.clone()
    before[0, 1] = after[0, 3] = vocabulary // 2
    ones = torch.ones_like(text)
    padded = ones.clone()
    padded[0, 4] = 0
    decoder: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]

    def middle_state(ids: Tensor, mask: Tensor | None) -> Tensor:
        output = decoder(input_ids=ids, attention_mask=mask, use_cache=False)
        state: Tensor = output.last_hidden_state[0, 2].float()
        return state

    def sees(mask: Tensor | None) -> bool:
        state = middle_state(text, mask)
        moved_by_past = torch.dist(middle_state(before, mask), state)
        moved_by_future = torch.dist(middle_state(after, mask), state)
        return bool(moved_by_future > SIGHT * moved_by_past)

    was_training = model.training
    model.eval()  # type: ignore[no-untyped-call]
    try:
        return {"none": sees(None), "all ones": sees(ones), "padded": sees(padded)}
    finally:
        model.train(was_training)
