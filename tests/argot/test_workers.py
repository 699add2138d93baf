"""Several `argot ingest` that share a catalog take different sources."""

from pathlib import Path
from typing import Any

import pytest

from argot.ingestion import connect, sync_all
from connectors.registry import SourceSettings
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.catalog.catalog import Catalog
from indexing.chunks.tokens import WordTokenizer
from indexing.stores.base import CollectionSpec
from indexing.stores.edge import EdgeStore
from indexing.sync.options import SyncOptions
from indexing.sync.target import Target

VERSION = "docs-0001"


def test_a_worker_leaves_alone_what_another_one_has_or_has_just_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = []
    for name in ("manuals", "notes", "wiki"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.md").write_text(f"A page of {name}.", encoding="utf-8")
        source = SourceSettings(name=name, path=tmp_path / name)
        sources.append((source, connect(source)))
    with (
        EdgeStore.create(tmp_path / "index", spec=CollectionSpec(dimensions=None)) as store,
        Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}") as catalog,
    ):
        target = Target(
            version=VERSION, store=store, tokenizer=WordTokenizer(),
            sparse=Bm25Encoder(Bm25Settings()),
        )  # fmt: skip
        common: dict[str, Any] = {
            "catalog": catalog, "target": target, "options": SyncOptions(), "progress": None,
        }  # fmt: skip
        anns, bobs = catalog.leases(), catalog.leases()
        with bobs.take("manuals", version=VERSION) or pytest.fail("it was free"):
            reports = sync_all(sources, **common, leases=anns)
        assert [report.added for report in reports] == [1, 1]
        held = {summary.source for summary in catalog.summary(version=VERSION)}
        assert held == {"notes", "wiki"}
        # Ann began before Bob's run, and comes to the source when he has done it.
        began = catalog.newest_run()
        monkeypatch.setattr(catalog, "newest_run", lambda: began)
        sync_all(sources[:1], **common, leases=bobs)
        assert sync_all(sources[:1], **common, leases=anns) == []
        assert all(anns.owner_of(source.name, version=VERSION) is None for source, _ in sources)
