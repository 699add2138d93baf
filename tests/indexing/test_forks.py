"""What a forked child finds of its parent's locks and objects."""

import gc
import os
import signal
import threading
from collections.abc import Callable

import pytest

from indexing.forks import call_in_children, free_in_children


class Counted:
    def __init__(self) -> None:
        self.calls = 0
        call_in_children(self.count)

    def count(self) -> None:
        self.calls += 1


def in_child(is_right: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if is_right() else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Condition])
def test_a_lock_that_a_thread_of_the_parent_holds_is_free_in_the_child(make: Callable[[], object]):
    lock = free_in_children(make())  # type: ignore[type-var]
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:  # type: ignore[attr-defined]
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert in_child(lambda: lock.acquire(timeout=5))  # type: ignore[attr-defined]
        assert not lock.acquire(blocking=False)  # type: ignore[attr-defined]
    finally:
        done.set()
        thread.join()


def test_a_method_is_called_in_children_alone_and_only_while_its_object_is_there():
    there, gone = Counted(), Counted()
    calls = gone.__dict__
    del gone
    gc.collect()
    assert in_child(lambda: (there.calls, calls["calls"]) == (1, 0))
    assert there.calls == 0
