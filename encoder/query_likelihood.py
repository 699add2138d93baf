"""A causal language model as reranker: how likely it would ask the query after reading the text.

Shapes: N texts · B batch · T tokens · Q tokens of the query · V vocabulary.
"""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor

from encoder.batching import batches_by_length, pad
from encoder.errors import EncoderError
from encoder.hardware import choose_token_budget
from encoder.instructions import clean
from encoder.loading import Decoder, context_tokens
from encoder.prompting import readable, special_affixes

BEFORE, AFTER = "Passage: ", "\nPlease write a question based on this passage.\nQuestion:"

QUERY_SHARE = 4
"""A query may take this part of the context, one in so many."""


class QueryLikelihood:
    """A `Reranker` that a small model is good at too: no question is put to it, it only reads.

    Source:
        Sachan et al. 2022, arXiv:2204.07496 (UPR), section 2: the mean log-likelihood of the
        question's tokens behind the passage and an instruction. Theirs are T5 and GPT models; ours
        is the company's decoder, prompted without a chat template.
    """

    name = "query-likelihood"

    def __init__(
        self, decoder: Decoder, *, passage_tokens: int = 384, token_budget: int | None = None
    ) -> None:
        """Wrap a loaded model.

        Args:
            decoder: Causal, with its head; such as the generator of `load_with_generator`.
            passage_tokens: Longer texts are cut.
            token_budget: Padded tokens of a batch, at most; None: what suits the device.

        Raises:
            ValueError: ``passage_tokens`` is below 1.
        """
        if passage_tokens < 1:
            raise ValueError(f"`passage_tokens` must be at least 1; got {passage_tokens}")
        self._decoder = decoder
        self._passage_tokens = passage_tokens
        self._token_budget = token_budget or choose_token_budget(decoder.model.device.type)

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score texts: mean log-likelihood of the query's tokens, in nats, at most 0.

        A query without tokens scores every text 0.

        Raises:
            ValueError: ``texts`` is one string, or the model's context has no room for a text.
            EncoderError: the model gave a number that is not finite.
        """
        if isinstance(texts, str):
            raise ValueError("`texts` must be a list of strings; got one string")  # noqa: TRY004
        asked = self._query_tokens(query)
        if not texts or not asked:
            return [0.0] * len(texts)
        rows = [read + asked for read in self._read_before(texts, room=len(asked))]
        found = torch.zeros(len(rows))
        lengths = [len(row) for row in rows]
        for batch in batches_by_length(lengths, token_budget=self._token_budget):
            found[batch] = self._likelihood([rows[i] for i in batch], query_tokens=len(asked))
        if not found.isfinite().all():
            raise EncoderError(
                "every score must be finite; the model gave NaN or infinity\n"
                'hint: try `dtype = "float32"`'
            )
        return [float(value) for value in found]

    def _query_tokens(self, query: str) -> list[int]:
        tokenizer, context = self._decoder.tokenizer, context_tokens(self._decoder.model.config)
        (text,) = readable(tokenizer, [query], max_tokens=max(1, context // QUERY_SHARE))
        return self._tokens([f" {text}"])[0] if text else []

    def _read_before(self, texts: Sequence[str], *, room: int) -> list[list[int]]:
        """Tokenize what stands before the query: passages, cut to what the context has room for."""
        tokenizer = self._decoder.tokenizer
        start: list[int] = special_affixes(tokenizer)[0].tolist()
        before, after = self._tokens([BEFORE, AFTER])
        context = context_tokens(self._decoder.model.config)
        left = context - room - len(start) - len(before) - len(after)
        if left < 1:
            raise ValueError(
                f"the model's context of {context} tokens must have room for a text beside the "
                "query\nhint: rerank with a model of a longer context"
            )
        most = min(left, self._passage_tokens)
        passages = readable(tokenizer, texts, max_tokens=most)
        return [[*start, *before, *ids[:most], *after] for ids in self._tokens(passages)]

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        encoded = self._decoder.tokenizer(
            [clean(text) for text in texts], add_special_tokens=False, verbose=False
        )
        return [list(ids) for ids in encoded["input_ids"]]

    @torch.no_grad()
    def _likelihood(self, rows: Sequence[list[int]], *, query_tokens: int) -> Tensor:
        """Read rows that end with the query, padded behind it: ``[B]``."""
        model = self._decoder.model
        ids, mask = (
            torch.from_numpy(part).to(model.device) for part in pad(rows, fill=0)
        )  # [B, T]
        ends = mask.sum(dim=1)  # [B]
        kept = ids.shape[1] - int(ends.min()) + query_tokens + 1
        accepted = inspect.signature(model.forward).parameters
        options = {"logits_to_keep": kept} if "logits_to_keep" in accepted else {}
        logits: Tensor = model(
            input_ids=ids, attention_mask=mask.long(), use_cache=False, **options
        ).logits  # [B, kept or T, V]
        asked = ends[:, None] + torch.arange(-query_tokens, 0, device=model.device)  # [B, Q]
        before = asked - 1 - (ids.shape[1] - logits.shape[1])
        chosen = logits.gather(1, before[..., None].expand(-1, -1, logits.shape[-1])).float()
        target = ids.gather(1, asked)[..., None]
        likelihood: Tensor = chosen.log_softmax(-1).gather(2, target)[..., 0].mean(dim=1)
        return likelihood.cpu()
