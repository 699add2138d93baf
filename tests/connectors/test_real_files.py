"""Real files of all five formats: broken, encrypted, scanned, oddly encoded and plain."""

import time
from collections import Counter
from pathlib import Path

import pytest

from connectors.base import Complete, Failed, Upsert
from connectors.conformance import check_document
from connectors.errors import DocumentError
from connectors.filesystem import FolderConnector

MAX_SECONDS_PER_FILE = 20


@pytest.mark.slow
@pytest.mark.parametrize("collection", ["zoo", "docs"])
def test_every_real_file_gives_a_document_or_a_readable_reason(
    shared_data: Path, collection: str
) -> None:
    root = shared_data / collection
    if not root.is_dir():
        pytest.skip(f"needs real files in {root}")
    counts: Counter[str] = Counter()
    changes = list(FolderConnector("real", root).changes(None))
    assert isinstance(changes[-1], Complete)
    assert not [change for change in changes if isinstance(change, Failed)]
    for change in changes:
        if not isinstance(change, Upsert):
            continue
        started = time.perf_counter()
        try:
            check_document(change.load(), document_id=change.document_id)
            counts["documents"] += 1
        except DocumentError as exc:
            counts["refused"] += 1
            assert 10 < len(str(exc)) < 300, f"{change.document_id}: {exc}"  # noqa: PT017
        assert time.perf_counter() - started < MAX_SECONDS_PER_FILE, change.document_id
    assert counts["documents"] > 4 * counts["refused"], counts
