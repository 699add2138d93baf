"""A causal language model as reranker: how much likelier it finds "yes" than "no".

Shapes: N texts · B batch · T tokens · D width.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from encoder.errors import EncoderError, ModelFolderError
from encoder.hardware import choose_token_budget
from encoder.llm2vec import as_dtype
from encoder.loading import Decoder, context_tokens, load_decoder
from encoder.prompting import readable
from encoder.reading import read_prompts
from encoder.search_prompts import JUDGE, judging, write_prompt

YES = ("yes", "Yes", " yes", " Yes")
NO = ("no", "No", " no", " No")
QUERY_SHARE = 4
"""A query may take this part of the context, one in so many."""

SPARE = 8
"""Tokens of the context kept free: words may be cut otherwise within the prompt."""


class LlmReranker:
    """A `Reranker` that asks a model, text by text, whether the text answers the query.

    What all texts' prompts share, the query included, is read once; of each prompt the logits of
    its last position alone are computed.

    Source:
        Nogueira et al. 2020, arXiv:2003.06713 (monoT5), the logit of one word against another's;
        Zhang et al. 2025, arXiv:2506.05176 (Qwen3 Reranker), yes and no of a decoder. Theirs are
        trained to do it; ours is the company's model as it is.
    """

    name = "llm"

    def __init__(
        self, decoder: Decoder, *, passage_tokens: int = 384, token_budget: int | None = None
    ) -> None:
        """Wrap a loaded model; `load` reads one from a folder.

        Args:
            decoder: Causal, with its head; such as the generator of `load_with_generator`.
            passage_tokens: Longer texts are cut, at least 1.
            token_budget: Positions in the cache of a batch, at most; None: what suits the device.

        Raises:
            ValueError: ``passage_tokens`` is below 1.
            ModelFolderError: no token of the model's tells yes from no, or it has no usual head.
        """
        if passage_tokens < 1:
            raise ValueError(f"`passage_tokens` must be at least 1; got {passage_tokens}")
        self._decoder = decoder
        self._passage_tokens = passage_tokens
        self._token_budget = token_budget or choose_token_budget(decoder.model.device.type)
        self._yes, self._no = answer_ids(decoder.tokenizer)
        self._head = language_head(decoder.model)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        passage_tokens: int = 384,
        dtype: str | None = None,
        device: str | None = None,
        token_budget: int | None = None,
    ) -> Self:
        """Load a decoder checkpoint with its language-model head.

        Args:
            folder: ``config.json``, safetensors, fast tokenizer. Nothing is downloaded.
            passage_tokens: Longer texts are cut.
            dtype: ``float32``, ``bfloat16`` or ``float16``; None: what the hardware does best.
            device: A torch device; None: GPU where there is one.
            token_budget: Positions in the cache of a batch, at most; None: what suits the device.

        Raises:
            ModelFolderError: the folder holds none that can be loaded safely.
            ValueError: an argument is out of range.
        """
        decoder = load_decoder(
            Path(folder), causal=True, with_head=True, dtype=as_dtype(dtype), device=device
        )
        return cls(decoder, passage_tokens=passage_tokens, token_budget=token_budget)

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score texts: log-odds of yes against no, in nats, in the order of the texts.

        Raises:
            ValueError: ``texts`` is one string, or the model's context has no room for a text.
            EncoderError: the model gave a number that is not finite.
        """
        if isinstance(texts, str):
            raise ValueError("`texts` must be a list of strings; got one string")  # noqa: TRY004
        odds = torch.zeros(len(texts))
        prompts = self._prompts(query, texts)
        with inputs_of(self._head) as states:
            for batch, _ in read_prompts(self._decoder, prompts, batch_tokens=self._token_budget):
                odds[batch] = self._odds(states[0][:, -1]).cpu()
        if not odds.isfinite().all():
            raise EncoderError(
                "every score must be finite; the model gave NaN or infinity\n"
                'hint: try `dtype = "float32"`'
            )
        return [float(value) for value in odds]

    @torch.no_grad()
    def _odds(self, states: Tensor) -> Tensor:
        """Compare yes with no: last states ``[B, D]`` to ``[B]``.

        In float32, before a family caps or scales its logits: in bfloat16 they come in steps of an
        eighth, and most texts would be equal.
        """
        weight, bias = self._head.weight, cast("Tensor | None", self._head.bias)
        yes, no = (
            linear(
                states.float(), weight[ids].float(), None if bias is None else bias[ids].float()
            ).logsumexp(-1)
            for ids in (self._yes, self._no)
        )
        return yes - no

    def _prompts(self, query: str, texts: Sequence[str]) -> list[str]:
        tokenizer, context = self._decoder.tokenizer, context_tokens(self._decoder.model.config)
        (query,) = readable(tokenizer, [query], max_tokens=max(1, context // QUERY_SHARE))
        frame = write_prompt(tokenizer, JUDGE, judging(query, ""))
        taken = len(tokenizer(frame, verbose=False)["input_ids"]) + SPARE
        if taken >= context:
            raise ValueError(
                f"the model's context of {context} tokens must have room for a text; question and "
                f"examples take {taken}\nhint: rerank with a model of a longer context"
            )
        longest = min(self._passage_tokens, context - taken)
        passages = readable(tokenizer, texts, max_tokens=longest)
        return [write_prompt(tokenizer, JUDGE, judging(query, passage)) for passage in passages]


def language_head(model: PreTrainedModel) -> nn.Linear:
    """Find the layer that turns a state into logits.

    Raises:
        ModelFolderError: the model has none of the usual kind.
    """
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if not isinstance(head, nn.Linear):
        raise ModelFolderError(
            "a model that reranks must have a linear language-model head; that of "
            f"{type(model).__name__} is {type(head).__name__}\nhint: rerank with another model"
        )
    return head


@contextmanager
def inputs_of(head: nn.Module) -> Iterator[list[Tensor]]:
    """Keep the states that a head was last given, ``[B, T, D]``, as the list's one item."""
    seen: list[Tensor] = []
    mine = threading.get_ident()  # the head may be shared with a model that answers meanwhile

    def keep(_head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if threading.get_ident() == mine:
            seen[:] = [inputs[0]]

    handle = head.register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


def answer_ids(tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[int]]:
    """Find the tokens that an answer of yes, and of no, begins with.

    Raises:
        ModelFolderError: there is none that tells the two apart.
    """
    yes, no = (
        {tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words}
        for words in (YES, NO)
    )
    if not yes - no or not no - yes:
        raise ModelFolderError(
            "a model that reranks must write yes and no with different tokens; this one does not\n"
            "hint: rerank with another model"
        )
    return sorted(yes - no), sorted(no - yes)
