"""What `argot tune` computes of searches that were done once."""

from dataclasses import replace

from argot.tuning.search_trial import (
    DENSE_SHARES,
    DEPTHS,
    Found,
    Reranked,
    best,
    documents,
    reordered,
    try_fusions,
    try_reranking,
)
from retriever.evaluation.judgements import Judgements
from retriever.settings import SearchSettings


def test_depths_are_tried_for_the_best_fusion_and_of_equals_the_shallow_one_is_taken():
    found = {
        "q": Found(
            dense=[("a", 0.9), ("b", 0.85), ("c", 0.1)],
            sparse=[("c", 2.0), ("d", 1.9), ("e", 1.8), ("b", 1.7)],
            documents={id_: f"d{id_}" for id_ in "abcde"},
        )
    }
    judgements = Judgements({"q": "x"}, {"q": {"db": 1}})
    present = SearchSettings()
    tried = try_fusions(present, found, judgements)
    assert tried[0].settings is present
    assert len(tried) == 3 + 5 * len(DENSE_SHARES) + len(DEPTHS) - 1
    assert [one.settings.mode for one in tried[:3]] == ["hybrid", "sparse", "dense"]
    assert best(tried).settings.mode == "hybrid"
    assert best(tried).quality == 1.0 > tried[0].quality
    assert best(tried).settings.dense_weight > best(tried).settings.sparse_weight
    assert best(tried).settings.depth == min(DEPTHS)
    assert documents(found["q"], replace(present, k=1, depth=1)) == ["dc", "da"]
    assert best(tried[:3]).settings is present, "words alone do not better"


def test_the_depth_of_reranking_is_the_least_that_is_best():
    fused = [f"c{number}" for number in range(100)]
    read = Reranked(
        fused=[(id_, -float(number)) for number, id_ in enumerate(fused)],
        scores={id_: float(id_ == "c15") - number / 1000 for number, id_ in enumerate(fused)},
        documents={id_: f"d{number}" for number, id_ in enumerate(fused)},
    )
    judgements = Judgements({"q": "x"}, {"q": {"d15": 1}})
    tried = try_reranking(SearchSettings(rerank="cross"), {"q": read}, judgements)
    alone = [one for one in tried if one.settings.rerank_weight == 1]
    assert [(one.settings.rerank_depth, one.quality) for one in alone] == [
        *((10, 0.0), (20, 1.0)),
        *((50, 1.0), (100, 1.0)),
    ]
    assert best(tried).settings.rerank_depth == 20
    assert best(tried).quality == 1


def test_a_reranker_that_errs_is_weighed_down():
    fused = [(f"c{number}", -float(number)) for number in range(20)]
    read = Reranked(
        fused=fused,
        scores={id_: float(id_ in ("c9", "c0")) for id_, _ in fused},
        documents={id_: f"d{number}" for number, (id_, _) in enumerate(fused)},
    )
    judgements = Judgements({"q": "x"}, {"q": {"d0": 2, "d1": 1}})
    tried = try_reranking(SearchSettings(rerank="cross"), {"q": read}, judgements)
    quality = {one.settings.rerank_weight: one.quality for one in tried}
    assert best(tried).settings.rerank_weight < 1
    assert quality[1.0] < quality[0.15] == 1.0


def test_a_trial_of_reranking_orders_as_a_search_and_its_measure_do():
    read = Reranked(
        fused=[("c1", 0.9), ("c2", 0.5), ("c3", 0.1), ("c4", 0.05)],
        scores={"c1": 1.0, "c2": 1.0, "c3": 2.0, "c4": 3.0},
        documents={"c1": "a", "c2": "b", "c3": "c", "c4": "a"},
    )
    assert reordered(read, depth=3, weight=1.0) == ["c", "b", "a"], "equal ones by id, last first"
    assert reordered(read, depth=4, weight=1.0) == ["a", "c", "b"], "by the best chunk"
    assert reordered(read, depth=3, weight=0.1) == ["a", "b", "c"]
    assert reordered(read, depth=1, weight=1.0) == ["a", "b", "c"]


def test_more_hits_than_any_depth_of_reranking_leave_it_as_it_is():
    fused = [(f"c{number}", -float(number)) for number in range(150)]
    read = Reranked(
        fused=fused,
        scores={id_: float(id_ == "c140") for id_, _ in fused},
        documents={id_: f"d{number}" for number, (id_, _) in enumerate(fused)},
    )
    judgements = Judgements({"q": "x"}, {"q": {"d140": 1}})
    settings = SearchSettings(k=150, rerank="cross")
    tried = try_reranking(settings, {"q": read}, judgements)
    assert {one.settings.rerank_depth for one in tried} == {settings.rerank_depth}
    assert best(tried).quality == 1.0, "all hits are reranked"


def test_words_alone_are_not_tried_beside_an_expansion_that_changes_vectors():
    found = {"q": Found(dense=[("a", 0.9)], sparse=[("b", 2.0)], documents={"a": "a", "b": "b"})}
    judgements = Judgements({"q": "x"}, {"q": {"b": 1}})
    modes = {
        expand: [one.settings.mode for one in try_fusions(settings, found, judgements)]
        for expand in ("none", "hyde", "multi-query")
        for settings in [SearchSettings(expand=expand)]
    }
    assert "sparse" in modes["none"]
    assert "sparse" in modes["multi-query"]
    assert "sparse" not in modes["hyde"]
