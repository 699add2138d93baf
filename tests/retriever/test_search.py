"""Searching: modes, fusion, filters, explanations."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from encoder.fake import HashingEncoder
from indexing.errors import WrongEncoderError
from indexing.filters import And, AnyOf, Condition, Eq, Not, Or, Range
from retriever import running
from retriever.errors import ModeError
from retriever.results import DenseMatch, SparseMatch
from retriever.search import Searcher
from retriever.settings import Mode, SearchSettings

MakeSearcher = Callable[..., Searcher]
Chunks = list[dict[str, Any]]
QUERY = "how many days of annual leave"


def test_a_hybrid_hit_carries_both_ranks_and_how_they_were_fused(searcher: Searcher):
    hit = searcher.search(QUERY)[0]

    assert hit.dense is not None
    assert hit.sparse is not None
    assert (hit.document_id, hit.dense.rank, hit.sparse.rank) == ("leave", 1, 1)
    assert hit.sparse.terms == ("days", "annual", "leave")
    assert hit.score == pytest.approx(2 / 61)
    assert hit.explanation == {
        "dense": {"rank": 1, "score": hit.dense.score},
        "sparse": {"rank": 1, "score": hit.sparse.score, "terms": ["days", "annual", "leave"]},
        "fusion": {
            "method": "rrf",
            "k": 60,
            "weights": {"dense": 1.0, "sparse": 1.0},
            "score": hit.score,
            "shares": {"dense": 0.5, "sparse": 0.5},
        },
        "rerank": None,
        "filter": None,
    }


def test_a_hit_holds_what_the_payload_says(searcher: Searcher):
    hit = searcher.search(QUERY)[0]

    assert hit.text == "Employees get thirty days of annual leave."
    assert (hit.source, hit.title, hit.uri) == (
        *("handbook", "Time off", "file:///handbook/leave.pdf"),
    )
    assert (hit.page, hit.span, hit.heading_path) == (3, (100, 142), ("Handbook", "Vacation"))
    assert hit.metadata["language"] == "en"


def test_one_side_alone_gives_its_own_scores_and_no_fusion(searcher: Searcher):
    dense = searcher.search(QUERY, mode="dense")
    sparse = searcher.search(QUERY, mode="sparse")

    assert all(hit.dense == DenseMatch(i, hit.score) for i, hit in enumerate(dense, 1))
    assert all(hit.sparse is None for hit in dense)
    assert [hit.explanation["fusion"] for hit in dense + sparse] == [None] * len(dense + sparse)
    assert sparse[0].sparse == SparseMatch(1, sparse[0].score, ("days", "annual", "leave"))
    assert sparse[0].explanation["dense"] is None


def test_a_match_in_the_title_or_a_heading_is_explained_too(searcher: Searcher):
    hit = searcher.search("vacations, holidays", mode="sparse")[0]

    assert hit.sparse is not None
    assert hit.sparse.terms == ("vacations",)


def test_explanations_are_plain_json(searcher: Searcher):
    where = And((Or((Eq("source", "handbook"), Eq("page", 3))), Not(Eq("ordinal", 7))))
    for mode in ("dense", "sparse", "hybrid"):
        for hit in searcher.search(QUERY, mode=mode, where=where):
            assert json.loads(json.dumps(dict(hit.explanation))) == hit.explanation
            assert hit.explanation["filter"] == {
                "and": [
                    {
                        "or": [
                            {"field": "source", "equals": "handbook"},
                            {"field": "page", "equals": 3},
                        ]
                    },
                    {"not": {"field": "ordinal", "equals": 7}},
                ]
            }


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
@pytest.mark.parametrize(
    "where",
    [
        Eq("source", "intranet"),
        AnyOf("document_id", ("pay", "parking")),
        Range("metadata.year", at_least=2024),
        Not(Eq("document_id", "leave")),
        AnyOf("source", ()),
    ],
)
def test_a_filter_only_narrows(searcher: Searcher, mode: Mode, where: Condition):
    query = "leave, trains, parking, salaries"
    everything = {hit.id: hit.score for hit in searcher.search(query, mode=mode)}
    narrowed = {hit.id for hit in searcher.search(query, mode=mode, where=where)}

    assert narrowed < everything.keys()


@pytest.mark.parametrize(
    "field", ["langauge", "metadata", "metadata.", "access", "protected", "Source"]
)
def test_a_filter_on_a_field_no_chunk_has_is_refused_however_deep(searcher: Searcher, field: str):
    where = And((Eq("source", "handbook"), Or((Not(Eq(field, "x")),))))

    with pytest.raises(ValueError, match=f"no chunk has the field '{field}'"):
        searcher.search(QUERY, where=where)


def test_weights_and_depth_of_the_settings_are_used(
    make_searcher: MakeSearcher, encoder: HashingEncoder, chunks: Chunks
):
    words_only = make_searcher(chunks, indexed_with=encoder, dense=encoder, dense_weight=0.0)
    shallow = make_searcher(chunks, indexed_with=encoder, dense=encoder, depth=1)

    sparse_ids = [hit.id for hit in words_only.search(QUERY, mode="sparse")]
    assert [hit.id for hit in words_only.search(QUERY)] == sparse_ids
    assert len(shallow.search(QUERY, k=1)) == 1
    assert len(shallow.search("days of leave, trains", k=4)) == 4  # k raises the depth


def test_a_query_without_text_finds_nothing(searcher: Searcher):
    for mode in ("dense", "sparse", "hybrid"):
        assert searcher.search(" \n", mode=mode) == []


def test_a_query_of_stop_words_is_answered_by_the_dense_side(searcher: Searcher):
    assert searcher.search("of the", mode="sparse") == []
    hits = searcher.search("of the")
    assert hits
    assert all(hit.sparse is None and hit.dense is not None for hit in hits)


def test_searching_for_many_gives_what_searching_for_each_gives(searcher: Searcher):
    queries = [QUERY, "", "parking", "book a train"]

    together = searcher.search_many(queries, k=3)
    assert together == [searcher.search(query, k=3) for query in queries]
    assert searcher.search_many([]) == []


def test_without_vectors_or_encoder_only_words_are_searched(
    make_searcher: MakeSearcher, encoder: HashingEncoder, chunks: Chunks
):
    wordy = make_searcher(chunks, indexed_with=None, dense=None)
    blind = make_searcher(chunks, indexed_with=encoder, dense=None)

    for searcher, reason in (
        (wordy, "'docs-0001-words' was built without"),
        (blind, "none was given"),
    ):
        assert searcher.search(QUERY, mode="sparse")[0].document_id == "leave"
        for mode in ("dense", "hybrid"):
            with pytest.raises(ModeError, match=f"{reason}(?s:.)*mode 'sparse'"):
                searcher.search(QUERY, mode=mode)


def test_another_encoder_is_refused_before_any_query(
    make_searcher: MakeSearcher, encoder: HashingEncoder, chunks: Chunks
):
    with pytest.raises(WrongEncoderError):
        make_searcher(chunks, indexed_with=encoder, dense=HashingEncoder(255))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ValueError, "`k` must be a whole number >= 1; got 0"),
        ({"k": True}, ValueError, "`k` must be"),
        ({"mode": "fuzzy"}, ValueError, "`mode` must be one of dense, sparse, hybrid"),
        ({"principals": "user:x"}, TypeError, "`principals` must be a list"),
        ({"principals": [""]}, ValueError, "non-empty strings"),
    ],
)
def test_a_bad_argument_is_refused(
    searcher: Searcher, arguments: dict[str, Any], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        searcher.search(QUERY, **arguments)


@pytest.mark.parametrize(
    "settings",
    [
        {"k": 0},
        {"mode": "x"},
        {"depth": 0},
        {"fusion": "x"},
        {"rrf_k": -1},
        {"dense_weight": -1.0},
        {"sparse_weight": float("inf")},
        {"dense_weight": 0.0, "sparse_weight": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]):
    with pytest.raises(ValueError, match=f"`{next(iter(settings))}`"):
        SearchSettings(**settings)


def test_documents_are_ranked_by_their_best_chunk(searcher: Searcher):
    hits = searcher.search(QUERY, k=100)
    ranked = searcher.rank_documents([QUERY])[0]

    best: dict[str, float] = {}
    for hit in hits:
        best.setdefault(hit.document_id, hit.score)
    assert ranked == list(best.items())


def test_documents_behind_many_chunks_of_one_are_still_found(
    make_searcher: MakeSearcher, encoder: HashingEncoder
):
    long = [{"document_id": "long", "text": f"leave {number}"} for number in range(300)]
    short = [{"document_id": f"s{n}", "text": f"leave {'pay ' * n}"} for n in range(1, 6)]
    searcher = make_searcher(long + short, indexed_with=encoder, dense=encoder, depth=10)

    for mode in ("dense", "sparse", "hybrid"):
        ranked = searcher.rank_documents(["leave 7"], limit=6, mode=mode)[0]
        assert {id_ for id_, _ in ranked} == {"long", "s1", "s2", "s3", "s4", "s5"}
        assert len(searcher.rank_documents(["leave 7"], limit=3, mode=mode)[0]) == 3


def test_a_document_of_endless_chunks_does_not_make_a_search_read_them_all(
    make_searcher: MakeSearcher, encoder: HashingEncoder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(running, "MOST_CANDIDATES", 64)
    long = [{"document_id": "long", "text": f"leave {number}"} for number in range(300)]
    other = {"document_id": "other", "text": "leave " + "pay " * 30}
    searcher = make_searcher([*long, other], indexed_with=encoder, dense=encoder, depth=10)

    def found(**options: Any) -> set[str]:
        hits = searcher.search("leave 7", mode="dense", k=2, per_document=1, **options)
        return {hit.document_id for hit in hits}

    assert found() == {"long"}
    assert found(depth=400) == {"long", "other"}


class BusyEncoder(HashingEncoder):
    """Fails when two threads use it at once."""

    def __init__(self) -> None:
        super().__init__(256)
        self.free = threading.Lock()

    def encode_queries(self, *args: Any, **kwargs: Any) -> Any:
        assert self.free.acquire(blocking=False)
        time.sleep(0.001)  # lets another thread in, if any may enter
        self.free.release()
        return super().encode_queries(*args, **kwargs)


async def test_threads_and_tasks_that_share_a_searcher_take_turns(
    make_searcher: MakeSearcher, chunks: Chunks
):
    busy = BusyEncoder()
    searcher = make_searcher(chunks, indexed_with=busy, dense=busy)
    queries = [QUERY, "parking", "trains", "salaries"] * 10
    alone = [searcher.search(query) for query in queries]

    with ThreadPoolExecutor(8) as pool:
        threads = pool.map(searcher.search, queries)
        tasks = await asyncio.gather(*(searcher.search_async(query) for query in queries))
        assert list(threads) == tasks == alone


class WaitingEncoder(HashingEncoder):
    """Encodes no query before it is released."""

    def __init__(self) -> None:
        super().__init__(256)
        self.started, self.released = threading.Event(), threading.Event()

    def encode_queries(self, *args: Any, **kwargs: Any) -> Any:
        self.started.set()
        assert self.released.wait(10)
        return super().encode_queries(*args, **kwargs)


async def test_the_event_loop_goes_on_while_queries_are_encoded(
    make_searcher: MakeSearcher, chunks: Chunks
):
    slow = WaitingEncoder()
    searcher = make_searcher(chunks, indexed_with=slow, dense=slow)
    tasks = [asyncio.create_task(searcher.search_async(QUERY)) for _ in range(50)]
    # other work gets a thread of the loop at once, although 50 searches wait for theirs
    assert await asyncio.wait_for(asyncio.to_thread(slow.started.wait, 5), 5)
    assert not any(task.done() for task in tasks)
    slow.released.set()

    answers = await asyncio.gather(*tasks)
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0].document_id == "leave"
