"""Calls in processes of their own, so that one that crashes or hangs harms nothing else.

The processes are started afresh, not forked: the engine and CUDA do not survive a fork. Nor do they
import the user's main script again, as Python's own pools do.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Pipe
from typing import Any, TypeVar

from indexing.errors import IsolatedCallError

Result = TypeVar("Result")

EXIT_SECONDS = 5.0

DONE, RAISED, UNKNOWN = "done", "raised", "unknown"
"""What a process answers; ``UNKNOWN``: it can't import what it should call."""


class ProcessPool:
    """Runs picklable calls in other processes; what can't be pickled runs in the caller.

    Args:
        processes: At most so many, started when they are needed; 0: everything runs in the caller.
        timeout_seconds: A call that takes longer ends with its process.
    """

    def __init__(self, processes: int, *, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._threads = ThreadPoolExecutor(processes, "isolation") if processes else None
        self._guard = threading.Lock()
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._closed = False

    def submit(self, call: Callable[[], Result]) -> "Future[Result]":
        """Begin a call.

        Returns:
            Its result, or what it raised. `IsolatedCallError`: its process died, or took too long.
        """
        if self._threads is not None:
            try:
                pickled = pickle.dumps(call)
            except Exception:  # noqa: BLE001 - a closure, a lock, an open file
                return _here(call)
            return self._threads.submit(self._run, call, pickled)
        return _here(call)

    def close(self) -> None:
        """End all processes, what they are doing too; closing twice is fine."""
        with self._guard:
            self._closed = True
            running = list(self._all)
        for process in running:
            process.end()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def _run(self, call: Callable[[], Result], pickled: bytes) -> Result:
        process = self._take()
        try:
            kind, answer = process.ask(pickled, timeout=self._timeout)
        except IsolatedCallError:
            process.end()
            with self._guard:
                self._all.discard(process)
            raise
        with self._guard:
            self._idle.append(process)
        if kind == UNKNOWN:
            return call()
        if kind == RAISED:
            raise answer
        result: Result = answer
        return result

    def _take(self) -> "_Process":
        with self._guard:
            if self._closed:
                raise IsolatedCallError("the run has ended")
            if self._idle:
                return self._idle.pop()
            process = _Process(self._timeout)
            self._all.add(process)
            return process


class _Process:
    """One process, asked one thing at a time."""

    def __init__(self, timeout: float) -> None:
        self._connection, theirs = Pipe()
        # -P: no file of the working folder may stand in for one of ours.
        command = [sys.executable, "-P", "-m", "indexing.sync.isolated"]
        command += [str(theirs.fileno()), str(timeout)]
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)  # noqa: PTH109 - text
        environment = {**os.environ, "PYTHONPATH": path}
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment
        )
        theirs.close()

    def ask(self, pickled: bytes, *, timeout: float) -> tuple[str, Any]:
        try:
            self._connection.send_bytes(pickled)
            if not self._connection.poll(timeout):
                raise IsolatedCallError(
                    f"reading it took more than {timeout:g} seconds and was given up"
                )
            kind, answer = pickle.loads(self._connection.recv_bytes())  # noqa: S301 - our process
        except (EOFError, OSError) as error:
            raise IsolatedCallError(
                f"the process that read it ended: {self._cause()}\n"
                "hint: the file may be damaged, or take more memory than there is"
            ) from error
        return kind, answer

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _cause(self) -> str:
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "it no longer answers"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _here(call: Callable[[], Result]) -> "Future[Result]":
    future: Future[Result] = Future()
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
        future.set_exception(error)
    return future
