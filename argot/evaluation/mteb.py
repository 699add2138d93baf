"""Let the `mteb` package evaluate any of our encoders, or of those ours is measured against.

    import mteb
    from argot.evaluation.mteb import MtebEncoder

    encoder = MtebEncoder.load("path/to/encoder", name="acme/ours")
    mteb.evaluate(encoder, mteb.get_tasks(["SciFact"]))

`mteb` (2.x) is imported when it asks for the model's card, and fetches its data sets from a hub:
this is the one part of Argot that is of no use without a network, or data put in its cache.

Shapes: N texts · D dimensions.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from argot.evaluation.baselines import load_measurable, parse_measurable
from argot.settings import EncoderChoice
from encoder.base import DenseEncoder, FloatArray

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta


class MtebEncoder:
    """A `DenseEncoder` as mteb's ``EncoderProtocol`` wants it."""

    def __init__(self, encoder: DenseEncoder, *, name: str) -> None:
        """Wrap a loaded encoder.

        Args:
            encoder: Any.
            name: What mteb files the results under, as ``organisation/model``.

        Raises:
            ValueError: the name has another form.
        """
        if name.count("/") != 1 or not all(name.split("/")):
            raise ValueError(f"`name` must be organisation/model, as mteb files it; got {name!r}")
        self._encoder = encoder
        self._name = name

    @classmethod
    def load(cls, model: str | Path, *, name: str) -> Self:
        """Load a folder, with options as `argot eval --encoder` takes them.

        Args:
            model: ``FOLDER[,causal][,echo][,KEY=VALUE...]``.
            name: What mteb files the results under, as ``organisation/model``.
        """
        wanted = parse_measurable(str(model), common=EncoderChoice())
        return cls(load_measurable(wanted, None), name=name)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Sequence[str]]],
        *,
        prompt_type: str | None = None,
        **about: Any,  # noqa: ANN401, ARG002 - mteb's: the task's card, split, subset, batch size
    ) -> FloatArray:
        """Encode the texts of a task: ``[N, D]`` float32, unit norm, in the given order.

        Args:
            inputs: Batches with a list of strings under ``text``; mteb gives a data loader.
            prompt_type: ``query``: with the encoder's query instruction; else, also in tasks where
                neither text looks for the other, as documents.
            about: What mteb tells besides. Batches are ours: by length, not by count.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        if prompt_type == "query":
            return self._encoder.encode_queries(texts)
        return self._encoder.encode_documents(texts)

    def similarity(self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike) -> FloatArray:
        """Compute the cosine of every vector of one set with every one of another."""
        first, second = np.atleast_2d(embeddings1), np.atleast_2d(embeddings2)
        return np.asarray(first @ second.T, dtype=np.float32)

    def similarity_pairwise(
        self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike
    ) -> FloatArray:
        """Compute the cosine of each vector of one set with its partner in the other."""
        products = np.atleast_2d(embeddings1) * np.atleast_2d(embeddings2)
        return np.asarray(products.sum(axis=1), dtype=np.float32)

    @property
    def mteb_model_meta(self) -> "ModelMeta":
        """The model's card; its revision is the fingerprint, so other weights are other results."""
        from mteb.models.model_meta import ModelMeta, ScoringFunction

        card = ModelMeta.create_empty()
        return card.model_copy(
            update={
                "name": self._name,
                "revision": self._encoder.fingerprint[:16],
                "embed_dim": self._encoder.dimensions,
                "similarity_fn_name": ScoringFunction.COSINE,
                "framework": ["PyTorch"],
            }
        )
