"""Errors of the retriever package.

RetrieverError
├── MissingPrincipalError   the index has access lists and the query names nobody   (exit code 4)
├── ModeError               a mode that this index can't answer
└── JudgementsError         qrels or queries that can't be read
"""


class RetrieverError(Exception):
    """Anything that keeps a query from being answered."""


class MissingPrincipalError(RetrieverError):
    """A query on a protected index that does not say who asks."""


class ModeError(RetrieverError):
    """A search mode this index has no vectors for."""


class JudgementsError(RetrieverError):
    """Queries or qrels that can't be read."""
