"""Rank a development set with a decoder, as the encoder made of it would.

Shapes: Q queries · P passages · D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from adapters_training.selection.development import DevelopmentSet, FloatArray, ndcg_of_vectors
from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.run import AdaptSettings, SimcseSettings
from adapters_training.stages.building import DTYPES
from adapters_training.text.chunks import encode_texts
from encoder.hardware import choose_device
from encoder.instructions import TokenizedText, tokenize
from encoder.loading import context_tokens, load_decoder
from encoder.merging import merge_adapters


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How texts become vectors, the same through all stages of a run."""

    pooling: str = "mean"
    query_instruction: str = ""
    document_instruction: str = ""
    query_tokens: int = 64
    """Instruction included, at most."""

    passage_tokens: int = 256
    """Instruction included, at most."""


def reading_of(settings: AdaptSettings) -> Reading:
    """Take the reading of the last stage that has one."""
    for stage in reversed(settings.stages):
        if isinstance(stage, ContrastiveSettings):
            return Reading(
                pooling=stage.pooling,
                query_instruction=stage.query_instruction,
                document_instruction=stage.document_instruction,
                query_tokens=stage.query_tokens,
                passage_tokens=stage.max_tokens,
            )
        if isinstance(stage, SimcseSettings):
            return Reading(pooling=stage.pooling, document_instruction=stage.instruction)
    return Reading()


class DevelopmentRanker:
    """A development set as a model reads it."""

    def __init__(
        self,
        development: DevelopmentSet,
        tokenizer: PreTrainedTokenizerFast,
        *,
        reading: Reading,
        context_tokens: int,
    ) -> None:
        """Tokenise all texts once.

        Args:
            development: Queries and passages.
            tokenizer: Of the model.
            reading: Instructions, lengths and pooling.
            context_tokens: The model's own limit.
        """
        self._relevant = development.relevant
        self._pooling = reading.pooling
        self._pad_id: int = tokenizer.pad_token_id
        queries: list[TokenizedText] = []
        for query, own in zip(development.queries, development.instructions, strict=True):
            queries += tokenize(
                tokenizer,
                [query],
                instruction=reading.query_instruction if own is None else own,
                max_tokens=min(reading.query_tokens, context_tokens),
            )
        self._rows = queries + tokenize(
            tokenizer,
            development.passages,
            instruction=reading.document_instruction,
            max_tokens=min(reading.passage_tokens, context_tokens),
        )

    def __call__(self, model: nn.Module) -> FloatArray:
        """Give each query's nDCG@10, ``[Q]``; the model is in evaluation mode, without gradient."""
        vectors = encode_texts(trunk(model), self._rows, pad_id=self._pad_id, pooling=self._pooling)
        count = len(self._relevant)
        return ndcg_of_vectors(vectors[:count], vectors[count:], self._relevant)


def trunk(model: nn.Module) -> PreTrainedModel:
    """Find the decoder that gives the states, under an adapter and below a language model's head.

    An adapter's layers stand in the decoder itself, so they work without the wrapper.
    """
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    return cast("PreTrainedModel", cast("PreTrainedModel", inner).base_model)


def measure_adapters(
    base: Path,
    adapters: Sequence[Path],
    *,
    development: DevelopmentSet,
    run: AdaptSettings,
) -> FloatArray:
    """Rank a development set with a base and adapters merged into it.

    Args:
        base: Checkpoint folder of a decoder.
        adapters: In order; none: the base itself, reading both ways.
        development: Queries and passages.
        run: Dtype and device resolved.

    Returns:
        Each query's nDCG@10, ``[Q]``.
    """
    decoder = load_decoder(
        base,
        dtype=DTYPES[run.dtype],
        device=run.device or choose_device(),
        attention=run.attention,
    )
    merge_adapters(decoder.model, adapters)
    rank = DevelopmentRanker(
        development,
        decoder.tokenizer,
        reading=reading_of(run),
        context_tokens=context_tokens(decoder.model.config),
    )
    decoder.model.eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return rank(decoder.model)
