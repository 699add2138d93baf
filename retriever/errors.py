"""Errors of the retriever package.

RetrieverError
├── MissingPrincipalError   the index has access lists and the query names nobody   (exit code 4)
│   └── TenantError         documents belong to tenants and the query does not name one
├── ModeError               a mode that this index can't answer                     (2)
├── PlanError               options that do not go together, or a stage that is not there (2)
├── QuestionError           a question without a word                               (2)
├── StageError              a reranker or expander that does not do what it must
└── JudgementsError         qrels or queries that can't be read
"""


class RetrieverError(Exception):
    """Anything that keeps a query from being answered."""


class MissingPrincipalError(RetrieverError):
    """A query on a protected index that does not say who asks."""


class TenantError(MissingPrincipalError):
    """A query that names no tenant where it must, several, or one where there are none."""


class ModeError(RetrieverError):
    """A search mode this index has no vectors for."""


class PlanError(RetrieverError, ValueError):
    """Options of a search that do not go together, or name a stage that is not there."""


class QuestionError(RetrieverError):
    """A blank question."""


class StageError(RetrieverError):
    """A reranker or expander that does not do what it must."""


class JudgementsError(RetrieverError):
    """Queries or qrels that can't be read."""
