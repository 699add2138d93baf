"""Both connectors against the suite that is shipped to authors of connectors."""

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest

from connectors.base import Connector
from connectors.conformance import ConnectorConformance
from connectors.filesystem import FolderConnector
from connectors.jsonl import JsonlConnector


class FolderUnderTest:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir()
        self.clock = 1_700_000_000_000_000_000

    def connector(self) -> Connector:
        return FolderConnector("notes", self.root)

    def put(self, key: str, text: str) -> None:
        path = self.root / key / f"{key}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        # A file system's clock may be coarser than the test is quick.
        self.clock += 1_000_000_000
        os.utime(path, ns=(self.clock, self.clock))

    def remove(self, key: str) -> None:
        shutil.rmtree(self.root / key)

    def spoil(self, key: str) -> None:
        (self.root / key / f"{key}.txt").write_bytes(b"\x00\x01\x02")

    def cut_off(self) -> None:
        shutil.rmtree(self.root)


class JsonlUnderTest:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, object] = {}
        self._write()

    def connector(self) -> Connector:
        return JsonlConnector("corpus", self.path)

    def put(self, key: str, text: str) -> None:
        self.records[key] = {"_id": key, "title": key.upper(), "text": text}
        self._write()

    def remove(self, key: str) -> None:
        del self.records[key]
        self._write()

    def spoil(self, key: str) -> None:
        self.records[key] = {"_id": key, "text": 7}
        self._write()

    def cut_off(self) -> None:
        self.path.unlink()

    def _write(self) -> None:
        lines = "".join(json.dumps(record) + "\n" for record in self.records.values()).encode()
        self.path.write_bytes(gzip.compress(lines) if self.path.suffix == ".gz" else lines)


class TestFolderConnector(ConnectorConformance):
    @pytest.fixture
    def source(self, tmp_path: Path) -> FolderUnderTest:
        return FolderUnderTest(tmp_path / "root")


class TestJsonlConnector(ConnectorConformance):
    @pytest.fixture(params=["corpus.jsonl", "corpus.jsonl.gz"])
    def source(self, tmp_path: Path, request: pytest.FixtureRequest) -> JsonlUnderTest:
        return JsonlUnderTest(tmp_path / request.param)
