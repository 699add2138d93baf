"""What a search may do beyond its mode: threshold, stages, diversity, groups, surroundings."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from encoder.fake import HashingEncoder
from indexing.filters import HasWords
from retriever.errors import ModeError, PlanError, StageError
from retriever.reranking import blended
from retriever.results import Hit, Passage, joined_text
from retriever.search import Searcher
from retriever.settings import SearchSettings
from retriever.stages import Expansion

MakeSearcher = Callable[..., Searcher]
Chunks = list[dict[str, Any]]
QUERY = "how many days of annual leave"

SENTENCES = [
    "This guide is for everybody. ",
    "Leave is thirty days. ",
    "Leave must be asked for early. ",
    "Unused leave expires in March. ",
    "Salaries are paid monthly. ",
    "Leave of parents is longer. ",
]
PATHS = [["Guide"], *[["Guide", "Leave"]] * 3, ["Guide", "Pay"], ["Guide", "Leave"]]


def guide(**changes: Any) -> Chunks:
    """A document whose chunks each begin with the end of the one before."""
    text, chunks = "".join(SENTENCES), []
    for ordinal, sentence in enumerate(SENTENCES):
        start = text.index(sentence)
        first = max(0, start - 5)
        fields = {"text": text[first : start + len(sentence)], "start": first, "page": 1 + ordinal}
        fields |= {"end": start + len(sentence), "ordinal": ordinal, "document_id": "guide"}
        chunks.append({**fields, "heading_path": PATHS[ordinal], **changes})
    return chunks


@pytest.fixture(scope="module")
def library(make_searcher: MakeSearcher, encoder: HashingEncoder) -> Searcher:
    other = {"document_id": "leave", "text": "Leave, days of leave."}
    return make_searcher([*guide(), other], indexed_with=encoder, dense=encoder)


def documents(hits: Sequence[Hit]) -> list[str]:
    return [hit.document_id for hit in hits]


class ByLength:
    """Reranks: the shorter, the better."""

    name = "shortest"

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        assert query
        self.read += texts
        return [-float(len(text)) for text in texts]


class Broken:
    name = "broken"

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return [math.nan for _ in texts] if query else []


class Widens:
    """Gives every query the same other wordings and passages."""

    name = "widens"

    def __init__(self, *queries: str, passages: Sequence[str] = ()) -> None:
        self.expansion = Expansion(queries, tuple(passages))

    def expand(self, query: str) -> Expansion:
        assert query.strip()
        return self.expansion


@pytest.fixture
def staged(searcher: Searcher) -> Callable[..., Searcher]:
    """The searcher over public chunks, with stages."""

    def make(**stages: Any) -> Searcher:
        return Searcher(searcher._index, sparse=searcher._sparse, dense=searcher._dense, **stages)

    return make


def test_depth_is_chosen_per_query(searcher: Searcher):
    # one candidate of each side: what is second on both sides is no candidate
    assert len(searcher.search("annual leave of trains", k=1, depth=1)) == 1
    deep = searcher.search(QUERY, k=1, depth=5)[0]
    assert deep == searcher.search(QUERY, k=1)[0]
    with pytest.raises(ValueError, match="`depth` must be a whole number >= 1; got 0"):
        searcher.search(QUERY, depth=0)


@pytest.mark.parametrize("name", ["k", "depth", "rerank_depth", "rrf_k", "neighbours"])
def test_counts_beyond_all_reason_are_refused_before_an_engine_overflows(name: str):
    with pytest.raises(ValueError, match=f"`{name}` must be at most 1000000"):
        SearchSettings(**{name: 10**400})
    assert getattr(SearchSettings(**{name: 10**6}), name) == 10**6


def test_an_unknown_option_is_refused_and_none_means_the_setting(searcher: Searcher):
    with pytest.raises(TypeError, match="a search has no option 'filter'; it has k, mode"):
        searcher.search(QUERY, filter={"source": "x"})  # type: ignore[call-arg]
    assert searcher.search(QUERY, k=None, mmr=None, rerank=None) == searcher.search(QUERY)


def test_a_threshold_on_the_cosine_leaves_out_what_is_below(searcher: Searcher):
    everything = searcher.search(QUERY, mode="dense")
    bar = everything[1].score
    kept = searcher.search(QUERY, mode="dense", min_score=bar)

    assert kept == everything[:2]
    assert searcher.search(QUERY, mode="dense", min_score=1.01) == []


@pytest.mark.parametrize(
    ("options", "scores"),
    [
        ({}, "'rrf' fusion"),
        ({"fusion": "relative_score"}, "'relative_score' fusion"),
        ({"mode": "sparse"}, "BM25"),
        ({"mode": "dense", "expand": "widens"}, "'rrf' fusion"),
    ],
)
def test_a_threshold_on_scores_of_one_query_is_refused(
    searcher: Searcher, options: dict[str, Any], scores: str
):
    with pytest.raises(PlanError, match=f"`min_score` needs(?s:.)*{scores}(?s:.)*hint: "):
        searcher.search(QUERY, min_score=0.3, **options)
    if "expand" not in options:
        assert searcher.search(QUERY, min_score=-math.inf, **options)


def test_a_reranker_orders_the_best_candidates_and_the_explanation_says_how(
    staged: Callable[..., Searcher],
):
    reranker = ByLength()
    searcher = staged(rerankers={"short": reranker})
    before = searcher.search(QUERY, k=3)
    reranker.read.clear()
    after = searcher.search(QUERY, k=3, rerank="short", rerank_depth=3, rerank_weight=1)

    assert len(reranker.read) == 3
    assert "Time off\nHandbook\nVacation\nEmployees" in reranker.read[0]  # as it was encoded
    assert {hit.id for hit in after} == {hit.id for hit in before}
    assert [hit.score for hit in after] == sorted((hit.score for hit in after), reverse=True)
    for rank, hit in enumerate(after, start=1):
        was = [one.id for one in before].index(hit.id) + 1
        assert hit.explanation["rerank"] == {
            "name": "shortest",
            "score": hit.score,
            "weight": 1,
            "before": was,
            "after": rank,
            "delta": was - rank,
        }
        assert hit.explanation["fusion"]["score"] == before[was - 1].score


def test_a_side_searched_alone_is_not_left_out_by_its_weight_in_the_fusion(
    staged: Callable[..., Searcher],
):
    searcher = staged(expanders={"widens": Widens()})
    plain = searcher.search(QUERY, mode="sparse", expand="widens")
    assert plain
    assert searcher.search(QUERY, mode="sparse", expand="widens", sparse_weight=0) == plain


def test_a_reranker_can_be_weighed_beside_the_scores_before_it(staged: Callable[..., Searcher]):
    searcher = staged(rerankers={"short": ByLength()})
    alone = {
        hit.id: hit
        for hit in searcher.search(QUERY, k=3, rerank="short", rerank_depth=3, rerank_weight=1)
    }
    before = searcher.search(QUERY, k=3)
    hits = searcher.search(QUERY, k=3, rerank="short", rerank_depth=3, rerank_weight=0.25)

    said = [alone[hit.id].score for hit in before]
    expected = blended([hit.score for hit in before], said, weight=0.25)
    assert {hit.id: hit.score for hit in hits} == pytest.approx(
        {hit.id: score for hit, score in zip(before, expected, strict=True)}
    )
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert hit.explanation["rerank"]["score"] == alone[hit.id].score
        assert hit.explanation["rerank"]["weight"] == 0.25
    # hardly heard, it changes nothing
    faint = searcher.search(QUERY, k=3, rerank="short", rerank_depth=3, rerank_weight=1e-9)
    assert [hit.id for hit in faint] == [hit.id for hit in before]


def test_blending_keeps_the_order_of_what_both_sides_agree_on():
    said = [6.0, 9.0] + [0.0] * 48

    assert max(range(50), key=blended([0.5] * 50, said, weight=0.9).__getitem__) == 1
    assert max(range(50), key=blended(said, said, weight=0.5).__getitem__) == 1


def test_blended_scores_do_not_depend_on_the_scale_of_either_side():
    before, said = [3.0, 2.0, 1.0], [-5.0, 10.0, 10.0]
    scores = blended(before, said, weight=0.5)
    assert scores == pytest.approx(
        blended([300 * one + 7 for one in before], [one / 9 for one in said], weight=0.5)
    )
    assert scores[1] > scores[0] > scores[2]
    assert blended(before, said, weight=1) == said
    assert blended([1.0], [2.0], weight=0.5) == [0.5]


def test_candidates_beyond_the_depth_of_the_reranker_stay_below_in_their_order(
    staged: Callable[..., Searcher],
):
    searcher = staged(rerankers={"short": ByLength()})
    plain = searcher.rank_documents([QUERY])[0]
    ranked = searcher.rank_documents([QUERY], rerank="short", rerank_depth=1, k=1)[0]

    assert [id_ for id_, _ in ranked] == [id_ for id_, _ in plain]
    assert [score for _, score in ranked] == sorted((s for _, s in ranked), reverse=True)


def test_a_stage_that_is_not_there_or_answers_wrongly_is_an_error(
    staged: Callable[..., Searcher],
):
    searcher = staged(rerankers={"bad": Broken()})
    with pytest.raises(PlanError, match="`rerank` must be one of 'none', 'bad' here; got 'cross'"):
        searcher.search(QUERY, rerank="cross")
    with pytest.raises(PlanError, match="`expand` must be one of 'none' here; got 'hyde'"):
        searcher.search(QUERY, expand="hyde")
    with pytest.raises(StageError, match="'broken' must give one finite score for each of"):
        searcher.search(QUERY, rerank="bad")
    assert searcher.search("", rerank="bad") == []


def test_other_wordings_are_searched_and_fused(staged: Callable[..., Searcher]):
    searcher = staged(expanders={"widens": Widens("parking spaces", " ", QUERY)})
    for mode in ("dense", "sparse", "hybrid"):
        alone = searcher.search(QUERY, mode=mode, k=5)
        both = {hit.document_id: hit for hit in searcher.search(QUERY, mode=mode, expand="widens")}

        assert {hit.document_id for hit in alone} <= both.keys()
        expansion = both["parking"].explanation["expansion"]
        assert expansion["name"] == "widens"
        assert [query["query"] for query in expansion["queries"]] == ["parking spaces"]
        asked = ["dense", "sparse"] if mode == "hybrid" else [mode]
        assert all(expansion["queries"][0][side]["rank"] == 1 for side in asked)
        shares = both["parking"].explanation["fusion"]["shares"]
        assert list(shares) == [*asked, "expansion"]
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["expansion"] > 0.4
    assert searcher.search(" ", expand="widens") == []


def test_passages_pull_the_query_towards_what_they_say(staged: Callable[..., Searcher]):
    parking = "Parking spaces are shared."
    searcher = staged(expanders={"hyde": Widens(passages=[parking, parking])})

    assert documents(searcher.search("trains", mode="dense", k=1)) == ["travel"]
    hits = searcher.search("trains", mode="dense", expand="hyde")
    assert documents(hits)[0] == "parking"
    assert hits[0].explanation["expansion"]["passages"] == [parking, parking]
    # half the direction of the query, half of the passages: equal to the chunk but for the query
    assert hits[0].dense is not None
    assert 0.6 < hits[0].dense.score < 0.9


def test_passages_are_refused_where_no_vectors_are_compared(staged: Callable[..., Searcher]):
    stage = Widens(passages=["Parking spaces are shared."])
    searcher = staged(expanders={"hyde": stage, "multi-query": stage})

    with pytest.raises(PlanError, match=r"changes the vector(?s:.)*hint: .*'multi-query'"):
        searcher.search("trains", mode="sparse", expand="hyde")
    assert documents(searcher.search("trains", mode="sparse", expand="multi-query")) == ["travel"]


def test_diverse_hits_do_not_repeat_each_other(
    make_searcher: MakeSearcher, encoder: HashingEncoder
):
    texts = ["annual leave days", "annual leave days ", "annual leave days!", "leave for parents"]
    chunks = [{"document_id": f"d{n}", "text": text} for n, text in enumerate(texts)]
    searcher = make_searcher(chunks, indexed_with=encoder, dense=encoder)

    for mode in ("dense", "sparse", "hybrid"):
        relevant = searcher.search("annual leave days", mode=mode, k=3, mmr=1.0)
        diverse = searcher.search("annual leave days", mode=mode, k=2, mmr=0.3)
        assert relevant == searcher.search("annual leave days", mode=mode, k=3)
        assert "d3" not in documents(relevant)
        assert documents(diverse)[1] == "d3"
        assert diverse[0].id == relevant[0].id
        assert diverse[1].explanation["mmr"]["before"] == 4
    first, second = searcher.search("annual leave days", mode="dense", k=2, mmr=0.3)
    assert first.explanation["mmr"]["value"] == pytest.approx(0.3 * first.score, abs=1e-5)
    assert second.score < first.score  # scores stay what they are


def test_documents_ranked_for_diversity_keep_that_order_when_sorted_by_score(
    make_searcher: MakeSearcher, encoder: HashingEncoder
):
    texts = ["annual leave days", "annual leave days ", "leave for parents"]
    chunks = [{"document_id": f"d{n}", "text": text} for n, text in enumerate(texts)]
    searcher = make_searcher(chunks, indexed_with=encoder, dense=encoder)

    ranked = searcher.rank_documents(["annual leave days"], mmr=0.3)[0]
    assert ranked[1][0] == "d2"
    assert [score for _, score in ranked] == [1, 1 / 2, 1 / 3]


def test_diversity_needs_vectors(make_searcher: MakeSearcher, chunks: Chunks):
    words = make_searcher(chunks, indexed_with=None, dense=None, mode="sparse")
    with pytest.raises(ModeError, match="`mmr` needs vectors"):
        words.search(QUERY, mmr=0.5)


def test_hits_are_grouped_by_document(library: Searcher):
    one_each = library.search("leave days", k=5, per_document=1)
    assert sorted(documents(one_each)) == ["guide", "leave"]
    two_each = library.search("leave days", k=2, per_document=2)
    assert sorted(documents(two_each)) == ["guide", "guide", "leave"]
    assert documents(two_each) in (["guide", "guide", "leave"], ["leave", "guide", "guide"])
    plain = [hit for hit in library.search("leave days", k=10) if hit.document_id == "guide"]
    assert [hit.id for hit in two_each if hit.document_id == "guide"] == [
        hit.id for hit in plain[:2]
    ]


def test_groups_are_filled_from_deeper_down(make_searcher: MakeSearcher, encoder: HashingEncoder):
    long = [{"document_id": "long", "text": f"leave {number}"} for number in range(60)]
    short = [{"document_id": f"s{n}", "text": f"leave {'pay ' * n}"} for n in range(1, 4)]
    searcher = make_searcher(long + short, indexed_with=encoder, dense=encoder, depth=4)

    found = searcher.search("leave 7", k=4, per_document=1)
    assert sorted(documents(found)) == ["long", "s1", "s2", "s3"]


def test_documents_of_two_sources_with_one_id_are_two_groups(
    make_searcher: MakeSearcher, encoder: HashingEncoder
):
    chunks = [
        {"document_id": "a", "source": source, "text": f"leave in {source}"} for source in "xy"
    ]
    searcher = make_searcher(chunks, indexed_with=encoder, dense=encoder)
    assert len(searcher.search("leave", k=2, per_document=1)) == 2


def test_neighbours_come_in_reading_order_and_read_as_one_text(library: Searcher):
    hit = library.search("expires in March", k=1, neighbours=2)[0]

    assert [passage.page for passage in (*hit.before, *hit.after)] == [2, 3, 5, 6]
    text = "".join(SENTENCES)
    first, last = hit.before[0], hit.after[-1]
    assert hit.context == text[first.span[0] : last.span[1]]
    edge = library.search("guide everybody", k=1, neighbours=1)[0]
    assert (edge.before, len(edge.after)) == ((), 1)


def test_the_section_of_a_hit_is_what_stands_around_it_under_its_heading(library: Searcher):
    hit = library.search("expires in March", k=1, section=True)[0]

    assert hit.section is not None
    assert hit.section.heading_path == ("Guide", "Leave")
    assert hit.section.page == 2
    start, end = hit.section.span
    assert hit.section.text == "".join(SENTENCES)[start:end]
    assert "Leave of parents" not in hit.section.text  # under such a heading, but elsewhere
    assert hit.context == hit.section.text
    assert library.search("days of leave", where=HasWords("text", "of"), section=True)[0]


def test_of_a_long_section_what_is_near_the_hit_is_read(
    make_searcher: MakeSearcher, encoder: HashingEncoder
):
    long = [
        {"document_id": "d", "text": f"word{n}", "ordinal": n, "start": 9 * n, "end": 9 * n + 1}
        | {"heading_path": ["All"]}
        for n in range(130)
    ]
    searcher = make_searcher(long, indexed_with=encoder, dense=encoder)
    section = searcher.search("word70", k=1, section=True)[0].section

    assert section is not None
    assert section.text.split() == [f"word{n}" for n in range(20, 121)]


def test_a_chunk_under_no_heading_has_no_section(library: Searcher):
    hit = next(hit for hit in library.search("leave", section=True) if hit.document_id == "leave")
    assert hit.section is None


def test_neighbours_and_sections_pass_the_same_access_filter(
    make_searcher: MakeSearcher, encoder: HashingEncoder
):
    chunks = guide()
    chunks[2] |= {"protected": True, "access": ["group:board"]}
    chunks[4] |= {"protected": True}
    searcher = make_searcher(chunks, indexed_with=encoder, dense=encoder)

    def around(*principals: str) -> str:
        options: Any = {"k": 1, "neighbours": 5, "section": True}
        hit = searcher.search("unused leave expires in March", principals=principals, **options)[0]
        assert hit.section is not None
        texts = [passage.text for passage in (*hit.before, *hit.after, hit.section)]
        return "\n".join(texts)

    assert "asked for early" not in around("user:stranger")
    assert "asked for early" in around("group:board")
    assert "Salaries" not in around("group:board")


def test_neighbours_pass_the_callers_own_filter_too(library: Searcher):
    hit = library.search("expires in March", k=1, neighbours=2, where=HasWords("text", "leave"))[0]
    assert [passage.page for passage in (*hit.before, *hit.after)] == [2, 3, 6]


def test_passages_with_a_gap_are_joined_by_a_line_break():
    def passage(start: int, text: str) -> Passage:
        span = (start, start + len(text))
        return Passage(text=text, span=span, page=None, heading_path=())

    parts = [passage(0, "one "), passage(4, "two "), passage(6, "o three"), passage(20, "four")]
    assert joined_text(parts) == "one two three\nfour"


def test_everything_at_once_is_explained_in_plain_json(staged: Callable[..., Searcher]):
    searcher = staged(rerankers={"short": ByLength()}, expanders={"widens": Widens("parking")})
    options: Any = {"rerank": "short", "expand": "widens", "mmr": 0.5, "per_document": 1}
    hits = searcher.search(QUERY, neighbours=1, section=True, fusion="dbsf", **options)

    assert len(set(documents(hits))) == len(hits) > 1
    for hit in hits:
        assert json.loads(json.dumps(dict(hit.explanation))) == hit.explanation
        assert {"dense", "sparse", "fusion", "rerank", "filter", "expansion", "mmr"} == set(
            hit.explanation
        )
        assert hit.explanation["rerank"]["name"] == "shortest"


def test_the_settings_of_a_plan_are_checked(searcher: Searcher):
    bad: list[dict[str, Any]] = [
        {"mmr": 1.5}, {"mmr": True}, {"rerank": ""}, {"rerank_depth": 0}, {"rerank_weight": 0},
        {"per_document": -1}, {"neighbours": 1.5}, {"section": 1}, {"min_score": math.nan},
        {"expand": 3},
    ]  # fmt: skip
    for options in bad:
        with pytest.raises(ValueError, match=f"`{next(iter(options))}` must be"):
            searcher.search(QUERY, **options)
