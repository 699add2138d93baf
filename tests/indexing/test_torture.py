"""Whatever is done to the source, the process and the disk, the index ends as the source is.

Many rounds, told as they pass: `ARGOT_TORTURE_ROUNDS=200 ARGOT_TORTURE_SEED=1
pytest -m slow --log-cli-level=INFO tests/indexing/test_torture.py`
"""

import importlib.util
import logging
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from connectors.base import Upsert
from connectors.document import Document
from connectors.errors import DocumentError
from connectors.filesystem import FolderConnector
from indexing.catalog.catalog import Catalog
from indexing.chunks.chunking import chunk_document
from indexing.chunks.tokens import WordTokenizer
from indexing.errors import CatalogError, DiskFullError
from indexing.files.disk import DiskGuard
from indexing.records import IndexedDocument

ROUNDS = int(os.environ.get("ARGOT_TORTURE_ROUNDS", "15"))
SEED = int(os.environ.get("ARGOT_TORTURE_SEED", "0"))
SCRIPT = Path(__file__).with_name("torture_sync.py")
WORDS = ("index", "vector", "chunk", "source", "catalog", "point", "engine", "disk", "batch")
BINARY = bytes(range(256)) * 40
MIB = 1 << 20

logger = logging.getLogger(__name__)

Points = dict[str, tuple[dict[str, Any], str]]
"""Payload and encoded text by point id."""


@pytest.fixture(scope="module")
def torture_sync() -> ModuleType:
    spec = importlib.util.spec_from_file_location("torture_sync", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["torture_sync"] = module
    spec.loader.exec_module(module)
    return module


class Files:
    """A folder of documents that is changed at random."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self._rng = rng
        self._made = 0
        folder.mkdir()
        for _ in range(20):
            self.add()

    def change_something(self) -> str:
        actions = {"add": 3, "change": 4, "metadata": 3, "move": 3, "delete": 2, "corrupt": 2}
        (action,) = self._rng.choices(list(actions), list(actions.values()))
        if action == "add" or len(self._paths()) < 5:
            self.add()
            return "add"
        path = self._rng.choice(self._paths())
        getattr(self, f"_{action}")(path)
        return action

    def add(self) -> None:
        self._write(self._new_path(), self._paragraphs(self._rng.randint(0, 6)))

    def _change(self, path: Path) -> None:
        """Insert, replace or remove a paragraph; the others stay."""
        parts = self._read(path)
        place = self._rng.randint(0, len(parts))
        parts[place : place + self._rng.randint(0, 1)] = self._paragraphs(self._rng.randint(0, 1))
        self._write(path, parts)

    def _metadata(self, path: Path) -> None:
        self._write(path, self._read(path))

    def _move(self, path: Path) -> None:
        path.rename(self._new_path())

    def _delete(self, path: Path) -> None:
        path.unlink()

    def _corrupt(self, path: Path) -> None:
        path.write_bytes(BINARY + self._rng.randbytes(8))

    def _paths(self) -> list[Path]:
        return sorted(self.folder.rglob("*.md"))

    def _new_path(self) -> Path:
        self._made += 1
        folder = self.folder / f"part-{self._rng.randint(0, 3)}"
        folder.mkdir(exist_ok=True)
        return folder / f"document-{self._made}.md"

    def _read(self, path: Path) -> list[str]:
        content = path.read_bytes()
        if content.startswith(BINARY):
            return self._paragraphs(2)
        return content.decode().split("\n\n")[1:]

    def _write(self, path: Path, paragraphs: list[str]) -> None:
        owner = f"---\nowner: person {self._rng.randint(0, 999)}\n---"
        path.write_text("\n\n".join([owner, *paragraphs]), encoding="utf-8")

    def _paragraphs(self, count: int) -> list[str]:
        return [" ".join(self._rng.choices(WORDS, k=24)) + "." for _ in range(count)]


class Oracle:
    """What must be indexed, worked out without catalog, store or sync."""

    def __init__(self, folder: Path, sync: ModuleType) -> None:
        self._folder = folder
        self._sync = sync
        self._last_good: dict[str, Document] = {}

    def look(self) -> Points:
        """Read the source; of a file that is damaged its last good state stays."""
        found: dict[str, Document] = {}
        for change in FolderConnector("files", self._folder).changes(None):
            if isinstance(change, Upsert):
                try:
                    found[change.document_id] = change.load()
                except DocumentError:
                    if change.document_id in self._last_good:
                        found[change.document_id] = self._last_good[change.document_id]
        self._last_good = found
        return dict(pair for document in found.values() for pair in self._points(document))

    def _points(self, document: Document) -> list[tuple[str, tuple[dict[str, Any], str]]]:
        chunks = chunk_document(document, tokenizer=WordTokenizer(), settings=self._sync.CHUNKS)
        indexed = IndexedDocument(
            source="files", document=document, revision=None, protected=False,
            content_hash="", metadata_hash="", chunks=tuple(chunks),
        )  # fmt: skip
        return [
            (point, (indexed.payload(chunk), chunk.encoded_text))
            for chunk, point in zip(chunks, indexed.point_ids, strict=True)
        ]


class World:
    """The folder of an index, and the ways in which a sync ends."""

    def __init__(self, folder: Path, sync: ModuleType, rng: random.Random) -> None:
        self._folder = folder
        self._sync = sync
        self._rng = rng

    def calm(self) -> bool:
        with self._sync.open_catalog(self._folder) as catalog:
            self._run(catalog)
        return True

    def killed(self) -> bool:
        """Kill the process at a random step; tell whether it ended before."""
        command = [sys.executable, SCRIPT, self._folder, str(self._rng.randint(1, 20))]
        done = subprocess.run(
            command, cwd=SCRIPT.parents[2], capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode == 0

    def disk_full(self) -> bool:
        """Let the store's disk be full after some writes; tell whether it ended before."""
        left = iter([1 << 40] * self._rng.randint(2, 8))
        disk = DiskGuard(self._folder, measure=lambda _: next(left, 70 * MIB))
        try:
            with self._sync.open_catalog(self._folder) as catalog:
                self._run(catalog, disk=disk)
        except DiskFullError:
            return False
        return True

    def catalog_full(self) -> bool:
        """Let the catalog grow by a few pages only; tell whether that was enough."""
        pages = self._rng.randint(0, 1)

        def limit(connection: Any, _: object) -> None:
            (now,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {now + pages}")

        with self._sync.open_catalog(self._folder) as catalog:
            with catalog._engine.connect() as connection:
                connection.exec_driver_sql("VACUUM")  # or there are free pages
            catalog._engine.dispose()
            event.listen(catalog._engine, "connect", limit)
            try:
                self._run(catalog)
            except CatalogError as error:
                if "full" not in str(error):
                    raise
                return False
        return True

    def _run(self, catalog: Catalog, *, disk: DiskGuard | None = None) -> None:
        with self._sync.open_store(self._folder, disk=disk) as store:
            self._sync.run(self._folder, store=store, catalog=catalog)

    def encoded(self) -> int:
        log = self._folder / "encoded.log"
        return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0

    def check(self, expected: Points) -> None:
        """Compare the index with the source, point by point."""
        encoder = self._sync.HashingEncoder(dimensions=32)
        with self._sync.open_store(self._folder) as store:
            stored = {point.id: point for batch in store.scan() for point in batch}
            assert store.count() == len(stored)
        assert stored.keys() == expected.keys()
        for name, (payload, text) in expected.items():
            assert stored[name].payload == payload
            dense = encoder.encode_documents([text])[0]
            np.testing.assert_allclose(stored[name].dense, dense, atol=1e-5)
            assert stored[name].sparse == self._sync.SPARSE.encode_documents([text])[0]
        with self._sync.open_catalog(self._folder) as catalog:
            documents = catalog.indexed_documents(version=self._sync.VERSION)
            assert {point for known in documents for point in known.point_ids} == expected.keys()
            records = catalog.source("files", version=self._sync.VERSION)
            assert records.loose_points() == []


@pytest.mark.slow
def test_after_every_round_the_index_is_what_the_source_is(
    tmp_path: Path, torture_sync: ModuleType
) -> None:
    rng = random.Random(SEED)  # noqa: S311 - to be repeated
    files = Files(tmp_path / "files", rng)
    oracle, world = Oracle(tmp_path / "files", torture_sync), World(tmp_path, torture_sync, rng)
    before: Points = {}
    did: Counter[str] = Counter()
    needed = needless = 0
    for number in range(ROUNDS):
        if number:
            did.update(files.change_something() for _ in range(rng.randint(1, 5)))
        expected = oracle.look()
        encoded = world.encoded()
        end = rng.choices(["calm", "killed", "disk_full", "catalog_full"], [6, 3, 2, 1])[0]
        completed = getattr(world, end)()
        did[end if completed is (end == "calm") else f"too late {end}"] += 1
        if not completed:
            world.calm()
        world.check(expected)
        new = {text for _, text in expected.values()} - {text for _, text in before.values()}
        spent = world.encoded() - encoded
        logger.info(
            "round %d: %s, %d points, %d texts new, %d encoded",
            *(number, end, len(expected), len(new), spent),
        )
        # A run that was cut off may have encoded what it could not commit; no third time.
        assert len(new) <= spent <= len(new) * (1 if completed else 2)
        needed += len(new)
        needless += spent - len(new)
        before = expected
    logger.info(
        "%d rounds: %s; %d texts were needed, %d encoded once more", ROUNDS, did, needed, needless
    )
