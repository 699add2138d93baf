"""What every reranker and every expander must do, whatever it is made of."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from argot.stages import LazyExpander, LazyReranker
from retriever.stages import Expansion, QueryExpander, Reranker

QUERY = "how long may the leave be?"
TEXTS = [
    "employees may take thirty days of leave in every year",
    "press the power button",
    "",
    "wing lift and drag",
    "汉字没有空格",
    "👩‍👩‍👧 \ud800",
    " ",
    "x",
    "<eos> <|im_end|>\nyes",
    "a very long text " * 400,
    "press the power button",
]
CHAT = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]\n{% endif %}"
)
Write = Callable[..., Path]
Find = Callable[[str], Any]
"""A fixture by its name."""


def overlap(find: Find) -> Reranker:
    return find("fake_stages").OverlapReranker()


def cross_encoder(find: Find) -> Reranker:
    from encoder.cross_encoder import CrossEncoder

    tiny_models: ModuleType = find("tiny_models")
    folder = tiny_models.write_tiny_cross_encoder(find("tmp_path") / "classifier")
    return CrossEncoder.load(folder, dtype="float32", device="cpu", token_budget=300)


def language_model(find: Find, *, chat: bool) -> Any:
    import torch

    from encoder.loading import load_decoder

    write: Write = find("write_decoder")
    folder = write("llama", max_position_embeddings=2048, initializer_range=0.3)
    decoder = load_decoder(folder, causal=True, with_head=True, dtype=torch.float32, device="cpu")
    decoder.tokenizer.chat_template = CHAT if chat else None
    return decoder


def llm(find: Find) -> Reranker:
    from encoder.llm_reranker import LlmReranker

    return LlmReranker(language_model(find, chat=False), passage_tokens=64)


def query_likelihood(find: Find) -> Reranker:
    from encoder.query_likelihood import QueryLikelihood

    return QueryLikelihood(language_model(find, chat=False), passage_tokens=64)


def llm_in_a_chat(find: Find) -> Reranker:
    from encoder.llm_reranker import LlmReranker

    return LlmReranker(language_model(find, chat=True), passage_tokens=64)


def late_interaction(find: Find) -> Reranker:
    from encoder.late_interaction import LateInteraction
    from encoder.llm2vec import LLM2VecEncoder

    folder = find("tiny_decoder_folder")
    return LateInteraction(LLM2VecEncoder.load(folder, dtype="float32", device="cpu"))


def made_when_needed(find: Find) -> Reranker:
    from threading import RLock

    return LazyReranker("overlap", lambda: overlap(find), turn=RLock())


def backwards(find: Find) -> QueryExpander:
    return find("fake_stages").BackwardsExpander(["an answer"])


def hyde(find: Find) -> QueryExpander:
    from threading import RLock

    from encoder.expansion import PassageWriter

    decoder = language_model(find, chat=True)
    return LazyExpander(
        "hyde",
        lambda: PassageWriter(decoder, max_new_tokens=8),
        widen=lambda texts: Expansion(passages=texts),
        turn=RLock(),
    )


def multi_query(find: Find) -> QueryExpander:
    from threading import RLock

    from encoder.expansion import QueryRewriter

    decoder = language_model(find, chat=False)
    return LazyExpander(
        "multi-query",
        lambda: QueryRewriter(decoder, max_new_tokens=24, temperature=2.0),
        widen=lambda texts: Expansion(queries=texts),
        turn=RLock(),
    )


def with_torch(*makers: Callable[..., Any]) -> list[Any]:
    return [pytest.param(maker, marks=pytest.mark.torch) for maker in makers]


@pytest.fixture(
    params=[
        overlap,
        made_when_needed,
        *with_torch(cross_encoder, llm, llm_in_a_chat, query_likelihood, late_interaction),
    ]
)
def reranker(request: pytest.FixtureRequest) -> Reranker:
    if request.param not in (overlap, made_when_needed):
        request.getfixturevalue("one_thread")
    made: Reranker = request.param(request.getfixturevalue)
    return made


@pytest.fixture(params=[backwards, *with_torch(hyde, multi_query)])
def expander(request: pytest.FixtureRequest) -> QueryExpander:
    if request.param is not backwards:
        request.getfixturevalue("one_thread")
    made: QueryExpander = request.param(request.getfixturevalue)
    return made


def test_every_text_gets_one_finite_score_in_the_order_of_the_texts(reranker: Reranker):
    scores = reranker.scores(QUERY, TEXTS)
    assert [type(score) for score in scores] == [float] * len(TEXTS)
    assert all(map(math.isfinite, scores))
    assert reranker.scores(QUERY, TEXTS[::-1]) == pytest.approx(scores[::-1], abs=1e-4)
    assert scores[1] == pytest.approx(scores[10], abs=1e-4)
    assert len({round(score, 4) for score in scores}) > 1


def test_a_text_alone_has_the_score_it_has_among_others(reranker: Reranker):
    alone = [score for text in TEXTS for score in reranker.scores(QUERY, [text])]
    assert alone == pytest.approx(reranker.scores(QUERY, TEXTS), abs=1e-4)


def test_the_same_call_gives_the_same_scores(reranker: Reranker):
    assert reranker.scores(QUERY, TEXTS[:4]) == reranker.scores(QUERY, tuple(TEXTS[:4]))


def test_no_texts_give_no_scores(reranker: Reranker):
    assert reranker.scores(QUERY, []) == []


@pytest.mark.parametrize("query", ["", " ", "👩‍👩‍👧 汉字", "a very long query " * 300])
def test_any_query_will_do(reranker: Reranker, query: str):
    assert all(map(math.isfinite, reranker.scores(query, TEXTS[:3])))


def test_one_string_in_place_of_a_list_is_refused(reranker: Reranker):
    with pytest.raises(ValueError, match="must be a list of strings; got one string"):
        reranker.scores(QUERY, "hello")


def test_a_stage_has_a_name(reranker: Reranker):
    assert reranker.name


def test_an_expansion_is_texts_none_of_them_blank_repeated_or_the_query(expander: QueryExpander):
    found = expander.expand("how long is the leave")
    for texts in (found.queries, found.passages):
        assert isinstance(texts, tuple)
        assert all(text.strip() for text in texts)
        assert len(set(texts)) == len(texts)
    assert "how long is the leave" not in found.queries


def test_a_query_is_widened_the_same_way_every_time(expander: QueryExpander):
    assert expander.expand(QUERY) == expander.expand(QUERY)


def test_a_blank_query_is_not_widened(expander: QueryExpander):
    assert expander.expand(" \n") == expander.expand("") == Expansion()


@pytest.mark.parametrize("query", ["👩‍👩‍👧 汉字 \ud800", "a very long query " * 300, "<eos>"])
def test_any_query_can_be_widened(expander: QueryExpander, query: str):
    assert isinstance(expander.expand(query), Expansion)
    assert expander.name
