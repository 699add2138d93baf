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


def set_causal(config: PretrainedConfig, *, causal: bool) -> None:
    """Set the switch on a config and, where it has one, on the config of its text decoder."""
    for part in {id(part): part for part in (config, config.get_text_config())}.values():
        part.is_causal = causal


def make_bidirectional(model: PreTrainedModel) -> None:
    """Switch a decoder's self-attention to see the whole text, and prove it.

    Layers that are no attention (convolution, linear attention, state space) stay
    one-directional: logged as a warning.

    Raises:
        NotBidirectionalError: a token still does not see the next one.
    """
    set_causal(model.config, causal=False)
    for module in model.modules():
        # Some models (Nemotron on SDPA) read the module's own flag and not the config.
        if isinstance(getattr(module, "is_causal", None), bool):
            setattr(module, "is_causal", False)  # noqa: B010 - modules declare no such attribute
    blind = [mask for mask, sees in future_reach(model).items() if not sees]
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
    """Tell, for each kind of mask, whether the second token's state depends on the third token.

    Two runs of one shape differ in the third token only, so any difference at the second is
    sight, not noise.
    """
    vocabulary = model.config.get_text_config().vocab_size
    text = torch.tensor([[3, 4, 5, 6]], device=model.device) % vocabulary
    other = text.clone()
    other[0, 2] = 7 % vocabulary
    ones = torch.ones_like(text)
    padded = ones.clone()
    padded[0, 3] = 0
    decoder: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]

    def second_state(ids: Tensor, mask: Tensor | None) -> Tensor:
        output = decoder(input_ids=ids, attention_mask=mask, use_cache=False)
        state: Tensor = output.last_hidden_state[0, 1]
        return state

    was_training = model.training
    model.eval()  # type: ignore[no-untyped-call]
    try:
        return {
            name: bool((second_state(text, mask) - second_state(other, mask)).abs().max() > 0)
            for name, mask in {"none": None, "all ones": ones, "padded": padded}.items()
        }
    finally:
        model.train(was_training)
