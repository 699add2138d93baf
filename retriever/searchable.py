"""The port of an index that can be searched."""

from typing import Protocol

from encoder.base import DenseEncoder, FloatArray
from indexing.stores.base import VectorStore
from indexing.versions.description import IndexVersion


class SearchableIndex(Protocol):
    """What a search needs of an open index; `indexing.versions.collection.OpenIndex` is one."""

    @property
    def version(self) -> IndexVersion:
        """What is open."""

    @property
    def store(self) -> VectorStore:
        """Where the points are."""

    def check_encoder(self, dense: DenseEncoder) -> None:
        """Raise WrongEncoderError for an encoder other than the one the index was built with."""

    def encoder_for(self, dense: DenseEncoder) -> DenseEncoder:
        """Wrap that encoder so that its vectors are as the index stores them."""

    def vector_as_stored(self, vector: FloatArray) -> FloatArray:
        """Reduce a vector of that encoder, ``[D]``, to what the index stores, ``[W]``."""
