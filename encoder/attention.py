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

CAUSAL_ONLY = {
    "gpt_neo": "its code hides the future with a triangle of its own",
    "openai-gpt": "its code hides the future with a triangle of its own",
    "llama4_text": "its chunked attention ignores the switch",
    "mpt": "its code can't run without a mask",
    "mamba": "it has no attention",
    "mamba2": "it has no attention",
    "falcon_mamba": "it has no attention",
    "rwkv": "it has no attention",
    "xlstm": "it has no attention",
}
"""Families known to be refused, and why: told by name, before their weights are read. The proof
refuses any other that does not switch."""

OWN_SWITCH = {"gemma3_text"}
"""Families with a switch of their own, ``use_bidirectional_attention``, that their modelling code
obeys; `config.is_causal` on top of it would let their window see a token too far."""

SWITCHED_LAYERS = {"full_attention", "sliding_attention"}
POSITION_WISE_LAYERS = {"mlp", "moe"}
SIGHT = 0.02
"""What tokens see moves a state 0.5 to 3 times as much from behind as from before, over 68
families, and at least 0.19 times in 11 hybrids; rounding, 4e-7 times."""


def refuse_causal_only(config: PretrainedConfig) -> None:
    """Refuse a family that is known not to switch.

    Raises:
        NotBidirectionalError: naming it, and why.
    """
    family = config.get_text_config().model_type
    if family in CAUSAL_ONLY:
        raise NotBidirectionalError(
            f"every token must see the tokens after it; a {family} model can't be made to: "
            f"{CAUSAL_ONLY[family]}\nhint: choose another base model"
        )


def set_causal(config: PretrainedConfig, *, causal: bool) -> None:
    """Set the switch on a config and, where it has one, on the config of its text decoder.

    A model that was trained bidirectional by its own switch is left as it is.
    """
    text_config = config.get_text_config()
    own_switch = getattr(text_config, "use_bidirectional_attention", False)
    if own_switch and text_config.model_type in OWN_SWITCH:
        return
    for part in {id(part): part for part in (config, text_config)}.values():
        part.is_causal = causal


def widen_flash_window(config: PretrainedConfig, *, attention: str | None) -> None:
    """Let FlashAttention look as far through a sliding window as the other kernels do.

    With a window of w, transformers lets a bidirectional token see w tokens to each side in SDPA
    and eager, and w - 1 in FlashAttention. A vector must not depend on the kernel, so
    FlashAttention is given w + 1. A model with its own switch sees w - 1 in all of them.

    Args:
        config: Bidirectional, of a model that is still to be built: layers copy the window.
        attention: The backend that will be used.
    """
    text_config = config.get_text_config()
    window = getattr(text_config, "sliding_window", None)
    switched = getattr(text_config, "is_causal", None) is False
    if attention and "flash" in attention and switched and window and window > 0:
        text_config.sliding_window = window + 1


def make_bidirectional(model: PreTrainedModel) -> None:
    """Switch a decoder's self-attention to see the whole text, and prove it.

    Layers that mix tokens by other means (convolution, linear attention, state space) stay
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
            f"{attention_backend(model)} attention does not: {exc}\n{hint_for(model)}"
        ) from exc
    blind = [mask for mask, sees in reach.items() if not sees]
    if blind:
        raise NotBidirectionalError(
            f"every token must see the tokens after it; in {type(model).__name__} with "
            f"{attention_backend(model)} attention it does not with mask: {', '.join(blind)}\n"
            f"{hint_for(model)}"
        )
    other = one_directional_layers(model.config)
    if other:
        logger.warning(
            "%s: layers of type %s stay one-directional, at least in part; only full and sliding "
            "attention see the whole text",
            type(model).__name__,
            ", ".join(other),
        )


def hint_for(model: PreTrainedModel) -> str:
    """Say what to do about a model that does not switch in its attention backend."""
    other = "sdpa" if attention_backend(model) == "eager" else "eager"
    return f'hint: try another attention backend, `attention = "{other}"`, or another base model'


def attention_backend(model: PreTrainedModel) -> str:
    """Name the attention kernel in use, such as ``sdpa``."""
    return str(model.config._attn_implementation)  # noqa: SLF001 - transformers has no public name


def one_directional_layers(config: PretrainedConfig) -> list[str]:
    """Name the layer types of a hybrid that the switch does not reach."""
    layer_types = getattr(config.get_text_config(), "layer_types", None) or []
    return sorted(set(layer_types) - SWITCHED_LAYERS - POSITION_WISE_LAYERS)


@torch.no_grad()
def future_reach(model: PreTrainedModel) -> dict[str, bool]:
    """Tell, for each kind of mask, whether a token's state depends on the token after it.

    The token after must move the state at least `SIGHT` times as much as the token before does.
    That it moves it at all proves nothing: in a mixture of experts, other tokens change how the
    experts' rows are grouped, and so how they are rounded.
    """
    text = probe_text(model)
    before, after = text.clone(), text.clone()
    before[0, 1] = after[0, 3] = model.config.get_text_config().vocab_size // 2
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


def probe_text(model: PreTrainedModel) -> Tensor:
    """Five different tokens, ``[1, 5]``."""
    # From the middle of the vocabulary: ids at its ends may be reserved, with equal embeddings.
    vocabulary = model.config.get_text_config().vocab_size
    ids = [vocabulary // part for part in (7, 6, 5, 4, 3)]
    return torch.tensor([ids], device=model.device)


@torch.no_grad()
def drops_in_training(model: PreTrainedModel) -> bool:
    """Tell whether reading a text twice in training mode gives two different views of it."""
    text = probe_text(model)
    decoder: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]
    was_training = model.training
    model.train()
    try:
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            first, second = (
                decoder(input_ids=text, use_cache=False).last_hidden_state for _ in range(2)
            )
    finally:
        model.train(was_training)
    return not torch.equal(first, second)
