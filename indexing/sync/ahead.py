"""Texts encoded in a thread of their own, while what was encoded before them is written."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import Self

from encoder.base import DenseEncoder, FloatArray
from indexing.sync.target import Target

FIRST_TOKENS = 2_048
"""Of the part that is encoded first, before the encoder's speed is known."""

SECONDS_PER_PART = 2.0
"""What a part should take: whoever interrupts waits for the part that is being encoded."""


class EncodingAhead:
    """Encodes texts before they are needed; use it in a ``with``.

    A text that can't be encoded is no error here: it is left out, and whoever encodes it when it
    is needed meets the reason.

    Args:
        dense: The encoder.
        dimensions: D, of the vectors.
    """

    def __init__(self, dense: DenseEncoder, *, dimensions: int | None) -> None:
        self._dense = dense
        self._dimensions = dimensions
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoding")
        self._stopped = threading.Event()
        self._vectors: dict[str, Future[FloatArray]] = {}
        self._tokens_per_second = FIRST_TOKENS / SECONDS_PER_PART

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._worker.shutdown(cancel_futures=True)

    def begin(self, tokens: Mapping[str, int]) -> None:
        """Encode texts, after those that were begun before; none of them twice.

        Args:
            tokens: How long each text is.
        """
        new = {text: count for text, count in tokens.items() if text not in self._vectors}
        self._vectors |= {text: Future() for text in new}
        if new:
            self._worker.submit(self._encode, new)

    def take(self, texts: Sequence[str]) -> dict[str, FloatArray]:
        """Wait for texts, and return the vectors ``[D]`` of those that were begun and encoded."""
        begun = {text: self._vectors[text] for text in texts if text in self._vectors}
        return {text: future.result() for text, future in begun.items() if not _failure(future)}

    def forget(self, texts: Sequence[str]) -> None:
        """Let go of vectors that nobody will take again."""
        for text in texts:
            self._vectors.pop(text, None)

    def _encode(self, tokens: Mapping[str, int]) -> None:
        futures = {text: self._vectors[text] for text in tokens}
        try:
            for part in self._parts(tokens):
                if self._stopped.is_set():
                    return
                self._encode_part(part, futures, tokens=sum(tokens[text] for text in part))
        finally:  # nobody may wait for what will not come
            for future in futures.values():
                future.cancel()

    def _encode_part(
        self, part: Sequence[str], futures: Mapping[str, "Future[FloatArray]"], *, tokens: int
    ) -> None:
        began = perf_counter()
        try:
            rows = self._dense.encode_documents(part, dimensions=self._dimensions)  # [N, D]
        except Exception as error:  # noqa: BLE001 - met again by whoever needs the text
            for text in part:
                futures[text].set_exception(error)
            return
        for text, row in zip(part, rows, strict=True):
            futures[text].set_result(row)
        self._tokens_per_second = tokens / max(perf_counter() - began, 1e-6)

    def _parts(self, tokens: Mapping[str, int]) -> Iterator[list[str]]:
        """Cut texts into parts that take about as long as a part should.

        Texts of about one length share a part, so that little of it is padding.
        """
        part: list[str] = []
        size = 0
        for text in sorted(tokens, key=tokens.__getitem__, reverse=True):
            if part and size + tokens[text] > SECONDS_PER_PART * self._tokens_per_second:
                yield part
                part, size = [], 0
            part.append(text)
            size += tokens[text]
        if part:
            yield part


@contextmanager
def encoding_ahead(target: Target) -> Iterator[EncodingAhead | None]:
    """Encode ahead for a target; None where it has no dense vectors."""
    if target.dense is None:
        yield None
        return
    with EncodingAhead(target.dense, dimensions=target.store.spec.dimensions) as ahead:
        yield ahead


def _failure(future: "Future[FloatArray]") -> BaseException | None:
    """Wait for a text, and say why it has no vector; None: it has one."""
    try:
        return future.exception()
    except CancelledError as error:
        return error
