"""A Qdrant server on loopback for tests: the REST API over the client's own in-memory engine.

It answers the requests that the adapter sends, and can be told to fail the next ones, so that what
crosses the wire and what is repeated is seen. It is no proof of what a real server does.
"""

import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic_core import to_jsonable_python
from qdrant_client import QdrantClient, models


@dataclass(frozen=True)
class Fault:
    """How a request fails."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    applied: bool = False
    """The request is carried out all the same: only the answer is lost."""

    drop: bool = False
    """The connection ends without an answer."""

    pause_seconds: float = 0.0
    """The answer comes that much later."""


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    query: dict[str, list[str]]
    size: int
    api_key: str | None


@dataclass
class FakeQdrant:
    """What the server holds, what it was asked, and what it will do wrong."""

    engine: QdrantClient
    url: str = ""
    faults: list[Fault | None] = field(default_factory=list)
    """Of the next requests, in order; None: that one is answered."""

    seen: list[Seen] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    """Of the collections, in the next answers; then green."""

    bodies: list[Any] = field(default_factory=list)
    update_status: str = "completed"
    version: str = version("qdrant-client")

    def count(self, method: str, ending: str) -> int:
        return sum(one.method == method and one.path.endswith(ending) for one in self.seen)

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> Any:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match method, parts:
            case "GET", [""]:
                return {"title": "qdrant", "version": self.version}
            case "GET", ["collections"]:
                return self.engine.get_collections()
            case "GET", ["aliases"]:
                return self.engine.get_aliases()
            case "POST", ["collections", "aliases"]:
                actions = models.ChangeAliasesOperation.model_validate_json(body).actions
                return self.engine.update_collection_aliases(actions)
            case _, ["collections", name, *rest]:
                self.bodies.append((method, path, json.loads(body) if body else None))
                assert method != "PUT" or rest == [] or query["wait"] == ["true"]
                return self._collection(f"{method} {'/'.join(rest)}".strip(), name, body)
            case _:
                raise ValueError(f"not a request that is known: {method} {path}")

    def _collection(self, request: str, name: str, body: bytes) -> Any:
        handlers: dict[str, Callable[[str, bytes], Any]] = {
            "GET exists": lambda name, _: {"exists": self.engine.collection_exists(name)},
            "GET": self._info,
            "PUT": self._create,
            "PATCH": lambda *_: True,
            "DELETE": lambda name, _: self.engine.delete_collection(name),
            "PUT index": lambda *_: self._updated(),
            "PUT points": self._upsert,
            "POST points": self._retrieve,
            "POST points/delete": self._delete,
            "POST points/batch": self._batch,
            "POST points/scroll": self._scroll,
            "POST points/query": self._query,
            "POST points/count": self._count,
        }
        return handlers[request](name, body)

    def _info(self, name: str, _: bytes) -> Any:
        info = to_jsonable_python(self.engine.get_collection(name))
        if self.statuses:
            info["status"] = self.statuses.pop(0)
        return info

    def _create(self, name: str, body: bytes) -> bool:
        asked = models.CreateCollection.model_validate_json(body)
        return self.engine.create_collection(
            name,
            vectors_config=asked.vectors,  # type: ignore[arg-type]
            sparse_vectors_config=asked.sparse_vectors,
            metadata=asked.metadata,
        )

    def _updated(self) -> dict[str, Any]:
        return {"operation_id": 1, "status": self.update_status}

    def _upsert(self, name: str, body: bytes) -> Any:
        self.engine.upsert(name, models.PointsList.model_validate_json(body).points)
        return self._updated()

    def _retrieve(self, name: str, body: bytes) -> Any:
        asked = models.PointRequest.model_validate_json(body)
        wanted = {"with_payload": asked.with_payload, "with_vectors": asked.with_vector}
        return self.engine.retrieve(name, asked.ids, **wanted)  # type: ignore[arg-type]

    def _delete(self, name: str, body: bytes) -> Any:
        self.engine.delete(name, models.PointIdsList.model_validate_json(body))
        return self._updated()

    def _batch(self, name: str, body: bytes) -> Any:
        operations = models.UpdateOperations.model_validate_json(body).operations
        self.engine.batch_update_points(name, operations)
        return [self._updated() for _ in operations]

    def _scroll(self, name: str, body: bytes) -> Any:
        asked = models.ScrollRequest.model_validate_json(body)
        points, following = self.engine.scroll(
            name,
            limit=asked.limit or 10,
            offset=asked.offset,
            scroll_filter=asked.filter,
            with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
        )
        return {"points": points, "next_page_offset": following}

    def _query(self, name: str, body: bytes) -> Any:
        asked = models.QueryRequest.model_validate_json(body)
        return self.engine.query_points(
            name,
            query=asked.query,  # type: ignore[arg-type]
            using=asked.using,
            prefetch=asked.prefetch,
            query_filter=asked.filter,
            search_params=asked.params,
            limit=asked.limit or 10,
            with_payload=asked.with_payload or False,
        )

    def _count(self, name: str, body: bytes) -> Any:
        asked = models.CountRequest.model_validate_json(body)
        return self.engine.count(name, count_filter=asked.filter, exact=True)


def handler_of(fake: FakeQdrant) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(address.query)
            fake.seen.append(
                Seen(self.command, address.path, query, len(body), self.headers.get("api-key"))
            )
            fault = fake.faults.pop(0) if fake.faults else None
            if fault is None or fault.applied:
                status, content = self._carry_out(address.path, query, body)
            if fault is not None:
                time.sleep(fault.pause_seconds)
                if fault.drop:
                    self.close_connection = True
                    return
                status, content = fault.status, {"status": {"error": "told to fail"}}
            self.send_response(status)
            for name, value in (fault.headers if fault else {}).items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(BrokenPipeError):  # who asked has given up waiting
                self.wfile.write(json.dumps(content).encode())

        def _carry_out(
            self, path: str, query: dict[str, list[str]], body: bytes
        ) -> tuple[int, Any]:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = fake.answer(self.command, path, query, body)
            except (ValueError, KeyError) as error:
                return 404 if "not found" in str(error) else 400, {"status": {"error": str(error)}}
            if path == "/":
                return 200, result
            return 200, {"result": to_jsonable_python(result), "status": "ok", "time": 0.0}

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def fake_qdrant() -> Iterator[FakeQdrant]:
    """Serve until the end of the block."""
    fake = FakeQdrant(QdrantClient(":memory:", force_disable_check_same_thread=True))
    server = HTTPServer(("127.0.0.1", 0), handler_of(fake))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        fake.engine.close()
