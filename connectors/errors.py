"""Errors of the connectors package.

ConnectorError
├── SourceError     the source as a whole can't be read: stop, delete nothing
└── DocumentError   one document can't be read: set it aside with its reason and go on
"""


class ConnectorError(Exception):
    """Anything that keeps documents from being read."""


class SourceError(ConnectorError):
    """A source that can't be listed."""


class DocumentError(ConnectorError):
    """A document that can't be read or parsed. Its text is the reason shown to the user."""
