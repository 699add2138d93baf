"""Work in a thread of its own, for event loops."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from indexing.forks import call_in_children

Result = TypeVar("Result")


class OwnThread:
    """Does one thing after another, so that waiting queues here and not in the loop's own threads.

    Args:
        name: What the thread is called.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._start()
        call_in_children(self._start)

    def _start(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._name)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do it in the context of the caller; what is cancelled before its turn is not begun."""
        in_context = partial(copy_context().run, work)
        return await asyncio.get_running_loop().run_in_executor(self._worker, in_context)
