"""A backup brings back what was there, or is refused."""

import io
import json
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from encoder.base import SparseVector
from encoder.bm25 import Bm25Settings
from indexing.backup.reading import Backup
from indexing.backup.transfer import same_point
from indexing.backup.writing import BackupReport, write_backup
from indexing.catalog.catalog import Catalog
from indexing.errors import CatalogError, IndexingError
from indexing.stores.base import Point
from indexing.versions.collection import OpenIndex, create_index

ROWS = [
    ("loose_points", {"source": "docs", "point_id": str(UUID(int=3))}),
    ("cursors", {"source": "docs", "cursor": "17"}),
]


class Encoder:
    """Vectors of the letters of a text."""

    fingerprint = "c0ffee" * 10
    dimensions = 8

    def encode_documents(self, texts: list[str], *, dimensions: int | None = None):
        counts = [[text.count(letter) + 1 for letter in "etaoinsh"] for text in texts]
        vectors = np.asarray(counts, dtype=np.float32)[:, :dimensions]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def new_index(folder: Path, *, dense: bool) -> OpenIndex:
    encoder = Encoder() if dense else None
    bm25 = {"language": "english", "k1": Bm25Settings().k1, "b": 0.4, "avg_len": 9.5}
    index = create_index(folder, dense=encoder, chunker={}, bm25=bm25)  # type: ignore[arg-type]
    vectors = encoder.encode_documents([f"text {n}" for n in range(1100)]) if encoder else None
    index.store.upsert(
        [
            Point(
                id=str(UUID(int=n)),
                dense=None if vectors is None else vectors[n],
                sparse=SparseVector((n,), (1 / 3,)),
                payload={"text": "naïve 北京 \u2028", "page": n},
            )
            for n in range(1100)
        ]
    )
    return index


def back_up(file: Path, folder: Path, *, dense: bool = True) -> tuple[BackupReport, list[Point]]:
    with new_index(folder, dense=dense) as index:
        place = folder / index.version.name
        report = write_backup(file, index, folder=place, rows=iter(ROWS))
        return report, [point for page in index.store.scan() for point in page]


@pytest.mark.parametrize("dense", [True, False])
def test_a_backup_holds_every_point_and_row(tmp_path: Path, dense: bool):
    file = tmp_path / "index.tar"
    report, points = back_up(file, tmp_path / "indexes", dense=dense)
    assert (report.points, report.rows, report.size) == (1100, 2, file.stat().st_size)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600, "it holds texts"
    with Backup.open(file) as backup:
        read = [point for page in backup.points() for point in page]
        assert list(backup.rows()) == ROWS
        assert backup.version.name == report.version
    assert len(read) == len(points)
    assert all(same_point(a, b, rounding=0) for a, b in zip(read, points, strict=True))


def test_a_backup_is_never_written_over_nor_left_half(tmp_path: Path):
    file = tmp_path / "index.tar"

    def broken() -> object:
        yield from ROWS
        raise CatalogError("the catalog went away")

    with new_index(tmp_path / "indexes", dense=False) as index:
        folder = tmp_path / "indexes" / index.version.name
        with pytest.raises(CatalogError, match="went away"):
            write_backup(file, index, folder=folder, rows=broken())  # type: ignore[arg-type]
        assert [path.name for path in tmp_path.iterdir()] == ["indexes"]
        file.write_text("mine", encoding="utf-8")
        with pytest.raises(IndexingError, match="never overwritten"):
            write_backup(file, index, folder=folder, rows=ROWS)
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    back_up(folder / "index.tar", folder / "indexes")
    return folder / "index.tar"


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        streams = {member.name: tar.extractfile(member) for member in tar}
        return {name: stream.read() for name, stream in streams.items() if stream is not None}


def rewrite(file: Path, held: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as tar:
        for name, content in held.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20_000])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[700] ^= 1
    file.write_bytes(content)


def drop(file: Path) -> None:
    rewrite(file, {n: c for n, c in members(file).items() if n != "points/000001.npy"})


def newer(file: Path) -> None:
    held = members(file)
    manifest = json.loads(held["manifest.json"]) | {"format": 2}
    rewrite(file, held | {"manifest.json": json.dumps(manifest).encode()})


def lead_out(file: Path) -> None:
    held = members(file)
    manifest = json.loads(held["manifest.json"])
    with tarfile.open(file, "w") as tar:
        link = tarfile.TarInfo("points/000000.jsonl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        member = tarfile.TarInfo("manifest.json")
        content = json.dumps(manifest | {"members": {link.name: "0" * 64}}).encode()
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut, "must be a complete backup"),
        (flip, "must have the checksum"),
        (drop, "points/000001.npy can't be read"),
        (newer, "must be a backup of format 1; got 2"),
        (lead_out, "must be a plain file"),
        (lambda file: file.write_text("no tar", encoding="utf-8"), "must be a backup"),
        (lambda file: rewrite(file, {"manifest.json": b"[]"}), "must describe a backup"),
        (lambda file: rewrite(file, {}), "must be a complete backup; manifest.json"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(
    good: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str
):
    file = tmp_path / "index.tar"
    shutil.copy(good, file)
    spoil(file)
    with pytest.raises(IndexingError, match=says):
        Backup.open(file)


def test_rows_of_a_catalog_come_back_under_another_version(tmp_path: Path):
    with Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}") as catalog:
        catalog.rows(version="a").write(ROWS)
        catalog.rows(version="b").copy_from("a")
        assert list(catalog.rows(version="b").read()) == ROWS
        with pytest.raises(CatalogError, match="must be of this version of Argot"):
            catalog.rows(version="b").write([*ROWS, ("cursors", {"source": "x"})])
        with pytest.raises(CatalogError, match="got one of 'users'"):
            catalog.rows(version="b").write([("users", {})])
        assert list(catalog.rows(version="b").read()) == ROWS, "all of it or nothing"
