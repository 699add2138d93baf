"""Stage contrastive: each query finds its passage among the batch's passages and hard negatives.

Shapes: B pairs · N different texts of a step · P passages · D width.
Source: BehnamGhader et al. 2024, LLM2Vec, arXiv:2404.05961, supervised recipe: in-batch and one
hard negative, each batch from one set. Its code gives the passages of symmetric sets no instruction
since May 2024; here they get the query's. A text that stands twice in a step is read once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from adapters_training.pairs import Pair
from adapters_training.processes import ALONE, Processes
from adapters_training.randomness import derive_seed
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.stages.gradient_cache import Precision, backward_over_chunks
from adapters_training.stages.losses import matryoshka_info_nce
from adapters_training.stages.ordering import SetOrder
from adapters_training.stages.protocol import StepLoss
from adapters_training.text.chunks import TextChunk, chunk_texts, device_of, encode_chunk
from encoder.instructions import TokenizedText, tokenize

Text = tuple[str, str, int]
"""Instruction, text, most tokens: what decides a text's vector."""


@dataclass(frozen=True, slots=True)
class ContrastiveBatch:
    """The different texts of a step, and who answers whom."""

    texts: tuple[Text, ...]
    """N of them: the queries and the passages."""

    queries: tuple[int, ...]
    """Position of each pair's query, B of them."""

    passages: tuple[int, ...]
    """Positions of the passages, P of them, each once."""

    positives: tuple[int, ...]
    """For each pair, the place of its positive in ``passages``."""

    excluded: Tensor
    """``[B, P]`` bool: known to answer the query too, so no negative."""


class ContrastiveStage:
    """Pairs of a query and a passage."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        tokenizer: PreTrainedTokenizerFast,
        *,
        settings: ContrastiveSettings,
        max_tokens: int,
        seed: int,
    ) -> None:
        """Sort the pairs into sets.

        Args:
            pairs: At least 2, negatives already mined.
            tokenizer: Of the model.
            settings: Of the stage.
            max_tokens: Of a passage; the settings' and the model's, whichever is less.
            seed: Of the stage.
        """
        self._pairs = pairs
        self._tokenizer = tokenizer
        self._settings = settings
        self._max_tokens = max_tokens
        self._seed = seed
        self._answers = known_answers(pairs)
        self._order = SetOrder(
            [pair.set for pair in pairs],
            batch_size=settings.batch_size,
            exponent=settings.size_exponent,
            seed=seed,
        )

    def batch(self, step: int) -> ContrastiveBatch:
        """Make the batch of a step."""
        pairs = [self._pairs[i] for i in self._order.batch(step)]
        query_texts = [self._query_text(pair) for pair in pairs]
        passage_texts: dict[Text, None] = {}
        for pair in pairs:
            for passage in (pair.positive, *pair.negatives[: self._settings.negatives]):
                passage_texts[self._passage_text(pair, passage)] = None
        places = {text: place for place, text in enumerate(passage_texts)}
        texts = {text: i for i, text in enumerate(dict.fromkeys([*query_texts, *passage_texts]))}
        positives = [places[self._passage_text(pair, pair.positive)] for pair in pairs]
        excluded = torch.tensor(
            [[text[1] in self._answers[pair.query] for text in passage_texts] for pair in pairs]
        )
        excluded[torch.arange(len(pairs)), torch.tensor(positives)] = False
        return ContrastiveBatch(
            texts=tuple(texts),
            queries=tuple(texts[text] for text in query_texts),
            passages=tuple(texts[text] for text in passage_texts),
            positives=tuple(positives),
            excluded=excluded,
        )

    def tokens(self, step: int) -> int:
        """Count the tokens of a step's texts."""
        return sum(len(row.ids) for row in self._tokenize(self.batch(step).texts))

    def backward(
        self,
        model: nn.Module,
        step: int,
        *,
        precision: Precision,
        processes: Processes = ALONE,
    ) -> StepLoss:
        """Add this process's share of the gradient of a step's batch to the model's parameters."""
        batch = self.batch(step)
        rows = self._tokenize(batch.texts)
        chunks = chunk_texts(rows, pad_id=self._tokenizer.pad_token_id, device=device_of(model))

        def encode(chunk: TextChunk) -> Tensor:
            return encode_chunk(model, chunk, pooling=self._settings.pooling)

        def loss_of(vectors: Tensor) -> Tensor:
            return matryoshka_info_nce(
                vectors[list(batch.queries)],
                vectors[list(batch.passages)],
                widths=self._settings.matryoshka,
                temperature=self._settings.temperature,
                positives=torch.tensor(batch.positives, device=vectors.device),
                excluded=batch.excluded.to(vectors.device),
                margin=self._settings.false_negative_margin,
            )

        loss = backward_over_chunks(
            chunks,
            encode=encode,
            loss_of=loss_of,
            seed=derive_seed(self._seed, "dropout", step),
            precision=precision,
            memory_tokens=self._settings.memory_tokens,
            processes=processes,
        )
        return StepLoss(loss=loss, tokens=sum(len(row.ids) for row in rows))

    def _query_text(self, pair: Pair) -> Text:
        given = pair.instruction
        instruction = self._settings.query_instruction if given is None else given
        return instruction, pair.query, min(self._settings.query_tokens, self._max_tokens)

    def _passage_text(self, pair: Pair, passage: str) -> Text:
        if pair.set in self._settings.symmetric:
            return self._query_text(pair)[0], passage, self._max_tokens
        return self._settings.document_instruction, passage, self._max_tokens

    def _tokenize(self, texts: Sequence[Text]) -> list[TokenizedText]:
        """Tokenise texts as the encoder does, those of one kind together."""
        kinds = dict.fromkeys((instruction, tokens) for instruction, _, tokens in texts)
        rows: dict[Text, TokenizedText] = {}
        for instruction, tokens in kinds:
            same = [text for text in texts if (text[0], text[2]) == (instruction, tokens)]
            made = tokenize(
                self._tokenizer,
                [text for _, text, _ in same],
                instruction=instruction,
                max_tokens=tokens,
            )
            rows |= dict(zip(same, made, strict=True))
        return [rows[text] for text in texts]


def known_answers(pairs: Sequence[Pair]) -> dict[str, frozenset[str]]:
    """Gather every passage that is known to answer a query, the query itself too."""
    answers: dict[str, set[str]] = {}
    for pair in pairs:
        answers.setdefault(pair.query, {pair.query}).add(pair.positive)
    return {query: frozenset(passages) for query, passages in answers.items()}
