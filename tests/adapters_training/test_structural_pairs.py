"""Pairs from the structure of documents."""

import dataclasses
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters_training.pairs import Pair
from adapters_training.structure.documents import Kind
from adapters_training.structure.pairs import StructureSettings, structural_pairs
from adapters_training.text.documents import TrainingText
from adapters_training.text.sentences import count_words

BODY = (
    "Travellers book trains and flights through the agency. Hotels are booked by the traveller, "
    "who pays and is paid back. Receipts for hotels must reach accounting within ten days."
)


def pairs_of(*texts: TrainingText, kind: Kind | None = None, seed: int = 0) -> list[Pair]:
    kinds = (kind,) if kind else tuple(Kind)
    return structural_pairs(texts, seed=seed, settings=StructureSettings(kinds=kinds))[0]


def queries(*texts: TrainingText, kind: Kind, seed: int = 0) -> set[str]:
    return {pair.query for pair in pairs_of(*texts, kind=kind, seed=seed)}


def test_a_title_asks_for_the_text_below_it_without_the_title():
    text = TrainingText(
        title="Booking hotels and trains.", text=f"Booking hotels and trains\n\n{BODY}"
    )
    [pair] = pairs_of(text, kind=Kind.TITLE)
    assert pair == Pair(
        query="Booking hotels and trains", positive=BODY, set="title", origin="structural"
    )


def test_a_long_title_is_taken_out_wherever_it_is_repeated():
    text = TrainingText(
        title="Booking of hotels and trains", text=f"On Booking of Hotels and Trains: {BODY}"
    )
    [pair] = pairs_of(text, kind=Kind.TITLE)
    assert "booking of hotels" not in pair.positive.casefold()


def test_the_passages_of_one_document_share_its_title_and_only_the_first_is_asked_for_by_it():
    passages = [
        TrainingText(title="Travel for new people", text=f"{BODY} Rule {i}.") for i in range(5)
    ]
    [pair] = pairs_of(*passages, kind=Kind.TITLE)
    assert pair.positive.endswith("Rule 0.")


def test_markdown_headings_ask_for_their_sections_and_code_blocks_hold_no_headings():
    markdown = (
        "---\ntitle: 'Travel handbook'\n---\n"
        f"{BODY}\n\n## Booking a hotel\n\n{BODY}\n\n```sh\n# not a heading here\nls\n```\n"
    )
    text = TrainingText(text=markdown)
    assert queries(text, kind=Kind.TITLE) == {"Travel handbook"}
    found = set().union(*(queries(text, kind=Kind.HEADING, seed=seed) for seed in range(12)))
    assert found == {"Booking a hotel", "Travel handbook: Booking a hotel"}


def test_a_heading_over_too_many_texts_is_joined_with_what_is_over_it():
    texts = [
        TrainingText(title=f"{place} office", headings=("Opening hours",), text=f"{place}. {BODY}")
        for place in ("Berlin", "Paris", "Rome", "Oslo")
    ]
    assert queries(*texts, kind=Kind.HEADING) == {
        f"{place} office: Opening hours" for place in ("Berlin", "Paris", "Rome", "Oslo")
    }


def test_titles_that_name_nothing_give_no_pairs():
    texts = [TrainingText(title="General introduction", text=f"{BODY} {i}") for i in range(4)]
    spread = [part for text in texts for part in (text, TrainingText(text=BODY))]
    pairs, report = structural_pairs(
        spread, seed=0, settings=StructureSettings(kinds=(Kind.TITLE,))
    )
    assert pairs == []
    assert report.dropped == {"query of too many texts": 4}


def test_a_heading_flattened_into_the_text_asks_for_what_follows():
    texts = [
        TrainingText(
            text="4. Contests and Promotions From time to time hotels may offer contests to all."
        ),
        TrainingText(
            text="Payment information. For example, we collect the number of a payment card."
        ),
    ]
    assert queries(*texts, kind=Kind.HEADING) == {"Contests and Promotions", "Payment information"}


@pytest.mark.parametrize(
    "text",
    [
        f"Intro to trips.\n\nWho pays for the hotel?\n{BODY}",
        f"Intro to trips.\n\n**Who pays for the hotel?**\n\n{BODY}\n\nMay I fly business?\n\nNo.",
        f"Q: Who pays for the hotel?\nA: {BODY}\n\nQ: May I fly?\nA: No.",
        f"## Who pays for the hotel?\n\n{BODY}",
    ],
)
def test_questions_are_paired_with_their_answers(text: str):
    [pair] = pairs_of(TrainingText(text=text), kind=Kind.QUESTION)
    assert pair.query == "Who pays for the hotel?"
    assert pair.positive == BODY


def test_the_sentence_that_sums_a_text_up_is_taken_out_of_it():
    said = "CONCLUSIONS These findings suggest that hotels should be paid by card."
    text = f"METHODS {BODY} {said} Costs fall."
    [pair] = pairs_of(TrainingText(text=text), kind=Kind.SUMMARY)
    assert pair.query == "hotels should be paid by card"
    assert pair.positive == f"METHODS {BODY} Costs fall."


def test_a_sentence_is_paired_with_its_passage_without_it():
    for seed in range(8):
        [pair] = pairs_of(TrainingText(text=BODY), kind=Kind.SENTENCE, seed=seed)
        assert pair.query.rstrip(",") in BODY
        assert pair.query not in pair.positive
        assert 5 <= count_words(pair.query) <= 20


def test_sentences_that_lean_on_others_or_are_code_become_no_queries():
    text = (
        "This is why the hotel bill goes to accounting. However, the hotel bill may be late. "
        "Set hotel_bill = {accounting: true} for the hotel bill. Does accounting pay hotel bills?"
    )
    assert pairs_of(TrainingText(text=text), kind=Kind.SENTENCE) == []


def test_passages_keep_the_titles_that_their_query_does_not_say_half_of_the_time():
    texts = [
        TrainingText(title="Handbook for all", headings=(f"Booking hotel {i}",), text=f"{BODY} {i}")
        for i in range(60)
    ]
    pairs = pairs_of(*texts, kind=Kind.HEADING)
    named = [pair for pair in pairs if pair.query.startswith("Handbook for all: ")]
    shown = [pair for pair in pairs if pair.positive.startswith("Handbook for all\n")]
    assert 5 <= len(named) <= 25
    assert 10 <= len(shown) <= 40
    assert not any(pair.query.split(": ")[-1] in pair.positive for pair in pairs)


PYTHON = '''def loadUserConfig(path, *, strict=False):
    # read at start
    """Read the settings of a user.

    :param path: where they are
    """
    with open(path) as file:
        return parse(file.read(), strict=strict)

def helper(x):
    return [x for x in loadUserConfig(x) if x and x.name and x.place and x.time]
'''


def test_documentation_and_the_words_of_a_name_ask_for_a_function():
    by_kind = {
        (pair.set, pair.query): pair.positive for pair in pairs_of(TrainingText(text=PYTHON))
    }
    assert set(by_kind) == {
        ("documentation", "Read the settings of a user"),
        ("name", "load user config"),
    }
    documented = by_kind["documentation", "Read the settings of a user"]
    assert "settings" not in documented
    assert "def loadUserConfig(path, *, strict=False):" in documented
    named = by_kind["name", "load user config"]
    assert named.startswith("def _(path")
    assert "Read the settings" in named
    assert "helper" not in named


def test_comments_before_functions_of_other_languages_ask_for_them():
    code = (
        "/**\n * Closes every open order of a customer.\n * @param id of the customer\n */\n"
        "void close(int id) { for (Order order : orders.of(id)) { order.close(now()); } }\n"
    )
    [pair] = pairs_of(TrainingText(text=code), kind=Kind.DOCUMENTATION)
    assert pair.query == "Closes every open order of a customer"
    assert pair.positive.startswith("void close(int id)")


def test_long_texts_are_cut_to_passages_as_long_as_indexed_chunks():
    long = " ".join(f"Sentence {i} speaks of hotels and of trains in town {i}." for i in range(400))
    pairs = pairs_of(TrainingText(title="Trains in towns", text=long))
    assert {pair.set for pair in pairs} == {"title", "sentence"}
    assert all(90 <= count_words(pair.positive) <= 200 for pair in pairs)


def test_text_without_spaces_between_words_gives_pairs_too():
    chinese = "出差人员通过旅行社预订火车票和机票。酒店由出差人员自行预订并报销费用。"
    pairs = pairs_of(TrainingText(title="出差酒店预订", text=chinese))
    assert ("出差酒店预订", chinese) in {(pair.query, pair.positive) for pair in pairs}


def test_the_report_accounts_for_every_candidate_in_json_values():
    texts = [
        TrainingText(title="Hotels", text=BODY),
        TrainingText(title="Booking a hotel", text="Soon."),
        TrainingText(title="Booking a hotel room", text=BODY),
        TrainingText(
            title="Entirely other words", text="Zebras graze where grass grows tall all summer."
        ),
        TrainingText(title="4711-0815 / 12", text=BODY),
    ]
    pairs, report = structural_pairs(texts, seed=0, settings=StructureSettings(kinds=(Kind.TITLE,)))
    assert [pair.query for pair in pairs] == ["Booking a hotel room"]
    assert json.loads(json.dumps(dataclasses.asdict(report))) == {
        "texts": 5,
        "kept": {"title": 1},
        "dropped": {
            "query too short": 1,
            "passage too short": 1,
            "no word in common": 1,
            "query mostly no letters": 1,
        },
    }


def test_the_seed_decides_and_another_text_changes_no_pair_of_the_others():
    texts = [
        TrainingText(title=f"Trip number {i}", text=BODY.replace("otel", f"otel{i}"))
        for i in range(20)
    ]
    assert pairs_of(*texts, seed=1) == pairs_of(*texts, seed=1)
    assert pairs_of(*texts, seed=1) != pairs_of(*texts, seed=2)
    fewer = pairs_of(*texts[:-1], seed=1)
    assert pairs_of(*texts, seed=1)[: len(fewer)] == fewer


@pytest.mark.parametrize(
    "piece", [" ", "\n", ".", "[", "a", "# ", "Q: x\n", "def f(x):\n", "A b. ", "<"]
)
def test_a_long_run_of_anything_takes_no_more_than_seconds(piece: str):
    started = time.process_time()
    structural_pairs([TrainingText(text="Start. " + piece * (200_000 // len(piece)))], seed=0)
    assert time.process_time() - started < 8


@settings(max_examples=60, deadline=None)
@given(
    title=st.text(max_size=20),
    parts=st.lists(
        st.sampled_from(
            ["# ", "Who is it? ", "\n\n", "Hotels cost money. ", "`x`", "é 火", "Q: a\nA: b"]
        )
    ),
)
def test_every_pair_of_any_text_is_within_the_limits(title: str, parts: list[str]):
    for pair in pairs_of(TrainingText(title=title, text="".join(parts))):
        assert 2 <= count_words(pair.query) <= 30
        assert count_words(pair.positive) >= 8
        assert pair.query.strip() == pair.query
        assert pair.positive.strip() == pair.positive


def test_settings_check_themselves():
    with pytest.raises(ValueError, match=r"min_query_words"):
        StructureSettings(min_query_words=9, max_query_words=8)
    with pytest.raises(ValueError, match=r"sentences_per_passage"):
        StructureSettings(sentences_per_passage=0)
    with pytest.raises(ValueError, match=r"min_passage_words"):
        StructureSettings(min_passage_words=0)
