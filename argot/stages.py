"""Second stages made of models: none is loaded before a search asks for it, and each but once.

What wraps a model is made for each query, so that it follows an index that moves to another
encoder; the models themselves stay.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from argot.encoders import errors_of_settings, without_garbage_collection
from argot.errors import SettingsError
from argot.paths import ProjectPaths
from argot.settings import EncoderChoice
from argot.stage_settings import (
    CROSS_ENCODER,
    LATE_INTERACTION,
    LLM,
    MULTI_QUERY,
    QUERY_LIKELIHOOD,
    StageSettings,
)
from encoder.base import DenseEncoder
from indexing.forks import free_in_children
from retriever.plan import HYDE
from retriever.stages import Expansion, QueryExpander, Reranker

if TYPE_CHECKING:
    from encoder.cross_encoder import CrossEncoder
    from encoder.loading import Decoder


class Writer(Protocol):
    """Writes texts for a query, as the classes of `encoder.expansion` do."""

    def write(self, query: str) -> tuple[str, ...]:
        """Write; maybe nothing."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What a search may name."""

    rerankers: Mapping[str, Reranker] = field(default_factory=dict)
    expanders: Mapping[str, QueryExpander] = field(default_factory=dict)


class LazyReranker:
    """A `Reranker` that is made when it has texts to score."""

    def __init__(
        self, name: str, make: Callable[[], Reranker], *, turn: AbstractContextManager[object]
    ) -> None:
        self._name = name
        self._make = make
        self._turn = turn

    @property
    def name(self) -> str:
        """What searches call it."""
        return self._name

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score texts; see `Reranker`."""
        if len(texts) == 0:
            return []
        with self._turn:
            return self._make().scores(query, texts)


class LazyExpander:
    """A `QueryExpander` that is made when it has a query to widen."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Writer],
        *,
        widen: Callable[[tuple[str, ...]], Expansion],
        turn: AbstractContextManager[object],
    ) -> None:
        self._name = name
        self._make = make
        self._widen = widen
        self._turn = turn

    @property
    def name(self) -> str:
        """What searches call it."""
        return self._name

    def expand(self, query: str) -> Expansion:
        """Widen a query; see `QueryExpander`."""
        if not query.strip():
            return Expansion()
        with self._turn:
            return self._widen(self._make().write(query))


class StageModels:
    """The models of second stages; they take turns, and stay in memory once they are loaded.

    Args:
        settings: Which, and how much they read and write.
        paths: Where relative folders start; None: outside of a project.
        hardware: Device and type of numbers, as the encoder has them.
    """

    def __init__(
        self, settings: StageSettings, *, paths: ProjectPaths | None, hardware: EncoderChoice
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._dtype, self._device = hardware.dtype, hardware.device
        self._turn = free_in_children(threading.RLock())
        self._cross_encoder: CrossEncoder | None = None
        self._language_model: Decoder | None = None

    def stages(
        self, *, encoder: Callable[[], DenseEncoder | None], base: Callable[[], "Decoder"]
    ) -> Stages:
        """Name every stage there is; an error that a model can't be had comes with its first use.

        Args:
            encoder: Gives the encoder of the index.
            base: Gives the language model that this encoder was made of.
        """
        written = {
            HYDE: (self._passage_writer, lambda texts: Expansion(passages=texts)),
            MULTI_QUERY: (self._query_rewriter, lambda texts: Expansion(queries=texts)),
        }
        rerankers: dict[str, Callable[[], Reranker]] = {
            CROSS_ENCODER: self.cross_encoder,
            LLM: partial(self._llm_reranker, base),
            QUERY_LIKELIHOOD: partial(self._query_likelihood, base),
            LATE_INTERACTION: partial(late_interaction, encoder),
        }
        return Stages(
            {name: LazyReranker(name, make, turn=self._turn) for name, make in rerankers.items()},
            {
                name: LazyExpander(name, partial(make, base), widen=widen, turn=self._turn)
                for name, (make, widen) in written.items()
            },
        )

    def cross_encoder(self) -> "CrossEncoder":
        """Load the cross-encoder of the settings, once. Loads torch.

        Raises:
            SettingsError: none is named, or it is not there.
        """
        if self._cross_encoder is None:
            folder = self._folder("cross_encoder")
            with errors_of_settings(table="[stages]"), without_garbage_collection():
                from encoder.cross_encoder import CrossEncoder

                self._cross_encoder = CrossEncoder.load(
                    folder,
                    max_tokens=self._settings.text_tokens,
                    dtype=self._dtype,
                    device=self._device,
                )
        return self._cross_encoder

    def language_model(self, base: Callable[[], "Decoder"]) -> "Decoder":
        """Load the language model of the settings, once; without one take the encoder's base."""
        if not self._settings.language_model:
            return base()
        if self._language_model is None:
            with errors_of_settings(table="[stages]"):
                self._language_model = load_base(
                    self._folder("language_model"), dtype=self._dtype, device=self._device
                )
        return self._language_model

    def _llm_reranker(self, base: Callable[[], "Decoder"]) -> Reranker:
        decoder = self.language_model(base)
        with errors_of_settings(table="[stages]"):
            from encoder.llm_reranker import LlmReranker

            return LlmReranker(decoder, passage_tokens=self._settings.text_tokens)

    def _query_likelihood(self, base: Callable[[], "Decoder"]) -> Reranker:
        decoder = self.language_model(base)
        from encoder.query_likelihood import QueryLikelihood

        return QueryLikelihood(decoder, passage_tokens=self._settings.text_tokens)

    def _passage_writer(self, base: Callable[[], "Decoder"]) -> Writer:
        decoder = self.language_model(base)
        from encoder.expansion import PassageWriter

        return PassageWriter(
            decoder,
            passages=self._settings.passages,
            max_new_tokens=self._settings.new_tokens,
            temperature=self._settings.temperature,
        )

    def _query_rewriter(self, base: Callable[[], "Decoder"]) -> Writer:
        decoder = self.language_model(base)
        from encoder.expansion import QueryRewriter

        return QueryRewriter(
            decoder,
            wordings=self._settings.wordings,
            max_new_tokens=self._settings.new_tokens,
            temperature=self._settings.temperature,
        )

    def _folder(self, setting: str) -> Path:
        named = getattr(self._settings, setting)
        if not named:
            raise SettingsError(
                f"this stage needs a model; [stages] names no {setting}\n"
                f"hint: set `{setting}` in [stages] to the model's folder"
            )
        path = Path(named).expanduser()
        places = [self._paths.root / path, path] if self._paths is not None else [path]
        for place in places:
            if place.exists():
                return place
        raise SettingsError(f"[stages] {setting} must be a model's folder; {named!r} is none")


def late_interaction(encoder: Callable[[], DenseEncoder | None]) -> Reranker:
    """Make the reranker of an encoder's own token vectors.

    Raises:
        SettingsError: there is no encoder, or it is one that gives no vectors of tokens.
    """
    from encoder.late_interaction import LateInteraction, TokenEncoder

    dense = encoder()
    if dense is None or not isinstance(dense, TokenEncoder):
        found = "none" if dense is None else type(dense).__name__
        raise SettingsError(
            f"late interaction compares token vectors, which a decoder's encoder gives; got {found}"
            "\nhint: set `model` in [encoder], or rerank with another stage"
        )
    return LateInteraction(dense)


def load_base(folder: Path, *, dtype: str | None, device: str | None) -> "Decoder":
    """Load a decoder as it was trained; of an encoder directory, the one that it was made of.

    Raises ModelFolderError where the folder has no language model that can be loaded safely.
    """
    from encoder.directory import read_any_spec, weights_folder
    from encoder.llm2vec import as_dtype
    from encoder.loading import load_decoder
    from encoder.shared_weights import check_language_model

    with without_garbage_collection():
        weights = weights_folder(folder, read_any_spec(folder))
        check_language_model(weights, causal=True)
        return load_decoder(
            weights.model,
            causal=True,
            with_head=True,
            dtype=as_dtype(dtype),
            device=device,
            tokenizer=weights.tokenizer,
        )
