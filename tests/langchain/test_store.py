"""The vector store beyond LangChain's own suite."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, index

from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from argot.settings import FILE
from encoder.fake import HashingEncoder
from indexing.errors import WrongEncoderError
from retriever.errors import MissingPrincipalError, ModeError, PlanError

if TYPE_CHECKING:
    from fake_qdrant import FakeQdrant

NEAR = ["leave leave days", "leave leave days more", "travel by train"]


ROWS = {"leave": [1.0, 0.0], "leave again": [0.999, 0.045], "both": [0.6, 0.8]}
"""On two axes, leave and travel."""


class Vectors(Embeddings):
    """Knows the texts of `ROWS`."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return ROWS.get(text, [1.0, 0.0])


def ids(documents: Sequence[Document]) -> list[str | None]:
    return [document.id for document in documents]


def test_texts_may_come_from_generators_and_go_under_the_ids_they_are_given(
    store: ArgotVectorStore,
):
    made = store.add_texts(
        (text for text in NEAR), [{"n": n} for n in range(3)], ids=["a", "ü", ""]
    )

    assert made[:2] == ["a", "ü"]
    assert len(made[2]) == 36  # an empty id is none
    assert store.get_by_ids(["missing", "ü", "a", "ü"]) == [
        Document(id="ü", page_content=NEAR[1], metadata={"n": 1}),
        Document(id="a", page_content=NEAR[0], metadata={"n": 0}),
    ]
    with pytest.raises(ValueError, match="`metadatas` must be 2"):
        store.add_texts(["x", "y"], [{}])
    with pytest.raises(ValueError, match="`ids` must be 1"):
        store.add_texts(["x"], ids=["1", "2"])


def test_a_later_document_takes_the_place_of_one_with_its_id(store: ArgotVectorStore):
    store.add_documents([Document(id="1", page_content="old words"), Document(page_content="x")])
    store.add_documents(
        [Document(id="1", page_content="mid"), Document(id="1", page_content="new words")]
    )

    assert [d.page_content for d in store.get_by_ids(["1"])] == ["new words"]
    assert len(store.similarity_search("words", k=9)) == 2


def test_writers_in_several_threads_and_stores_wait_for_one_another(project: Project):
    stores = [ArgotVectorStore(project) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        written = [
            pool.submit(store.add_texts, [f"{place} {n}"], ids=[f"{place} {n}"])
            for n in range(3)
            for place, store in enumerate(stores)
        ]
    ids = [id_ for one in written for id_ in one.result()]
    with stores[0]:
        assert len(stores[0].get_by_ids(ids)) == 12


def test_lambda_one_is_relevance_and_zero_is_difference(project: Project):
    with ArgotVectorStore(project, embedding=Vectors()) as store:
        names = list(ROWS)
        store.add_texts(names, ids=names)

        def found(weight: float, **more: Any) -> list[str | None]:
            return ids(store.max_marginal_relevance_search("leave", 2, 9, weight, **more))

        assert found(1.0, mode="dense") == ["leave", "leave again"]
        assert found(0.0, mode="dense") == ["leave", "both"]
        by_vector = store.max_marginal_relevance_search_by_vector([1.0, 0.0], 2, 9, 0.0)
        assert ids(by_vector) == ["leave", "both"]


def test_relevance_is_between_zero_and_one_and_cuts_off_at_a_threshold(project: Project):
    with ArgotVectorStore(project, embedding=Vectors()) as store:
        names = list(ROWS)
        store.add_texts(names, ids=names)

        scored = store.similarity_search_with_relevance_scores("leave", k=3)
        assert [round(score, 2) for _, score in scored] == [1.0, 1.0, 0.8]
        retriever = store.as_retriever(
            search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.9}
        )
        assert ids(retriever.invoke("leave")) == ["leave", "leave again"]
        for said in ({"mode": "sparse"}, {"rerank": "x"}, {"expand": "x"}, {"rescore": False}):
            with pytest.raises(
                PlanError, match=f"a relevance is a cosine, so `{next(iter(said))}`"
            ):
                store.similarity_search_with_relevance_scores("leave", **said)
        same = store.similarity_search_with_relevance_scores("leave", k=3, mode="dense")
        assert same == scored
        narrow = store.as_retriever(search_kwargs={"filter": {"document_id": "leave"}})
        for asked in (narrow, narrow.bind(k=3), narrow.with_config(tags=["x"])):
            assert ids(asked.invoke("leave", filter={"document_id": "both"})) == []
        some = store.as_retriever().bind(filter={"document_id": ["leave", "both"]}, k=5)
        assert ids(some.invoke("leave", filter={"document_id": "leave"})) == ["leave"]
        with pytest.raises(ValueError, match="`fetch_k` must be a whole number >= 1"):
            store.max_marginal_relevance_search("leave", fetch_k=0)
        with pytest.raises(TypeError, match="takes `lambda_mult` in place of `mmr`"):
            store.max_marginal_relevance_search_by_vector([1.0, 0.0], mmr=0.5)
        diverse = store.as_retriever(search_type="mmr", search_kwargs={"lambda_mult": 0.0, "k": 2})
        assert ids(diverse.invoke("leave", mode="dense")) == ["leave", "both"]


def test_words_alone_have_no_relevance_that_means_the_same_for_every_query(tmp_path: Path):
    with ArgotVectorStore.from_texts(NEAR, path=tmp_path / "new") as store:
        assert (tmp_path / "new" / FILE).is_file()
        assert store.embeddings is None
        assert store.similarity_search("train", k=1)[0].page_content == NEAR[2]
        with pytest.raises(ModeError, match="built without an encoder"):
            store.similarity_search_with_relevance_scores("train")


async def test_every_asynchronous_method_finds_what_its_twin_does(store: ArgotVectorStore):
    added = await store.aadd_texts(NEAR, ids=["a", "b", "c"])
    vector = HashingEncoder(64).encode_queries(["leave"])[0].tolist()

    assert added == ["a", "b", "c"]
    for name, arguments in (
        ("similarity_search", ("leave", 2)),
        ("similarity_search_with_score", ("leave", 2)),
        ("similarity_search_by_vector", (vector, 2)),
        ("similarity_search_with_relevance_scores", ("leave", 2)),
        ("max_marginal_relevance_search", ("leave", 2)),
        ("max_marginal_relevance_search_by_vector", (vector, 2)),
        ("get_by_ids", (["b", "a"],)),
    ):
        assert await getattr(store, f"a{name}")(*arguments) == getattr(store, name)(*arguments)
    many = await asyncio.gather(*(store.asimilarity_search("leave", 1) for _ in range(20)))
    assert {ids(found)[0] for found in many} == {"a"}
    assert await store.adelete(["a"])
    assert await store.aget_by_ids(["a", "b"]) == store.get_by_ids(["b"])


def test_no_argument_is_dropped(store: ArgotVectorStore):
    store.add_texts(NEAR)
    calls = (
        lambda: store.similarity_search("leave", filters={"source": "x"}),
        lambda: store.add_texts(["x"], metadata={}),
        lambda: store.delete(["x"], where={}),
        lambda: store.as_retriever().invoke("leave", principals=["group:board"]),
        lambda: store.get_by_ids(["x"], filter={}),  # type: ignore[call-arg]
    )
    for call in calls:
        with pytest.raises(TypeError):
            call()
    with pytest.raises((TypeError, ValueError), match="principals"):
        store.as_retriever(search_kwargs={"principals": ["group:board"]})
    with pytest.raises(ValueError, match="`ids` must name"):
        store.delete()


def test_a_filter_of_invoke_narrows_that_of_the_retriever(store: ArgotVectorStore):
    store.add_texts(NEAR, [{"n": n} for n in range(3)], ids=["a", "b", "c"])
    retriever = store.as_retriever(search_kwargs={"filter": {"metadata.n": [0, 1]}})

    assert ids(retriever.invoke("leave")) == ["a", "b"]
    assert ids(retriever.invoke("leave", filter={"metadata.n": [1, 2]})) == ["b"]


def test_documents_for_some_are_found_by_them_alone(store: ArgotVectorStore):
    store.add_texts(["open leave"], ids=["open"])
    store.add_texts(["secret leave"], ids=["secret"], access=["group:board"])

    with pytest.raises(MissingPrincipalError):
        store.similarity_search("leave")
    with pytest.raises(MissingPrincipalError):
        store.get_by_ids(["open"])
    assert ids(store.get_by_ids(["secret", "open"], principals=["user:eve"])) == ["open"]
    found = store.similarity_search("leave", principals=["group:board"])
    assert set(ids(found)) == {"open", "secret"}


def test_a_sync_of_the_sources_leaves_them_alone(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Wings and drag.", encoding="utf-8")
    (tmp_path / FILE).write_text("[[sources]]\nname = 'docs'\npath = 'docs'\n", encoding="utf-8")
    project = Project.open(tmp_path)
    project.ingest()
    with ArgotVectorStore(project) as store:
        store.add_texts(["Notes on wings."], ids=["note"])
        project.ingest()

        assert ids(store.similarity_search("wings")) == ["note"]  # its own documents only
        with project.retriever() as retriever:
            found = {d.metadata["document_id"] for d in retriever.invoke("wings")}
        assert found == {"note", "a.txt"}


def test_other_embeddings_of_the_same_width_are_noticed(project: Project):
    with ArgotVectorStore(project, embedding=DeterministicFakeEmbedding(size=6)) as store:
        store.add_texts(NEAR)
        assert len(store.similarity_search("leave", k=3)) == 3

    class Others(DeterministicFakeEmbedding):
        pass

    Others.__module__ = DeterministicFakeEmbedding.__module__
    with (
        ArgotVectorStore(project, embedding=Others(size=6)) as store,
        pytest.raises(WrongEncoderError),
    ):
        store.add_texts(["x"])


def test_langchains_own_indexing_fills_it_and_empties_it(store: ArgotVectorStore):
    manager = InMemoryRecordManager("test")
    manager.create_schema()
    documents = [Document(page_content=text, metadata={"source": text}) for text in NEAR]

    def run(given: list[Document]) -> dict[str, int]:
        return dict(
            index(
                given,
                manager,
                store,
                cleanup="full",
                source_id_key="source",
                key_encoder="sha256",
            )
        )

    assert run(documents)["num_added"] == 3
    assert run(documents)["num_skipped"] == 3
    assert run(documents[:1])["num_deleted"] == 2
    assert len(store.similarity_search("leave", k=9)) == 1


def test_a_rebuild_of_the_sources_carries_them_over(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Wings and drag.", encoding="utf-8")
    (tmp_path / FILE).write_text("[[sources]]\nname = 'docs'\npath = 'docs'\n", encoding="utf-8")
    project = Project.open(tmp_path)
    project.ingest()
    with ArgotVectorStore(project) as store:
        store.add_texts(["Notes on wings.", "More."], [{"n": 1}, {}], ids=["note", "more"])
        before = project.search_session()
        version = before.searcher.version_name
        before.close()
        (tmp_path / FILE).write_text(
            "[chunks]\nchunk_tokens = 64\noverlap_tokens = 0\n"
            "[[sources]]\nname = 'docs'\npath = 'docs'\n",
            encoding="utf-8",
        )
        Project.open(tmp_path).ingest(rebuild=True)
        store.refresh()

        assert ids(store.similarity_search("wings")) == ["note"]
        assert store.get_by_ids(["note"])[0].metadata == {"n": 1}
    with project.search_session() as after:
        assert after.searcher.version_name != version


def test_it_works_on_a_server_as_in_a_folder(
    tmp_path: Path, server: "FakeQdrant", monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / FILE).write_text("", encoding="utf-8")
    monkeypatch.setenv("ARGOT_INDEX__URL", server.url)
    with ArgotVectorStore(tmp_path, embedding=HashingEncoder(64)) as store:
        store.add_texts(NEAR, ids=["a", "b", "c"])
        store.add_texts(["changed"], ids=["b"])

        assert ids(store.similarity_search("travel", k=1)) == ["c"]
        assert [d.page_content for d in store.get_by_ids(["b", "a"])] == ["changed", NEAR[0]]
        store.delete(["a", "missing"])
        assert store.get_by_ids(["a"]) == []
    (collection,) = server.engine.get_collections().collections
    assert server.engine.count(collection.name).count == 2
