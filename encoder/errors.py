"""Errors of the encoder package.

EncoderError
├── ModelFolderError        the folder is not a model that can be loaded
└── NotBidirectionalError   the attention did not switch, so the vectors would be wrong
"""


class EncoderError(Exception):
    """Anything that keeps a model from becoming an encoder."""


class ModelFolderError(EncoderError):
    """A folder that does not hold a decoder checkpoint or an encoder."""


class NotBidirectionalError(EncoderError):
    """A model whose tokens still can't see the tokens after them."""
