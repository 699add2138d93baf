"""Keep a forked child from touching what its parent has open: the engine would hang in it."""

import os
import weakref
from typing import Protocol


class Disownable(Protocol):
    """Something that belongs to the process that opened it."""

    def disown(self) -> None:
        """Refuse every use from now on; called in the child."""


_opened: weakref.WeakSet[Disownable] = weakref.WeakSet()


def disown_in_children(opened: Disownable) -> None:
    """Let every process that is forked from now on disown it."""
    _opened.add(opened)


def _disown_all() -> None:
    for opened in list(_opened):
        opened.disown()


os.register_at_fork(after_in_child=_disown_all)
