"""What a forked child does first, as its parent's threads are not in it.

The engine would hang in it, and so would a wait for a lock that one of these threads holds.
"""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

Lock = TypeVar("Lock", bound="threading.Lock | threading.RLock | threading.Condition")

_calls: set["weakref.WeakMethod[Any]"] = set()
_locks: "weakref.WeakSet[Any]" = weakref.WeakSet()


def call_in_children(method: Callable[[], None]) -> None:
    """Call a method in every process that is forked from now on, while its object is there."""
    _calls.add(weakref.WeakMethod(method, _calls.discard))


def free_in_children(lock: Lock) -> Lock:
    """Let a lock be free in every child that is forked from now on, whoever held it."""
    _locks.add(lock)
    return lock


def _begin_child() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()  # noqa: SLF001 - as Python's own modules free theirs
    for call in list(_calls):
        method = call()
        if method is not None:
            method()


os.register_at_fork(after_in_child=_begin_child)
