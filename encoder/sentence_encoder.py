"""What ours is measured against: sentence-transformers folders, and BERT-like models by their mean.

Shapes: N texts · T tokens · W words · D width.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from encoder.base import FloatArray
from encoder.errors import EncoderError, ModelFolderError
from encoder.hardware import choose_device
from encoder.instructions import clean
from encoder.loading import no_load_report
from encoder.sentence_folder import check_folder, check_weights, digest_folder
from encoder.truncation import check_dimensions, truncate
from encoder.words import average_words

DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""What folders call the words before documents."""

UNREADABLE = (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError)
"""What loading raises over a folder that is not what it should be."""


class SentenceEncoder:
    """A `DenseEncoder` over the sentence-transformers library.

    Texts get the folder's own prompts and are pooled as its modules say. Those longer than the
    folder's limit are cut without a word, as the library does.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        digest: str,
        query_instruction: str | None = None,
        document_instruction: str | None = None,
    ) -> None:
        """Wrap a loaded model; `load` is the usual way.

        Args:
            model: In evaluation mode, on its device.
            digest: Of its files.
            query_instruction: Read before each query; None: the folder's prompt, if it has one.
            document_instruction: Read before each document; None: likewise.
        """
        self._model = model
        self._query_prompt = own_prompt(model, "query")
        self._document_prompt = own_prompt(model, *DOCUMENT_PROMPTS)
        if query_instruction is not None:
            self._query_prompt = query_instruction
        if document_instruction is not None:
            self._document_prompt = document_instruction
        self._digest = digest

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        query_instruction: str | None = None,
        document_instruction: str | None = None,
        max_tokens: int | None = None,
        dtype: str | None = None,
        device: str | None = None,
    ) -> Self:
        """Load a folder; nothing is downloaded, no code of the folder run, no pickle read.

        Args:
            folder: With modules.json; or the checkpoint of a BERT-like model with its tokenizer.
            query_instruction: Read before each query; None: the folder's prompt, if it has one.
            document_instruction: Read before each document; None: likewise.
            max_tokens: Longer texts are cut; None: the folder's limit.
            dtype: ``float32``, ``bfloat16`` or ``float16``; None: float32 on a CPU, else as stored.
            device: A torch device; None: GPU where there is one.

        Raises:
            ModelFolderError: the folder is none that can be loaded safely.
            ValueError: ``max_tokens`` is below 1.
        """
        folder = Path(folder)
        check_folder(folder)
        if max_tokens is not None and max_tokens < 1:
            raise ValueError(f"`max_tokens` must be at least 1; got {max_tokens}")
        device = device or choose_device()
        try:
            with no_load_report():
                check_weights(folder)
                model = SentenceTransformer(
                    str(folder),
                    device=device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={
                        "use_safetensors": True,
                        "dtype": dtype or ("float32" if device == "cpu" else "auto"),
                    },
                )
        except UNREADABLE as exc:
            raise ModelFolderError(f"sentence-transformers can't load {folder}: {exc}") from exc
        if max_tokens is not None:
            model.max_seq_length = max_tokens
        return cls(
            model.eval(),
            digest=digest_folder(folder),
            query_instruction=query_instruction,
            document_instruction=document_instruction,
        )

    @property
    def fingerprint(self) -> str:
        """Hex digest of the folder's files, the prompts and the limit, the dtype excepted."""
        said = (self._digest, self._query_prompt, self._document_prompt, self.max_tokens)
        return hashlib.sha256(repr(said).encode()).hexdigest()

    @property
    def dimensions(self) -> int:
        """Full width of a vector."""
        return int(self._model.get_embedding_dimension() or 0)

    @property
    def max_tokens(self) -> int | None:
        """Tokens that are read of a text, its prompt included; None: no limit is known."""
        return self._model.max_seq_length

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Encode texts to be searched: ``[N, D]`` float32, unit norm, in the given order.

        Raises:
            ValueError: ``dimensions`` is out of range, or ``texts`` is one string.
            EncoderError: the model gave a vector that is not finite.
        """
        return self._encode(texts, self._document_prompt, dimensions)

    def encode_queries(self, texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        """Encode what is searched for; see `encode_documents`."""
        return self._encode(texts, self._query_prompt, dimensions)

    def encode_words(
        self, sentences: Sequence[Sequence[str]], *, shift: bool = False
    ) -> list[FloatArray]:
        """Encode the words of each sentence as `WordEncoder` asks, without a prompt.

        Raises:
            EncoderError: the model has no states of tokens, or its tokenizer does not tell where
                they stand in the text.
        """
        tokenizer = self._fast_tokenizer()
        texts = [clean(" ".join(words)) for words in sentences]
        states = self._model.encode(
            texts, prompt="", output_value="token_embeddings", convert_to_numpy=False
        )
        limit: Any = {"truncation": True, "max_length": self.max_tokens} if self.max_tokens else {}
        rows: list[FloatArray] = []
        for text, words, found in zip(texts, sentences, states, strict=True):
            spans = tokenizer(text, return_offsets_mapping=True, **limit)["offset_mapping"]
            if len(spans) != len(found):
                raise EncoderError(
                    f"a sentence of {len(spans)} tokens must have as many states; got {len(found)}"
                )
            rows.append(average_words(found.float().cpu().numpy(), spans, words, shift=shift))
        return rows

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Locate each token of a text as a half-open range of code points, specials left out.

        Raises:
            EncoderError: the tokenizer does not tell where its tokens stand in the text.
        """
        encoded = self._fast_tokenizer()(
            clean(text),
            add_special_tokens=False,
            truncation=False,
            return_offsets_mapping=True,
            verbose=False,
        )
        return [(start, end) for start, end in encoded["offset_mapping"]]

    def _fast_tokenizer(self) -> Any:  # noqa: ANN401 - transformers' classes share no typed base
        tokenizer: Any = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise EncoderError(
                "an encoder's tokenizer must tell where its tokens stand in the text; "
                f"this folder's, {type(tokenizer).__name__}, does not"
            )
        return tokenizer

    def _encode(self, texts: Sequence[str], prompt: str, dimensions: int | None) -> FloatArray:
        if isinstance(texts, str):
            raise ValueError("`texts` must be a list of strings; got one string")  # noqa: TRY004
        check_dimensions(dimensions, width=self.dimensions)
        if not texts:
            return np.zeros((0, dimensions or self.dimensions), dtype=np.float32)
        vectors = self._model.encode(
            [clean(text) for text in texts], prompt=prompt, normalize_embeddings=True
        )
        if not np.isfinite(vectors).all():
            raise EncoderError("every vector must be finite; the model gave NaN or infinity")
        return truncate(vectors.astype(np.float32), dimensions)


def own_prompt(model: SentenceTransformer, *names: str) -> str:
    """Find the folder's prompt of the first name that has one, else its default; empty for none."""
    prompts = model.prompts
    named = next((prompts[name] for name in names if prompts.get(name)), None)
    return named or prompts.get(model.default_prompt_name or "") or ""
