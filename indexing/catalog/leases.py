"""Leases: which of several workers that share a catalog syncs which source.

A lease is a row of the catalog with its owner and the time it expires. A thread renews it while the
worker lives; a worker that died lets it expire, and another one takes the source over. Every
transaction that writes what is known of a source checks in itself that the lease is still held, so
a worker that was only stopped for long (a suspended machine) can commit nothing when it wakes.

The machines' clocks must agree to well within the time to live.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Self

from sqlalchemy import Connection, Engine, delete, insert, or_, select, update

from indexing.catalog.tables import leases
from indexing.errors import CatalogConflictError, CatalogError, LeaseLostError

LEASE_SECONDS = 120.0
"""Longer than any pause of a worker that lives; a dead worker's source waits that long."""

BEATS_PER_LEASE = 6

logger = logging.getLogger(__name__)


class Leases:
    """Gives leases to one owner, this worker.

    Args:
        engine: The catalog's.
        ttl_seconds: How long a lease holds after its last heartbeat.
        clock: Seconds since 1970.
        owner: A name no other worker has; None: host, process and a random number.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        ttl_seconds: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.time,
        owner: str | None = None,
    ) -> None:
        self._engine = engine
        self._ttl = ttl_seconds
        self._clock = clock
        self.owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def take(self, source: str, *, version: str) -> "Lease | None":
        """Take a source that is free, whose lease has expired, or that this worker has already.

        Returns:
            The lease, beating; release it, or use it in a ``with``. None: another worker has it.
        """
        now = self._clock()
        key = {"version": version, "source": source}
        values = {"owner": self.owner, "heartbeat": now, "expires": now + self._ttl}
        free = or_(leases.c.expires < now, leases.c.owner == self.owner)
        try:
            with self._engine.begin() as connection:
                taken = connection.execute(
                    update(leases).filter_by(**key).where(free).values(**values)
                )
                if taken.rowcount == 0:
                    connection.execute(insert(leases).values(**key, **values))
        except CatalogConflictError:
            return None  # it is held, or another worker was faster
        return Lease(
            self._engine, key=key, owner=self.owner, ttl_seconds=self._ttl, clock=self._clock
        )

    def owner_of(self, source: str, *, version: str) -> str | None:
        """Name the worker that has a source; None: nobody, or its lease has expired."""
        query = select(leases.c.owner).filter_by(version=version, source=source)
        with self._engine.connect() as connection:
            return connection.execute(query.where(leases.c.expires >= self._clock())).scalar()


class Lease:
    """A source that this worker has, until it is released, lost or no longer renewed."""

    def __init__(
        self,
        engine: Engine,
        *,
        key: dict[str, str],
        owner: str,
        ttl_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._key = key
        self._owner = owner
        self._ttl = ttl_seconds
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def renew_in(self, connection: Connection) -> None:
        """Renew the lease within a transaction.

        One that has expired is renewed too, as long as no other worker has taken it.

        Raises:
            LeaseLostError: Another worker has.
        """
        now = self._clock()
        mine = update(leases).filter_by(**self._key, owner=self._owner)
        renewed = connection.execute(mine.values(heartbeat=now, expires=now + self._ttl))
        if renewed.rowcount == 0:
            raise LeaseLostError(
                f"source {self._key['source']!r} was taken over by another worker: this one did "
                f"not answer for {self._ttl:g} seconds\n"
                "hint: nothing of it is lost; the other worker completes the run"
            )

    def release(self) -> None:
        """Let the source go; once more is fine."""
        self._stopped.set()
        self._thread.join()
        with self._engine.begin() as connection:
            connection.execute(delete(leases).filter_by(**self._key, owner=self._owner))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._stopped.wait(self._ttl / BEATS_PER_LEASE):
            try:
                with self._engine.begin() as connection:
                    self.renew_in(connection)
            except LeaseLostError:
                return  # the next write says so
            except CatalogError as error:
                logger.warning("the lease on %s was not renewed: %s", self._key["source"], error)
