"""Repeat a call to a server where repeating is safe and may help.

Only for what has the same effect twice: points are written and deleted by id, payloads are
replaced whole. The client itself either never repeats a call, or repeats it at once on every error,
a wrong key too, and waits for ever where it is told to wait.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc
import httpx
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_exponential,
    wait_random,
)

Result = TypeVar("Result")

TIMED_OUT, TOO_MANY = 408, 429
"""The only client errors that pass: the server was too slow itself, or asks for patience."""

NEVER_PASSES = (501, 505, 507)
"""Not implemented, wrong version of HTTP, the server's disk is full."""

PASSING_CODES = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
)

logger = logging.getLogger(__name__)


class UnfinishedWriteError(Exception):
    """The server has a write in its log, but had not applied it when its time was up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, and for how long, a call is tried."""

    attempts: int = 8
    first_wait_seconds: float = 0.5
    """Doubles from wait to wait; up to as much as the first is added at random."""

    longest_wait_seconds: float = 30.0
    """Except where the server asks for more."""

    deadline_seconds: float = 300.0
    """No attempt begins later than this after the first; waiting as asked counts."""

    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    def run(self, action: Callable[[], Result], *, what: str) -> Result:
        """Call until it succeeds, or until trying on is hopeless: then its last error is raised.

        Args:
            action: What has the same effect twice.
            what: For the log, such as ``write points``.

        Returns:
            What the action returned.
        """
        began = self.now()

        def is_over(state: RetryCallState) -> bool:
            late = self.now() - began + state.upcoming_sleep > self.deadline_seconds
            return late or state.attempt_number >= self.attempts

        first, longest = self.first_wait_seconds, self.longest_wait_seconds
        growing = wait_exponential(multiplier=first, max=longest) + wait_random(0, first)
        retrying = Retrying(
            sleep=self.sleep,
            stop=is_over,
            wait=lambda state: max(growing(state), _wait_asked_for(_error_of(state))),
            retry=retry_if_exception(may_pass),
            before_sleep=lambda state: _log(state, what),
            reraise=True,
        )
        return retrying(action)


def may_pass(error: BaseException) -> bool:
    """Tell whether the same call may succeed later."""
    match error:
        case ResourceExhaustedResponse() | UnfinishedWriteError():
            return True
        case UnexpectedResponse(status_code=int(status)):
            return status in (TIMED_OUT, TOO_MANY) or (status >= 500 and status not in NEVER_PASSES)
        case ResponseHandlingException(source=source):
            # An answer that can't be read is one of another version, and stays so.
            return isinstance(source, httpx.TransportError)
        case grpc.RpcError():
            return status_of(error) in PASSING_CODES
        case _:
            return False


def status_of(error: BaseException) -> object:
    """Return the status of an error: of HTTP, an int, or of gRPC; None where it has none."""
    if isinstance(error, grpc.RpcError):
        code = getattr(error, "code", None)  # errors of calls have it, the base class has not
        return code() if callable(code) else None
    return error.status_code if isinstance(error, UnexpectedResponse) else None


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


def _wait_asked_for(error: BaseException | None) -> float:
    return max(error.retry_after_s, 0) if isinstance(error, ResourceExhaustedResponse) else 0.0


def _log(state: RetryCallState, what: str) -> None:
    logger.warning(
        "the server could not %s, attempt %d (%s); trying again in %.1f s",
        what,
        state.attempt_number,
        type(_error_of(state)).__name__,
        state.upcoming_sleep,
    )
