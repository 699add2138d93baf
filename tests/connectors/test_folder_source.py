"""The folder source beyond the conformance suite: what is listed, what is refused, what is safe."""

import os
import unicodedata
from pathlib import Path

import pytest

from connectors.base import Complete, Failed, Upsert
from connectors.document import Document
from connectors.errors import DocumentError, SourceError
from connectors.filesystem import FolderConnector


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Text of {name}.")


def listed(connector: FolderConnector) -> list[str]:
    return [change.document_id for change in connector.changes(None) if isinstance(change, Upsert)]


def failures(connector: FolderConnector) -> dict[str, str]:
    changes = connector.changes(None)
    return {change.document_id: change.reason for change in changes if isinstance(change, Failed)}


def load(connector: FolderConnector, document_id: str) -> Document:
    upserts = [change for change in connector.changes(None) if isinstance(change, Upsert)]
    return next(change for change in upserts if change.document_id == document_id).load()


def test_documents_are_listed_in_sorted_order_by_posix_path(tmp_path: Path) -> None:
    write(tmp_path, "b.md", "a/z.txt", "a/b/c.html", "A.txt", "c/d.htm")
    assert listed(FolderConnector("s", tmp_path)) == [
        "A.txt", "b.md", "a/z.txt", "a/b/c.html", "c/d.htm",
    ]  # fmt: skip


def test_other_kinds_of_files_are_ignored_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "b.xlsx", "sub/c.XLSX", "Makefile")
    connector = FolderConnector("s", tmp_path)
    assert listed(connector) == ["a.txt"]
    assert connector.ignored == {".xlsx": 2, "no extension": 1}


def test_hidden_files_and_office_lock_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, ".secret.txt", ".git/config.txt", "~$report.docx", "seen.txt")
    connector = FolderConnector("s", tmp_path)
    assert listed(connector) == ["seen.txt"]
    assert connector.ignored == {}


def test_links_are_followed_only_to_files_inside_the_root(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    write(outside, "secret.txt")
    write(root, "real.txt", ".hidden.txt", "sub/inner.txt")
    (root / "inside.txt").symlink_to(root / "real.txt")
    (root / "escape.txt").symlink_to(outside / "secret.txt")
    (root / "unhidden.txt").symlink_to(root / ".hidden.txt")
    (root / "dangling.txt").symlink_to(root / "nothing.txt")
    (root / "loop.txt").symlink_to(root / "loop.txt")
    (root / "folder").symlink_to(outside, target_is_directory=True)
    (root / "sub" / "up").symlink_to(root, target_is_directory=True)
    connector = FolderConnector("s", root)
    assert listed(connector) == ["inside.txt", "real.txt", "sub/inner.txt"]
    assert connector.ignored == {"link": 6}


def test_a_file_swapped_for_a_link_out_of_the_root_is_not_read(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside.txt", tmp_path / "root"
    write(root, "a.txt")
    (upsert, _) = FolderConnector("s", root).changes(None)
    (root / "a.txt").rename(outside)
    (root / "a.txt").symlink_to(outside)
    assert isinstance(upsert, Upsert)
    with pytest.raises(DocumentError, match="link out of the source"):
        upsert.load()


def test_include_and_exclude_patterns_choose_files(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "a.txt", "docs/b.md", "docs/drafts/c.md", "docs/deep/er/d.md")
    included = FolderConnector("s", tmp_path, include=["*.md"], exclude=["drafts"])
    assert listed(included) == ["a.md", "docs/b.md", "docs/deep/er/d.md"]
    assert listed(FolderConnector("s", tmp_path, include=["docs/*.md"])) == ["docs/b.md"]
    assert listed(FolderConnector("s", tmp_path, exclude=["docs"])) == ["a.md", "a.txt"]


def test_a_missing_root_raises_and_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        list(FolderConnector("s", tmp_path / "nowhere").changes(None))


def test_a_root_that_is_a_file_raises(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    with pytest.raises(SourceError, match="is a file"):
        list(FolderConnector("s", tmp_path / "a.txt").changes(None))


def test_a_root_replaced_while_it_is_listed_raises_instead_of_completing(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, "a.txt", "b.txt")
    changes = FolderConnector("s", root).changes(None)
    next(changes)
    root.rename(tmp_path / "moved")
    root.mkdir()
    with pytest.raises(SourceError, match="replaced"):
        list(changes)


def forbid_listing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make one folder unlistable, also for root, whom permissions do not stop."""
    scandir = os.scandir

    def guarded(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)


def test_an_unlistable_folder_fails_and_withholds_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.txt", "closed/b.txt", "open/c.txt")
    forbid_listing(monkeypatch, tmp_path / "closed")
    changes = list(FolderConnector("s", tmp_path).changes(None))
    assert [change.document_id for change in changes if isinstance(change, Upsert)] == [
        "a.txt", "open/c.txt",
    ]  # fmt: skip
    assert [change.document_id for change in changes if isinstance(change, Failed)] == ["closed"]
    assert not any(isinstance(change, Complete) for change in changes)


def test_an_unlistable_folder_that_is_excluded_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.txt", "closed/b.txt")
    forbid_listing(monkeypatch, tmp_path / "closed")
    changes = list(FolderConnector("s", tmp_path, exclude=["closed"]).changes(None))
    assert isinstance(changes[-1], Complete)


def test_an_unlistable_root_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_listing(monkeypatch, tmp_path)
    with pytest.raises(SourceError, match="Permission denied"):
        list(FolderConnector("s", tmp_path).changes(None))


def test_a_name_that_is_not_utf8_fails_under_a_readable_id(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("coffee")
    reasons = failures(FolderConnector("s", tmp_path))
    assert list(reasons) == ["caf\\xe9.txt"]
    assert "not UTF-8" in reasons["caf\\xe9.txt"]


def test_ids_are_nfc_and_two_spellings_of_one_name_do_not_collide(tmp_path: Path) -> None:
    composed = "caf\u00e9.txt"
    decomposed = unicodedata.normalize("NFD", composed)
    write(tmp_path, decomposed)
    assert listed(FolderConnector("s", tmp_path)) == [composed]
    write(tmp_path, composed)
    connector = FolderConnector("s", tmp_path)
    assert listed(connector) == [composed]
    assert "other code points" in "".join(failures(connector).values())


def test_a_file_changed_after_listing_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    (upsert, _) = FolderConnector("s", tmp_path).changes(None)
    (tmp_path / "a.txt").write_text("Quite another text than before.")
    assert isinstance(upsert, Upsert)
    with pytest.raises(DocumentError, match="changed since it was listed"):
        upsert.load()


def test_a_file_gone_after_listing_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    (upsert, _) = FolderConnector("s", tmp_path).changes(None)
    (tmp_path / "a.txt").unlink()
    assert isinstance(upsert, Upsert)
    with pytest.raises(DocumentError, match="gone since it was listed"):
        upsert.load()


def test_a_named_pipe_with_a_document_name_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    connector = FolderConnector("s", tmp_path)
    assert listed(connector) == []
    assert connector.ignored == {"special file": 1}


def test_a_file_over_the_limit_is_refused_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text("x" * 11)
    with pytest.raises(DocumentError, match=r"11 bytes.*`max_file_bytes` of 10"):
        load(FolderConnector("s", tmp_path, max_file_bytes=10), "big.txt")


def test_a_document_without_a_title_is_called_like_its_file(tmp_path: Path) -> None:
    write(tmp_path, "Leave policy 2026.txt")
    document = load(FolderConnector("s", tmp_path), "Leave policy 2026.txt")
    assert document.title == "Leave policy 2026"
    assert document.uri == (tmp_path.resolve() / "Leave policy 2026.txt").as_uri()
    assert document.metadata == {"format": "txt"}
    assert document.access is None


def test_the_limit_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`max_file_bytes` must be at least 1; got 0"):
        FolderConnector("s", tmp_path, max_file_bytes=0)
