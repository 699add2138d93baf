"""A search that stays open goes by what is live: its documents, and who may see them."""

import json
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from argot import ArgotRetriever, Project
from argot.live_watch import ASK_SERVER_SECONDS, LiveWatch
from argot.searching import OpenSearch, open_search
from argot.stages import Stages
from encoder.base import DenseEncoder
from encoder.fake import HashingEncoder
from indexing.errors import NoIndexError, StoreError
from indexing.published.copies import readers_of
from indexing.stores.server_settings import ServerSettings
from indexing.sync.options import SyncOptions
from indexing.versions.description import IndexVersion, live_version, set_live
from retriever.access import NO_TENANTS
from retriever.errors import MissingPrincipalError
from retriever.settings import SearchSettings

if TYPE_CHECKING:
    from fake_qdrant import FakeQdrant

SALARY = "The salary of directors."
WORDS = SearchSettings(mode="sparse")
VECTORS = SearchSettings(mode="dense")


class QuickProject(Project):
    """Parses its documents in this process."""

    def _options(self, *arguments: Any, **options: Any) -> SyncOptions:
        return replace(super()._options(*arguments, **options), parse_processes=0)


def ingest(root: Path, *, rebuild: bool = False, width: int = 64) -> None:
    project = QuickProject.open(root)
    project.encoder = HashingEncoder(width)
    assert not project.ingest(rebuild=rebuild).failed


def fill(root: Path, *, rebuild: bool = False, protected: bool = True, **fields: Any) -> str:
    """Write the one document and ingest it; returns the live version."""
    root.mkdir(exist_ok=True)
    said = f"[[sources]]\nname = 'all'\npath = 'all.jsonl'\nprotected = {str(protected).lower()}\n"
    (root / "argot.toml").write_text(said, encoding="utf-8")
    (root / "all.jsonl").write_text(json.dumps({"_id": "a", "text": SALARY, **fields}))
    ingest(root, rebuild=rebuild)
    return live(root)


def fill_with(root: Path, *, width: int) -> str:
    """Let a version of another encoder go live."""
    ingest(root, rebuild=True, width=width)
    return live(root)


def live(root: Path) -> str:
    name = live_version(Project.open(root).paths.indexes)
    assert name is not None
    return name


class Loading:
    """Loads encoders, as slowly as a test wants, and counts."""

    def __init__(self) -> None:
        self.loaded = 0
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()
        self.fails = False

    def __call__(self, version: IndexVersion) -> DenseEncoder | None:
        self.begun.set()
        assert self.may_end.wait(30)
        if self.fails:
            raise OSError("the model is on a disk that fell off")
        self.loaded += 1
        return HashingEncoder(version.dimensions or 0)


def opened(
    root: Path,
    load: Loading | None = None,
    *,
    settings: SearchSettings = VECTORS,
    **options: Any,
) -> OpenSearch:
    paths = Project.open(root).paths
    return open_search(
        paths, settings=settings, access=NO_TENANTS, load_dense=load or Loading(), **options
    )


def found(search: OpenSearch, *principals: str) -> list[str]:
    return [hit.text for hit in search.searcher.search("salary", principals=principals or None)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one document, for everybody."""
    fill(tmp_path / "project", protected=False)
    return tmp_path / "project"


def test_what_a_rebuild_protects_is_hidden_from_a_retriever_that_stays_open(root: Path):
    with ArgotRetriever.from_project(root, mode="sparse") as retriever:
        assert [document.page_content for document in retriever.invoke("salary")] == [SALARY]
        fill(root, rebuild=True, access=["group:board"])
        with pytest.raises(MissingPrincipalError):
            retriever.invoke("salary")
        board: Any = {"configurable": {"principals": ["group:board"]}}
        assert retriever.invoke("salary", board)


def test_an_open_project_is_taken_as_its_folder_is(root: Path):
    project = Project.open(root)
    with (
        ArgotRetriever.from_project(project, mode="sparse") as one,
        ArgotRetriever.from_projects([project], mode="sparse") as several,
    ):
        assert [document.page_content for document in one.invoke("salary")] == [SALARY]
        assert [document.page_content for document in several.invoke("salary")] == [SALARY]


async def test_whoever_a_rebuild_takes_a_document_from_finds_it_no_more(root: Path):
    fill(root, access=["user:x", "user:y"])
    with opened(root) as search:
        assert found(search, "user:x") == [SALARY]
        fill(root, rebuild=True, access=["user:y"])
        assert await search.searcher.search_async("salary", principals=["user:x"]) == []
        assert found(search, "user:y") == [SALARY]


def test_every_way_to_read_moves_to_the_live_version(root: Path):
    fill(root, access=["user:x"])
    for read in (
        lambda searcher: searcher.rank_documents(["salary"], principals=["user:x"])[0],
        lambda searcher: searcher.search_vector([1.0] + [0.0] * 63, principals=["user:x"]),
    ):
        fill(root, rebuild=True, access=["user:x"])
        with opened(root) as search:
            assert read(search.searcher)
            fill(root, rebuild=True, access=["user:y"])
            assert read(search.searcher) == []


def test_a_version_of_the_same_encoder_is_moved_to_without_loading_it(root: Path):
    load = Loading()
    with opened(root, load) as search:
        first = search.searcher.version_name
        second = fill(root, rebuild=True, protected=False)
        assert found(search) == [SALARY]
        assert search.searcher.version_name == second != first
        assert load.loaded == 1
        assert not search.refresh()
        assert readers_of(Project.open(root).paths.indexes, first) == []


def test_a_version_of_another_encoder_is_moved_to_by_the_search_that_finds_it(root: Path):
    load = Loading()
    with opened(root, load) as search:
        first = search.searcher.version_name
        second = fill_with(root, width=128)
        assert found(search) == [SALARY]
        assert found(search) == [SALARY]
        assert (search.searcher.version_name, load.loaded) == (second, 2)
        indexes = Project.open(root).paths.indexes
        assert readers_of(indexes, first) == []
        assert len(readers_of(indexes, second)) == 1


def test_while_the_live_versions_encoder_cant_be_loaded_searches_are_errors(root: Path):
    load = Loading()
    with opened(root, load) as search:
        first = search.searcher.version_name
        second = fill_with(root, width=128)
        load.fails = True
        with pytest.raises(OSError, match="fell off"):
            found(search)
        load.fails = False
        with pytest.raises(OSError, match="fell off"):
            found(search)  # not loaded in vain for every search
        indexes = Project.open(root).paths.indexes
        assert search.searcher.version_name == first
        assert len(readers_of(indexes, first)) == 1
        assert readers_of(indexes, second) == []
        assert search.refresh()
        assert found(search) == [SALARY]
        assert search.searcher.version_name == second


def test_a_search_by_words_moves_whatever_encoder_is_live(root: Path):
    load = Loading()
    with opened(root, load, settings=WORDS) as search:
        second = fill_with(root, width=128)
        assert found(search) == [SALARY]
        assert (search.searcher.version_name, load.loaded) == (second, 0)


def test_a_version_that_was_removed_is_read_no_more(root: Path):
    with opened(root) as search:
        first = search.searcher.version_name
        second = fill(root, rebuild=True, protected=False)
        shutil.rmtree(Project.open(root).paths.indexes / first)
        assert found(search) == [SALARY]
        assert search.searcher.version_name == second


def test_where_nothing_is_live_any_more_nothing_is_found(root: Path):
    with opened(root) as search:
        shutil.rmtree(Project.open(root).paths.indexes)
        with pytest.raises(NoIndexError):
            found(search)


def test_the_way_back_is_followed_too(root: Path):
    first = live(root)
    second = fill(root, rebuild=True, access=["group:board"])
    with opened(root) as search:
        assert found(search, "group:board") == [SALARY]
        set_live(Project.open(root).paths.indexes, first)
        assert found(search) == [SALARY]
        set_live(Project.open(root).paths.indexes, second)
        with pytest.raises(MissingPrincipalError):
            found(search)


def test_one_that_does_not_follow_stays_with_its_version(root: Path):
    with opened(root, follow=False) as search:
        first = search.searcher.version_name
        fill(root, rebuild=True, access=["group:board"])
        assert found(search) == [SALARY]
        assert search.searcher.version_name == first
        assert search.refresh()
        with pytest.raises(MissingPrincipalError):
            found(search)


def test_a_closed_search_is_not_opened_again(root: Path):
    first = live(root)
    indexes = Project.open(root).paths.indexes
    for follow in (True, False):
        search = opened(root, follow=follow)
        search.close()
        search.close()
        with pytest.raises(StoreError, match="closed"):
            found(search)
        with pytest.raises(StoreError, match=r"was closed\nhint: open the project again"):
            search.refresh()
    fill(root, rebuild=True, protected=False)
    for attempt in (search.refresh, lambda: found(search)):
        with pytest.raises(StoreError, match="closed"):
            attempt()
    assert readers_of(indexes, first) == readers_of(indexes, live(root)) == []


def test_a_search_waits_for_a_refresh_and_answers_from_what_it_opens(root: Path):
    load = Loading()
    with opened(root, load) as search, ThreadPoolExecutor(3) as threads:
        second = fill_with(root, width=128)
        load.begun.clear()
        load.may_end.clear()
        refreshed = [threads.submit(search.refresh) for _ in range(2)]
        assert load.begun.wait(30)
        asked = threads.submit(found, search)
        load.may_end.set()
        assert asked.result(30) == [SALARY]
        assert sorted(each.result(30) for each in refreshed) == [False, True]
        assert (search.searcher.version_name, load.loaded) == (second, 2)


def test_one_that_does_not_follow_answers_while_it_is_refreshed(root: Path):
    load = Loading()
    with opened(root, load, follow=False) as search, ThreadPoolExecutor(1) as threads:
        fill_with(root, width=128)
        load.begun.clear()
        load.may_end.clear()
        refreshed = threads.submit(search.refresh)
        assert load.begun.wait(30)
        assert found(search) == [SALARY]
        load.may_end.set()
        assert refreshed.result(30)


def test_closing_ends_a_refresh_and_leaves_nothing_open(root: Path):
    load = Loading()
    search = opened(root, load)
    second = fill_with(root, width=128)
    load.begun.clear()
    load.may_end.clear()
    with ThreadPoolExecutor(1) as threads:
        refreshed = threads.submit(search.refresh)
        assert load.begun.wait(30)
        search.close()
        load.may_end.set()
        with pytest.raises(StoreError, match="closed"):
            refreshed.result(30)
    indexes = Project.open(root).paths.indexes
    assert readers_of(indexes, second) == []


def test_a_refresh_that_fails_changes_nothing(root: Path):
    load = Loading()
    searched: list[Any] = []

    def stages_for(asked: Any) -> Stages:
        searched.append(asked)
        return Stages()

    with opened(root, load, follow=False, stages_for=stages_for) as search:
        first = search.searcher.version_name
        second = fill_with(root, width=128)
        load.fails = True
        with pytest.raises(OSError, match="fell off"):
            search.refresh()
        version, dense = searched[0]()
        assert (version.name, dense.dimensions) == (first, 64)
        assert found(search) == [SALARY]
        assert search.searcher.version_name == first
        load.fails = False
        assert search.refresh()
        version, dense = searched[0]()
        assert (version.name, dense.dimensions) == (second, 128)
        assert found(search) == [SALARY]


class Ingesting:
    """A reranker during whose work something happens; it keeps the order."""

    name = "slow"

    def __init__(self) -> None:
        self.searched: Any = None
        self.during: Any = lambda: None
        self.versions: list[str] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        del query
        self.during()
        self.versions.append(self.searched()[0].name)
        return [1.0 - place / 10 for place in range(len(texts))]


def test_what_stands_around_a_hit_is_of_the_state_that_was_searched(tmp_path: Path):
    root = tmp_path

    def fill_anew(state: str) -> None:
        parts = [f"{f'{state} ' * 20}part {n} on salaries." for n in range(3)]
        (root / "docs" / "a.md").write_text("\n\n".join(parts))
        ingest(root)

    (root / "docs").mkdir()
    (root / "argot.toml").write_text(
        "[chunks]\nchunk_tokens = 32\noverlap_tokens = 0\n"
        "[[sources]]\nname = 'docs'\npath = 'docs'\n"
    )
    fill_anew("old")
    slow = Ingesting()

    def stages_for(searched: Any) -> Stages:
        slow.searched = searched
        return Stages({"slow": slow})

    settings = replace(WORDS, rerank="slow", neighbours=1, k=1)
    with opened(root, settings=settings, stages_for=stages_for) as search:
        slow.during = lambda: fill_anew("new")
        for state in ("old", "new"):
            (hit,) = search.searcher.search("part salaries", where={"source": "docs"})
            around = (*hit.before, *hit.after)
            assert around
            assert all(state in text for text in (hit.text, *(part.text for part in around)))
            slow.during = lambda: None


def test_stages_are_told_the_version_that_a_search_moved_to(root: Path):
    slow = Ingesting()

    def stages_for(searched: Any) -> Stages:
        slow.searched = searched
        return Stages({"slow": slow})

    settings = replace(VECTORS, rerank="slow")
    with opened(root, settings=settings, stages_for=stages_for) as search:
        second = fill(root, rebuild=True, protected=False)
        assert found(search) == [SALARY]
        assert slow.versions == [second]


def test_a_machine_that_only_searches_follows_the_server(
    root: Path, server: "FakeQdrant", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("ARGOT_INDEX__URL", server.url)
    first = fill(root, rebuild=True, protected=False)
    settings = ServerSettings(url=server.url)
    only = tmp_path / "only"
    only.mkdir()
    (only / "argot.toml").write_text("", encoding="utf-8")
    seconds = [100.0]
    watch = LiveWatch(only / ".argot", server=settings, clock=lambda: seconds[0])
    assert watch.is_live(first)
    with opened(only, server=settings) as search:
        assert found(search) == [SALARY]
        second = fill(root, rebuild=True, access=["group:board"])
        assert watch.is_live(first)
        seconds[0] += ASK_SERVER_SECONDS
        assert watch.is_live(second)
        assert not watch.is_live(first)
        assert search.refresh()
        with pytest.raises(MissingPrincipalError):
            found(search)
