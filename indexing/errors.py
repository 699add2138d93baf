"""Errors of the indexing package.

IndexingError
├── IndexLockedError    another process has the index open                 (exit code 5)
├── WrongEncoderError   the index was built by another encoder             (exit code 4)
├── DeleteGuardError    a run would remove more documents than allowed     (exit code 4)
├── LiveIndexError      a live index would be replaced without being told   (exit code 4)
├── LeaseLostError      another worker has taken the source over           (exit code 5)
├── DiskFullError       too little free space to write without risk
├── NoIndexError        nothing is indexed yet
├── CatalogError        the catalog can't be opened or used, or is of another version
│   └── CatalogConflictError   another process wrote the same row at once
├── IsolatedCallError   a document's own process died or hung
├── InvalidPointError   a vector or payload the engine would store wrongly
└── StoreError          the engine failed
"""


class IndexingError(Exception):
    """Anything that keeps an index from being read or written."""


class IndexLockedError(IndexingError):
    """Another process, or another object of this one, has the index open."""


class LeaseLostError(IndexLockedError):
    """Another worker has taken over the source that this one was syncing."""


class WrongEncoderError(IndexingError):
    """The index holds vectors of another encoder."""


class DeleteGuardError(IndexingError):
    """A run would remove a larger share of a source than is allowed."""


class LiveIndexError(IndexingError):
    """A live index would be replaced, and nobody said that it may be."""


class DiskFullError(IndexingError):
    """Too little free disk space to write safely."""


class NoIndexError(IndexingError):
    """There is no live index version."""


class CatalogError(IndexingError):
    """A catalog that can't be opened or used, or was written by another version of Argot."""


class CatalogConflictError(CatalogError):
    """Two processes wrote the same row of the catalog at once; this one came second."""


class IsolatedCallError(IndexingError):
    """A call in a process of its own ended with the process."""


class InvalidPointError(IndexingError, ValueError):
    """A point that the engine would accept and store wrongly."""


class StoreError(IndexingError):
    """The engine refused or failed."""
