"""A decoder LLM as a text encoder.

Shapes: N texts · B batch · T tokens · D width.
Source: BehnamGhader et al. 2024, LLM2Vec, arXiv:2404.05961.
"""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from encoder.attention import attention_backend
from encoder.base import FloatArray
from encoder.batching import batches_by_length, pad
from encoder.directory import read_any_spec, weights_folder
from encoder.errors import EncoderError
from encoder.hardware import choose_token_budget
from encoder.instructions import TokenizedText, clean, tokenize
from encoder.loading import Decoder, context_tokens, load_decoder
from encoder.merging import merge_adapters
from encoder.pooling import pool
from encoder.spec import EncoderSpec
from encoder.truncation import check_dimensions, truncate

logger = logging.getLogger(__name__)

TOKENIZE_AT_ONCE = 1024


@dataclasses.dataclass(slots=True)
class CutTexts:
    """What was too long, since the encoder was loaded."""

    texts: int = 0
    """Texts that lost their end."""

    tokens: int = 0
    """Tokens they lost."""


class LLM2VecEncoder:
    """A `DenseEncoder` over a decoder checkpoint or an encoder directory."""

    def __init__(
        self, decoder: Decoder, spec: EncoderSpec, *, token_budget: int | None = None
    ) -> None:
        """Wrap a loaded decoder; `load` is the usual way.

        Args:
            decoder: Already bidirectional, with all adapters merged.
            spec: What the decoder is.
            token_budget: Padded tokens of one batch, at most; None: what suits the device.

        Raises:
            ValueError: an instruction leaves no room for the text.
        """
        self.spec = spec
        self.cut = CutTexts()
        """Texts that were longer than ``max_tokens``."""
        self._model = decoder.model
        self._tokenizer = decoder.tokenizer
        self._token_budget = token_budget or choose_token_budget(decoder.model.device.type)
        self._max_tokens = min(spec.settings.max_tokens, context_tokens(decoder.model.config))
        for instruction in (spec.settings.query_instruction, spec.settings.document_instruction):
            tokenize(self._tokenizer, [""], instruction=instruction, max_tokens=self._max_tokens)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        causal: bool | None = None,
        pooling: str | None = None,
        query_instruction: str | None = None,
        document_instruction: str | None = None,
        max_tokens: int | None = None,
        dtype: str | None = None,
        device: str | None = None,
        attention: str | None = None,
        token_budget: int | None = None,
    ) -> Self:
        """Load an encoder directory or a decoder checkpoint; bidirectional, and proven to be.

        Every argument left at None keeps what the encoder says, or what the hardware does best.
        One that changes a vector changes the fingerprint too.

        Args:
            folder: A checkpoint (config.json, safetensors, tokenizer) or a folder with
                encoder.json.
            causal: True leaves the attention as it was trained, for comparison.
            pooling: ``mean``, ``weighted_mean`` or ``last_token``.
            query_instruction: Read before each query and not pooled.
            document_instruction: Read before each document and not pooled.
            max_tokens: Longer texts are cut.
            dtype: ``float32``, ``bfloat16`` or ``float16``.
            device: A torch device.
            attention: ``sdpa``, ``eager``, ``flash_attention_2``.
            token_budget: Padded tokens of one batch, at most; None: what suits the device.

        Raises:
            ModelFolderError: the folder is no model that can be loaded safely.
            NotBidirectionalError: its attention can't be switched.
            ValueError: a setting is out of range, or an instruction leaves no room for the text.
        """
        folder = Path(folder)
        spec = read_any_spec(folder)
        changes = {
            "causal": causal,
            "pooling": pooling,
            "query_instruction": query_instruction,
            "document_instruction": document_instruction,
            "max_tokens": max_tokens,
        }
        spec = with_settings(spec, changes)
        weights = weights_folder(folder, spec)
        decoder = load_decoder(
            weights.model,
            causal=spec.settings.causal,
            dtype=as_dtype(dtype),
            device=device,
            attention=attention,
            tokenizer=weights.tokenizer,
        )
        merge_adapters(decoder.model, weights.adapters)
        return cls(decoder, spec, token_budget=token_budget)

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides a vector, the compute dtype excepted."""
        return self.spec.fingerprint

    @property
    def dimensions(self) -> int:
        """Full width of a vector."""
        return self.spec.dimensions

    @property
    def max_tokens(self) -> int:
        """Tokens that are read of a text, its instruction included; the rest is cut."""
        return self._max_tokens

    @property
    def compute(self) -> str:
        """Device, dtype and attention backend in use."""
        dtype = str(self._model.dtype).removeprefix("torch.")
        return f"{self._model.device} {dtype} {attention_backend(self._model)}"

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Encode texts to be searched.

        Args:
            texts: Any text; an empty one is encoded as the end-of-text token.
            dimensions: Keep that many of each vector, scaled to unit norm again; None keeps all.

        Returns:
            ``[N, D]`` float32, unit norm, in the given order.

        Raises:
            ValueError: ``dimensions`` is out of range, or ``texts`` is one string.
            EncoderError: the model gave a vector that is not finite.
        """
        return self._encode(texts, self.spec.settings.document_instruction, dimensions)

    def encode_queries(self, texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        """Encode what is searched for; see `encode_documents`."""
        return self._encode(texts, self.spec.settings.query_instruction, dimensions)

    def encode_tokens(self, texts: Sequence[str]) -> list[FloatArray]:
        """Encode the tokens of each text, as documents: ``[T, D]`` float32 each, not normalised.

        Special tokens that the tokenizer adds are among them; those of the instruction are not.
        """
        rows = self._tokenize(texts, self.spec.settings.document_instruction)
        states: list[FloatArray] = [np.empty((0, 0), dtype=np.float32)] * len(rows)
        for batch, hidden, mask in self._forward(rows):
            for i, position in enumerate(batch):
                states[position] = hidden[i][mask[i]].float().cpu().numpy()
        return states

    def query_token_vectors(self, texts: Sequence[str]) -> list[FloatArray]:
        """Encode tokens to be compared one by one: ``[T, D]`` each, unit norm, no special tokens.

        Spelled-out special tokens count as special; a text of no others has no rows.
        """
        return self._token_vectors(texts, self.spec.settings.query_instruction)

    def document_token_vectors(self, texts: Sequence[str]) -> list[FloatArray]:
        """Encode the tokens of texts to be searched; see `query_token_vectors`."""
        return self._token_vectors(texts, self.spec.settings.document_instruction)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Locate each token of a text as a half-open range of code points, specials left out."""
        encoded = self._tokenizer(
            clean(text),
            add_special_tokens=False,
            return_offsets_mapping=True,
            verbose=False,
        )
        return [(start, end) for start, end in encoded["offset_mapping"]]

    def _encode(self, texts: Sequence[str], instruction: str, dimensions: int | None) -> FloatArray:
        check_dimensions(dimensions, width=self.dimensions)
        rows = self._tokenize(texts, instruction)
        vectors = np.zeros((len(rows), self.dimensions), dtype=np.float32)
        for batch, hidden, mask in self._forward(rows):
            pooled = pool(hidden, mask, self.spec.settings.pooling)
            vectors[batch] = pooled.cpu().numpy()
        if not np.isfinite(vectors).all():
            raise EncoderError(
                f"every vector must be finite; the model gave NaN or infinity in {self.compute}\n"
                'hint: try `dtype = "float32"`'
            )
        return truncate(vectors, dimensions)

    def _token_vectors(self, texts: Sequence[str], instruction: str) -> list[FloatArray]:
        rows = self._tokenize(texts, instruction)
        specials = self._tokenizer.all_special_ids
        vectors: list[FloatArray] = [np.empty((0, self.dimensions), dtype=np.float32)] * len(rows)
        for batch, hidden, mask in self._forward(rows):
            for i, position in enumerate(batch):
                ids = np.asarray(rows[position].ids)
                kept = mask[i, : len(ids)].cpu().numpy() & ~np.isin(ids, specials)
                vectors[position] = truncate(
                    hidden[i, : len(ids)].float().cpu().numpy()[kept], None
                )
        return vectors

    def _tokenize(self, texts: Sequence[str], instruction: str) -> list[TokenizedText]:
        if isinstance(texts, str):
            raise ValueError("`texts` must be a list of strings; got one string")  # noqa: TRY004
        rows = [
            row
            for start in range(0, len(texts), TOKENIZE_AT_ONCE)
            for row in tokenize(
                self._tokenizer,
                texts[start : start + TOKENIZE_AT_ONCE],
                instruction=instruction,
                max_tokens=self._max_tokens,
            )
        ]
        cut = [row.cut_tokens for row in rows if row.cut_tokens]
        if cut:
            self.cut.texts += len(cut)
            self.cut.tokens += sum(cut)
            logger.warning(
                "%d of %d texts are longer than %d tokens; their last %d tokens were cut",
                len(cut),
                len(rows),
                self._max_tokens,
                sum(cut),
            )
        return rows

    @torch.inference_mode()
    def _forward(self, rows: list[TokenizedText]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """Yield positions of a batch, states ``[B, T, D]`` and what is pooled ``[B, T]``."""
        lengths = [len(row.ids) for row in rows]
        device = self._model.device
        for batch in batches_by_length(lengths, token_budget=self._token_budget):
            ids, mask = pad(
                [rows[position].ids for position in batch], fill=self._tokenizer.pad_token_id
            )
            attention_mask = torch.from_numpy(mask).to(device)
            output = self._model(
                input_ids=torch.from_numpy(ids).to(device),
                # Without padding no mask is needed, and attention without one is faster.
                attention_mask=None if mask.all() else attention_mask,
                use_cache=False,
            )
            starts = torch.tensor([rows[p].pooled_from for p in batch], device=device)
            positions = torch.arange(ids.shape[1], device=device)
            yield batch, output.last_hidden_state, attention_mask & (positions >= starts[:, None])


def with_settings(spec: EncoderSpec, changes: dict[str, Any]) -> EncoderSpec:
    """Replace the settings whose change is not None."""
    wanted = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(spec, settings=dataclasses.replace(spec.settings, **wanted))


def as_dtype(name: str | None) -> torch.dtype | None:
    """Look up a floating-point type by its name.

    Raises:
        ValueError: an unknown name.
    """
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name is None:
        return None
    if name not in known:
        raise ValueError(f"`dtype` must be one of {', '.join(known)}; got {name!r}")
    return known[name]
