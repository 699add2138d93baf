"""The encoder as the stages so far have made it: what filters and mines for the next one.

Shapes: N texts · D width.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.run import AdaptSettings
from adapters_training.stages.building import DTYPES, add_adapters, quantization_of
from adapters_training.text.chunks import encode_texts
from encoder.base import FloatArray
from encoder.hardware import choose_device
from encoder.instructions import tokenize
from encoder.loading import Decoder, context_tokens, load_decoder


class CurrentEncoder:
    """A base with the adapters so far, loaded when it is first asked."""

    def __init__(
        self,
        base: Path,
        adapters: Sequence[Path],
        *,
        settings: ContrastiveSettings,
        run: AdaptSettings,
    ) -> None:
        """Name the parts; ``settings`` say how texts are read and pooled."""
        self._base = base
        self._adapters = adapters
        self._settings = settings
        self._run = run

    def encode_passages(self, texts: Sequence[str]) -> FloatArray:
        """Encode passages: ``[N, D]``, unit norm."""
        return self._encode(
            texts, self._settings.document_instruction, max_tokens=self._settings.max_tokens
        )

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode queries: ``[N, D]``, unit norm."""
        return self._encode(
            texts, self._settings.query_instruction, max_tokens=self._settings.query_tokens
        )

    def _encode(self, texts: Sequence[str], instruction: str, *, max_tokens: int) -> FloatArray:
        decoder = self._decoder
        rows = tokenize(
            decoder.tokenizer,
            texts,
            instruction=instruction,
            max_tokens=min(max_tokens, context_tokens(decoder.model.config)),
        )
        with torch.no_grad():
            return encode_texts(
                decoder.model,
                rows,
                pad_id=decoder.tokenizer.pad_token_id,
                pooling=self._settings.pooling,
            )

    @cached_property
    def _decoder(self) -> Decoder:
        device = self._run.device or choose_device()
        decoder = load_decoder(
            self._base,
            causal=self._run.causal,
            dtype=DTYPES[self._run.dtype],
            device=device,
            attention=self._run.attention,
            quantization=quantization_of(self._run, device=device),
        )
        add_adapters(decoder.model, self._adapters, run=self._run)
        return decoder
