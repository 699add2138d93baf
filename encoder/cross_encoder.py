"""A cross-encoder: it reads query and text together, and says how well the one answers the other.

Shapes: N texts · B batch · T tokens · L logits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from encoder.batching import batches_by_length, pad
from encoder.directory import check_checkpoint
from encoder.errors import EncoderError, ModelFolderError
from encoder.hardware import choose_device, choose_dtype, choose_token_budget
from encoder.llm2vec import as_dtype
from encoder.loading import UNREADABLE, context_tokens, load_fast_tokenizer, no_load_report
from encoder.prompting import readable

MIN_TOKENS = 16


class CrossEncoder:
    """A `Reranker` over a sequence classifier with one logit, or with the classes no and yes.

    A pair longer than the model reads loses the end of its longer part.

    Source:
        Nogueira and Cho 2019, Passage Re-ranking with BERT, arXiv:1901.04085.
    """

    name = "cross-encoder"

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        max_tokens: int = 512,
        token_budget: int | None = None,
    ) -> None:
        """Wrap a loaded model; `load` is the usual way.

        Args:
            model: Gives one logit for each pair, or two of which the second speaks for the text.
            tokenizer: With a token to pad with.
            max_tokens: Of query and text together, at least 16; the model's own limit holds too.
            token_budget: Padded tokens of one batch, at most; None: what suits the device.

        Raises:
            ValueError: ``max_tokens`` is below 16.
        """
        if max_tokens < MIN_TOKENS:
            raise ValueError(f"`max_tokens` must be at least {MIN_TOKENS}; got {max_tokens}")
        self._model = model
        self._tokenizer = tokenizer
        self._max_tokens = min(max_tokens, longest_input(model), tokenizer.model_max_length)
        self._token_budget = token_budget or choose_token_budget(model.device.type)
        # a classifier over a decoder finds the last token of a text by it
        model.config.pad_token_id = tokenizer.pad_token_id

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        max_tokens: int = 512,
        dtype: str | None = None,
        device: str | None = None,
        token_budget: int | None = None,
    ) -> Self:
        """Load a folder; nothing is downloaded, no code of the folder run, no pickle read.

        Args:
            folder: ``config.json`` of a sequence classifier, safetensors, fast tokenizer.
            max_tokens: Of query and text together.
            dtype: ``float32``, ``bfloat16`` or ``float16``; None: what the hardware does best.
            device: A torch device; None: GPU where there is one.
            token_budget: Padded tokens of one batch, at most; None: what suits the device.

        Raises:
            ModelFolderError: the folder is no cross-encoder that can be loaded safely.
            ValueError: an argument is out of range.
        """
        folder = Path(folder)
        check_checkpoint(folder)
        device = device or choose_device()
        model = _load_model(folder, dtype=as_dtype(dtype) or choose_dtype(device))
        model.to(device)  # type: ignore[arg-type]
        return cls(
            model.eval(),  # type: ignore[no-untyped-call]
            _load_tokenizer(folder),
            max_tokens=max_tokens,
            token_budget=token_budget,
        )

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score texts for one query: logits, in the order of the texts.

        Raises:
            ValueError: ``texts`` is one string.
            EncoderError: the model gave a number that is not finite.
        """
        if isinstance(texts, str):
            raise ValueError("`texts` must be a list of strings; got one string")  # noqa: TRY004
        if not texts:
            return []
        scores = torch.zeros(len(texts))
        for batch, logits in self._logits(query, texts):
            scores[batch] = logits[:, -1] - logits[:, 0] if logits.shape[1] > 1 else logits[:, 0]
        if not scores.isfinite().all():
            raise EncoderError(
                "every score must be finite; the model gave NaN or infinity\n"
                'hint: try `dtype = "float32"`'
            )
        return [float(score) for score in scores]

    @torch.inference_mode()
    def _logits(self, query: str, texts: Sequence[str]) -> list[tuple[list[int], Tensor]]:
        """Read all pairs: positions of each batch with their logits ``[B, L]``."""
        # Of a pair the tokenizer would cut each part again for each text, however long it is.
        query, *texts = readable(self._tokenizer, [query, *texts], max_tokens=self._max_tokens)
        encoded = self._tokenizer(
            [query] * len(texts),
            texts,
            truncation="longest_first",
            max_length=self._max_tokens,
            return_attention_mask=False,
            verbose=False,
        )
        fill = int(self._tokenizer.pad_token_id)
        # without special tokens two empty texts have no token at all
        rows = [row or [fill] for row in encoded["input_ids"]]
        kinds = [row or [0] for row in encoded.get("token_type_ids", [])]
        found = []
        for batch in batches_by_length([len(row) for row in rows], token_budget=self._token_budget):
            ids, mask = pad([rows[i] for i in batch], fill=fill)
            inputs = {"input_ids": ids, "attention_mask": mask}
            if kinds:
                inputs["token_type_ids"], _ = pad([kinds[i] for i in batch], fill=0)
            tensors = {
                name: torch.from_numpy(values).to(self._model.device)
                for name, values in inputs.items()
            }
            found.append((batch, self._model(**tensors).logits.float().cpu()))
        return found


def longest_input(model: PreTrainedModel) -> int:
    """Tokens that a model has positions for; very many where they are not counted."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa's first token stands behind the position of its padding.
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - unused
    return context_tokens(model.config)


def _load_model(folder: Path, *, dtype: torch.dtype) -> PreTrainedModel:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except UNREADABLE as exc:
        raise ModelFolderError(f"{folder}/config.json can't be used: {exc}") from exc
    _require_classifier(folder, config)
    try:
        with no_load_report():
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                output_loading_info=True,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
            )
    except ImportError as exc:
        raise ModelFolderError(f"loading {folder} needs a package: {exc}") from exc
    except (*UNREADABLE, RuntimeError, SafetensorError) as exc:
        raise ModelFolderError(f"{folder} can't be loaded as a cross-encoder: {exc}") from exc
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelFolderError(
            f"{folder} must hold every weight of {type(model).__name__}; "
            f"{len(missing)} are missing, the first is {missing[0]}"
        )
    loaded: PreTrainedModel = model
    return loaded


def _require_classifier(folder: Path, config: PretrainedConfig) -> None:
    names = config.architectures or ["model of no named kind"]
    if not any(name.endswith("ForSequenceClassification") for name in names):
        raise ModelFolderError(
            f"a cross-encoder must be a sequence classifier; {folder} is a {names[0]}\n"
            "hint: choose a folder such as an ms-marco cross-encoder's; a decoder LLM reranks as "
            'kind "llm"'
        )
    if config.num_labels not in (1, 2):
        raise ModelFolderError(
            f"a cross-encoder must give one logit, or two for no and yes; {folder} has "
            f"{config.num_labels} classes"
        )


def _load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    tokenizer = load_fast_tokenizer(folder)
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is None:
            raise ModelFolderError(f"a tokenizer must have a token to pad with; {folder} has none")
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
