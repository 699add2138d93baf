"""Errors of the front door.

ArgotError
├── SettingsError          argot.toml, the environment or an argument is wrong     (exit code 2)
├── NoProjectError         there is no argot.toml here                             (exit code 10)
├── DocumentRefusedError   a document may not be written, by its access list or tenant
└── DemoError              the demo's model or corpus can't be made
"""


class ArgotError(Exception):
    """Anything the front door refuses."""


class SettingsError(ArgotError):
    """A setting that is unknown or has a wrong value."""


class NoProjectError(ArgotError):
    """A folder without argot.toml."""


class DocumentRefusedError(ArgotError, ValueError):
    """A document that may not be written as it is: by who may see it, or by whose it is."""


class DemoError(ArgotError):
    """The demo's model or corpus can't be made."""
