"""Access lists on the searcher: fail closed."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from encoder.fake import HashingEncoder
from indexing.filters import And, AnyOf, Condition, Eq, Not, Or
from indexing.stores.base import ScoredPoint
from retriever.access import PUBLIC, AccessSettings, visible_where
from retriever.errors import MissingPrincipalError, TenantError
from retriever.results import Hit
from retriever.search import Searcher
from retriever.settings import Mode

QUERY = "leave bonus note secret"
EVERYTHING = Or((Eq("source", "handbook"), Not(Eq("source", "handbook"))))


def documents(hits: list[Hit]) -> set[str]:
    return {hit.document_id for hit in hits}


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
@pytest.mark.parametrize("principals", [None, [], ()])
@pytest.mark.parametrize("query", [QUERY, ""])
def test_a_query_of_nobody_is_an_error(
    protected_searcher: Searcher,
    mode: Mode,
    principals: Sequence[str] | None,
    query: str,
):
    with pytest.raises(MissingPrincipalError, match=r"^chunks of this index have access lists"):
        protected_searcher.search(query, mode=mode, principals=principals)
    with pytest.raises(MissingPrincipalError):
        protected_searcher.rank_documents([query], mode=mode, principals=principals)


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
@pytest.mark.parametrize("where", [None, EVERYTHING, Eq("document_id", "bonus")])
def test_a_stranger_sees_public_chunks_only(
    protected_searcher: Searcher,
    mode: Mode,
    where: Condition | None,
):
    stranger = ["user:stranger", "group:all"]
    hits = protected_searcher.search(QUERY, mode=mode, where=where, principals=stranger)
    ranked = protected_searcher.rank_documents(
        [QUERY], mode=mode, where=where, principals=stranger
    )[0]

    assert documents(hits) <= {"leave", "pay", "parking", "travel"}
    assert documents(hits) == {id_ for id_, _ in ranked}


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
def test_a_member_sees_the_chunks_of_the_group_and_nobody_those_of_nobody(
    protected_searcher: Searcher,
    mode: Mode,
):
    hits = protected_searcher.search(QUERY, mode=mode, principals=["user:x", "group:board"])

    assert "bonus" in documents(hits)
    assert "nobody" not in documents(hits)


def test_who_asked_is_not_in_the_results(protected_searcher: Searcher):
    hits = protected_searcher.search(QUERY, principals=["group:board"])

    assert all("board" not in repr(hit.explanation) for hit in hits)


def test_principals_change_nothing_on_an_index_without_access_lists(searcher: Searcher):
    assert searcher.search(QUERY, principals=["user:x"]) == searcher.search(QUERY)


def test_a_chunk_that_does_not_say_whether_it_is_public_is_hidden(
    make_searcher: Callable[..., Searcher], encoder: HashingEncoder
):
    unmarked = {"document_id": "x", "text": "leave", "protected": None}
    searcher = make_searcher([unmarked], indexed_with=encoder, dense=encoder)

    with pytest.raises(MissingPrincipalError):
        searcher.search("leave")
    assert searcher.search("leave", principals=["user:x"]) == []


def test_a_tenant_field_must_be_one_that_chunks_have():
    assert AccessSettings(tenant_field="metadata.tenant").tenant_field == "metadata.tenant"
    with pytest.raises(ValueError, match=r"written `metadata\.tenant`"):
        AccessSettings(tenant_field="tenant")


def test_a_tenant_narrows_before_the_callers_filter(searcher: Searcher):
    store = searcher._index.store
    where = Or((Eq("metadata.tenant", "rival"), Eq("source", "handbook")))
    access = AccessSettings(tenant_field="metadata.tenant")

    narrowed = visible_where(store, where=where, principals=["tenant:acme"], access=access)

    assert narrowed == And(
        (
            Or((PUBLIC, AnyOf("access", ("tenant:acme",)))),
            And((Eq("metadata.tenant", "acme"), where)),
        )
    )


@pytest.mark.parametrize(
    ("principals", "got"),
    [
        (None, "got none"),
        (["user:eve"], "got none"),
        (["tenant:"], "got tenant:"),
        (["tenant:a", "tenant:b"], "got tenant:a, tenant:b"),
    ],
)
def test_anything_but_one_tenant_is_refused(
    searcher: Searcher, principals: list[str] | None, got: str
):
    access = AccessSettings(tenant_field="metadata.tenant")
    with pytest.raises(TenantError, match=got):
        visible_where(searcher._index.store, where=None, principals=principals, access=access)


def test_the_filter_stays_when_nothing_is_protected_yet(searcher: Searcher):
    store = searcher._index.store
    only = Eq("source", "handbook")
    assert visible_where(store, where=None, principals=None) == PUBLIC
    assert visible_where(store, where=only, principals=None) == And((PUBLIC, only))


@pytest.mark.parametrize("options", [{}, {"per_document": 1}, {"mmr": 0.5}, {"k": 2}])
def test_what_is_protected_between_the_search_and_its_reading_is_not_returned(
    make_searcher: Callable[..., Searcher],
    encoder: HashingEncoder,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
):
    plain = {"document_id": "plain", "text": "Leave is thirty days."}
    soon_secret = {"document_id": "soon", "text": "Leave bonus, thirty days of leave."}
    searcher = make_searcher([plain, soon_secret], indexed_with=encoder, dense=encoder)
    store = searcher._index.store
    assert documents(searcher.search("leave", **options)) == {"plain", "soon"}
    search = store.search_sparse

    def protecting(*args: Any, **kwargs: Any) -> list[ScoredPoint]:
        found = search(*args, **kwargs)
        for id_, payload in store.payloads(Eq("document_id", "soon"), limit=9).items():
            store.set_payload({id_: {**payload, "protected": True, "access": ["group:board"]}})
        return found

    monkeypatch.setattr(store, "search_sparse", protecting)
    assert documents(searcher.search("leave", principals=["user:x"], **options)) == {"plain"}
