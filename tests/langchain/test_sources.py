"""LangChain's loaders and text splitters in place of our connectors and chunker."""

import datetime as dt
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from argot.errors import SettingsError
from argot.langchain.sources import LoaderConnector, ingest_loader
from argot.langchain.splitting import SplitterChunker
from argot.project import Project
from argot.settings import load_settings
from connectors.document import Document as SourceDocument
from connectors.document import Heading
from connectors.errors import SourceError
from indexing.errors import DeleteGuardError


class Pages(BaseLoader):
    """Delivers what it is given; an exception among it is raised."""

    def __init__(self, *given: Document | Exception) -> None:
        self.given = given

    def lazy_load(self) -> Iterator[Document]:
        for one in self.given:
            if isinstance(one, Exception):
                raise one
            yield one


class Sentences:
    """Cuts after each full stop, and joins the words of a sentence by one blank."""

    def __init__(self, least: int = 0) -> None:
        self.least = least

    def split_text(self, text: str) -> list[str]:
        return [f"{' '.join(part.split())}." for part in text.split(".") if part.strip()]


LEAVE = Document(
    page_content="Leave is thirty\ndays. It expires. It expires.",
    metadata={"source": "leave.pdf", "title": "Leave", "seen": dt.date(2024, 1, 31)},
)
PAY = Document(page_content="Pay day is the last.", metadata={"source": "pay.pdf"})
SECOND = Document(page_content="A second page.", metadata={"source": "pay.pdf"})


def test_a_loader_is_synced_like_a_source(project: Project):
    first = ingest_loader(project, Pages(LEAVE, PAY, SECOND), name="wiki")
    again = ingest_loader(project, Pages(LEAVE, PAY, SECOND), name="wiki")
    fewer = ingest_loader(project, Pages(LEAVE, PAY), name="wiki")

    assert (first.added, again.kept, again.chunks_embedded, fewer.deleted) == (3, 3, 0, 1)
    with project.retriever(k=9) as retriever:
        found = {d.metadata["document_id"]: d.metadata for d in retriever.invoke("thirty days")}
    assert set(found) == {"leave.pdf", "pay.pdf"}
    assert found["leave.pdf"]["seen"] == "2024-01-31"
    assert found["leave.pdf"]["source"] == "wiki"
    assert found["leave.pdf"]["uri"] == "leave.pdf"


def test_nothing_is_deleted_because_a_loader_failed_or_came_back_empty(project: Project):
    ingest_loader(project, Pages(LEAVE, PAY), name="wiki")

    with pytest.raises(SourceError, match=r"Pages of 'wiki' failed: offline"):
        ingest_loader(project, Pages(LEAVE, ConnectionError("offline")), name="wiki")
    with pytest.raises(DeleteGuardError):
        ingest_loader(project, Pages(), name="wiki")
    with project.retriever() as retriever:
        assert len(retriever.invoke("pay day")) == 2


def test_a_loaders_documents_may_have_access_lists(project: Project):
    report = ingest_loader(
        project,
        Pages(LEAVE, PAY),
        name="wiki",
        protected=True,
        access_of=lambda d: ["group:board"] if d is LEAVE else None,
    )

    assert report.added == 2
    with project.retriever() as retriever:
        config = {"configurable": {"principals": ["group:board"]}}
        found = retriever.invoke("pay day leave", config)  # type: ignore[arg-type]
    assert [d.metadata["document_id"] for d in found] == ["leave.pdf"]


def test_whoever_gives_access_lists_makes_nothing_public_by_leaving_one_out(project: Project):
    lists = {"leave.pdf": None, "pay.pdf": "group:board"}
    report = ingest_loader(
        project,
        Pages(LEAVE, PAY),
        name="wiki",
        access_of=lambda d: lists.get(d.metadata["source"]),  # type: ignore[arg-type, return-value]
    )
    assert [failed.reason for failed in report.failed] == [
        "its access list must be a list of names; got 'group:board'"
    ]
    with project.retriever() as retriever:
        config = {"configurable": {"principals": ["user:eve"]}}
        assert retriever.invoke("pay day leave", config) == []  # type: ignore[arg-type]


def test_an_access_rule_that_fails_is_named_and_makes_nothing_public(project: Project):
    loader = Pages(Document(page_content="secret leave", metadata={"source": "a.md"}))
    report = ingest_loader(project, loader, name="w", access_of=lambda d: d.metadata["who"])
    assert (report.added, "`access_of` failed on it: KeyError('who')" in str(report.failed)) == (
        0,
        True,
    )


def test_one_document_that_can_not_be_read_does_not_stop_the_others(project: Project):
    broken = Document(page_content="x", metadata={"source": "broken", "score": float("nan")})

    report = ingest_loader(project, Pages(broken, PAY), name="wiki")

    assert report.added == 1
    assert [failed.document_id for failed in report.failed] == ["broken"]


def test_a_name_that_is_taken_is_refused(project: Project, tmp_path: Path):
    with pytest.raises(SettingsError, match="'langchain' is one already"):
        ingest_loader(project, Pages(PAY), name="langchain")
    (tmp_path / "argot.toml").write_text("[[sources]]\nname = 'langchain'\npath = '.'\n")
    with pytest.raises(SettingsError, match="must not be 'langchain'"):
        load_settings(tmp_path)


def test_documents_of_one_id_are_numbered():
    changes = list(LoaderConnector("wiki", Pages(PAY, SECOND)).changes(None))

    assert [getattr(change, "document_id", "end") for change in changes] == [
        "pay.pdf",
        "pay.pdf#2",
        "end",
    ]


def test_a_splitter_cuts_in_place_of_our_chunker_and_another_one_cuts_again(project: Project):
    first = ingest_loader(project, Pages(LEAVE), name="wiki", splitter=Sentences())
    same = ingest_loader(project, Pages(LEAVE), name="wiki", splitter=Sentences())
    other = ingest_loader(project, Pages(LEAVE), name="wiki", splitter=Sentences(least=1))

    assert (first.added, same.kept, other.changed) == (1, 1, 1)
    with project.retriever(k=9) as retriever:
        found = retriever.invoke("thirty expires")
    texts = {(d.page_content, *d.metadata["span"]) for d in found}
    assert texts == {
        ("Leave is thirty\ndays.", 0, 21),
        ("It expires.", 22, 33),
        ("It expires.", 34, 45),
    }


def test_chunks_of_a_splitter_know_their_page_and_headings():
    document = SourceDocument(
        id="a",
        text="# One\nFirst text.\n## Two\nSecond text.",
        headings=(Heading(level=1, title="One", start=0), Heading(level=2, title="Two", start=18)),
        page_starts=(0, 18),
    )

    first, second = SplitterChunker(Sentences()).cut(document)

    assert (first.page, first.heading_path) == (1, ("One",))
    assert (second.page, second.heading_path) == (2, ("One", "Two"))


def test_a_splitter_that_writes_texts_of_its_own_is_refused(
    project: Project, caplog: pytest.LogCaptureFixture
):
    class Loud(Sentences):
        def split_text(self, text: str) -> list[str]:
            return [text.upper()]

    with caplog.at_level(logging.WARNING):
        report = ingest_loader(project, Pages(PAY), name="wiki", splitter=Loud())

    assert "must give pieces of the text" in report.failed[0].reason


def test_an_id_that_another_was_numbered_to_is_not_lost(project: Project):
    ids = ["x#2", "x", "x", "x"]
    pages = [Document(page_content=f"giraffe {n}", id=id_) for n, id_ in enumerate(ids)]
    for order in (pages, pages[::-1]):
        changes = LoaderConnector("wiki", Pages(*order)).changes(None)
        named = [change.document_id for change in changes if hasattr(change, "document_id")]
        assert len(set(named)) == 4
    assert ingest_loader(project, Pages(*pages), name="wiki").added == 4
    with project.retriever(k=9) as retriever:
        assert len(retriever.invoke("giraffe")) == 4


def test_a_page_that_a_loader_names_is_the_page_of_its_hits(project: Project):
    pages = [
        Document(page_content=f"giraffe {n}", metadata={"source": "a.pdf", "page": page})
        for n, page in enumerate([0, 6, "vii", True, -1, 10**9])
    ]
    ingest_loader(project, Pages(*pages), name="wiki")
    with project.retriever(k=9) as retriever:
        found = {d.page_content: d.metadata["page"] for d in retriever.invoke("giraffe")}
    assert [found[f"giraffe {n}"] for n in range(6)] == [1, 7, "vii", True, -1, 10**9]
    with project.search_session(mode="sparse") as session:
        hits = {hit.text: hit.page for hit in session.searcher.search("giraffe", k=9)}
    assert [hits[f"giraffe {n}"] for n in range(6)] == [1, 7, None, None, None, None]


REPEATED = (
    "yes " * 60 + "# Leave\n\nDays are thirty.\n\n## Sick\n\nCall.  \nCall.\n\n# Pay\n\nCall."
)


@pytest.mark.parametrize("overlap", [0, 8])
def test_pieces_of_repeated_text_cover_it(overlap: int):
    splitters = pytest.importorskip("langchain_text_splitters")
    splitter = splitters.RecursiveCharacterTextSplitter(chunk_size=24, chunk_overlap=overlap)
    chunks = SplitterChunker(splitter).cut(SourceDocument(id="a", text=REPEATED))
    assert [chunk.text for chunk in chunks] == splitter.split_text(REPEATED)
    if not overlap:
        covered = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
        assert {n for n, letter in enumerate(REPEATED) if letter.strip()} <= covered


def test_splitters_that_give_documents_are_taken(project: Project):
    splitters = pytest.importorskip("langchain_text_splitters")
    levels = [("#", "one"), ("##", "two")]
    page = Document(page_content=REPEATED[240:], metadata={"source": "a.md"})
    for name, splitter in (
        ("whole", splitters.MarkdownHeaderTextSplitter(levels, strip_headers=False)),
        ("bare", splitters.MarkdownHeaderTextSplitter(levels)),
        ("new", splitters.ExperimentalMarkdownSyntaxTextSplitter(levels)),
    ):
        report = ingest_loader(project, Pages(page), name=name, splitter=splitter)
        assert (report.added, report.failed) == (1, ()), name
        with project.retriever(k=9, filter={"source": name}) as retriever:
            texts = [d.page_content for d in retriever.invoke("thirty call leave pay sick")]
        assert sum("thirty" in text for text in texts) == 1
        assert len(texts) == 3


def test_splitters_by_headings_keep_them_and_their_places():
    splitters = pytest.importorskip("langchain_text_splitters")
    text = (
        "# Zorkmid\n\nPay day.\n\n## Notes\n\nOther remarks: None.\n\n"
        "## Exceptions\n\nNone.\n\n## Appeals\n\nNone.\n"
    )
    splitter = splitters.MarkdownHeaderTextSplitter([("#", "h1"), ("##", "h2")])
    chunks = SplitterChunker(splitter).cut(SourceDocument(id="a", title="Rules", text=text))

    assert [text[: chunk.start].splitlines()[-2] for chunk in chunks] == [
        *("# Zorkmid", "## Notes", "## Exceptions", "## Appeals")
    ]
    assert [chunk.heading_path for chunk in chunks] == [
        *(("Zorkmid",), ("Zorkmid", "Notes"), ("Zorkmid", "Exceptions"), ("Zorkmid", "Appeals"))
    ]
    assert chunks[1].context == "Rules > Zorkmid > Notes"
    assert chunks[1].encoded_text.startswith("Rules > Zorkmid > Notes\nOther")
