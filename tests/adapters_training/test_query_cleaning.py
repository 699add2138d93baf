"""What is taken off a written line, and which lines are no queries."""

from pathlib import Path

import pytest

from adapters_training.errors import TrainingPairsError
from adapters_training.settings.synthetic import SyntheticSettings
from adapters_training.synthetic.cleaning import generic_queries, scripts, why_unfit
from adapters_training.synthetic.lines import WrittenLines
from encoder.line_cleaning import tidy

PASSAGE = (
    "Travel expenses\nExpenses up to 500 euros are approved by the head of the team. "
    "Higher amounts need the written consent of the finance department."
)
PROMPTED = ["Write a specific question about this passage.", "leave"]


@pytest.mark.parametrize(
    ("line", "query"),
    [
        ("who approves expenses?", "who approves expenses?"),
        ("1. Who approves expenses?", "Who approves expenses?"),
        ("(2) Who approves expenses?", "Who approves expenses?"),
        ("- Who  approves\texpenses?", "Who approves expenses?"),
        ("Question: Who approves expenses?", "Who approves expenses?"),
        ("**Question 1:** Who approves expenses?", "Who approves expenses?"),
        ('Q: "Who approves expenses?"', "Who approves expenses?"),
        ("\u201eWer genehmigt Reisen?\u201c", "Wer genehmigt Reisen?"),
        ('who is the "head" of the team', 'who is the "head" of the team'),
        ('the team\'s "head"', 'the team\'s "head"'),
        ("2024 expenses", "2024 expenses"),
        ("3.5 mm jack", "3.5 mm jack"),
        ("", ""),
        ('""', ""),
    ],
)
def test_numbering_labels_and_quotation_marks_are_taken_off(line: str, query: str):
    assert tidy(line) == query


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("who approves expenses above 500 euros?", None),
        ("how do I request leave?", None),
        ("written consent", None),
        ("", "empty"),
        ("?!", "empty"),
        ("why", "too short"),
        ("500 euros? " * 40, "too long"),
        (
            'what is the answer to "what is the answer to what is the answer to what"',
            "repeats itself",
        ),
        ("Leave!", "echoes the prompt"),
        ("Please write a specific question about this passage", "echoes the prompt"),
        ("what does the text above say about expenses?", "speaks of the passage"),
        ("what is this passage about?", "speaks of the passage"),
        ("which passage leads to the finance department?", None),
        ("Expenses up to 500 euros are approved by the head of the team", "copies the passage"),
        ("кто утверждает командировочные расходы?", "other script"),
    ],
)
def test_a_line_is_a_query_or_there_is_a_reason_against_it(query: str, reason: str | None):
    assert why_unfit(query, PASSAGE, prompted=PROMPTED) == reason


def test_japanese_passages_take_queries_in_kana_and_kanji_and_none_in_latin():
    sentence = "五百ユーロまでの旅費はチームの責任者が出発の前に書面で承認することになっている"
    passage = f"{sentence}。それ以上は財務部の同意が必要です。"
    assert why_unfit("旅費はだれが承認しますか", passage, prompted=[]) is None
    assert why_unfit("who approves this", passage, prompted=[]) == "other script"
    assert why_unfit(sentence, passage, prompted=[]) == "copies the passage"


def test_the_scripts_of_a_text_are_told_with_their_shares():
    assert scripts("aж ж") == {"LATIN": 1 / 3, "CYRILLIC": 2 / 3}
    assert scripts("123") == {}


def test_queries_nearly_the_same_for_different_passages_are_generic():
    queries = [
        "What is the purpose of the tracking technology?",
        "what is the purpose of tracking, the technologies",
        "who approves expenses?",
        "who approves expenses?",
        "which expenses are approved?",
    ]
    assert generic_queries(queries, [0, 1, 2, 2, 3]) == {0, 1}


def test_written_lines_outlive_a_restart_and_a_torn_line_is_written_again(tmp_path: Path):
    path = tmp_path / "run" / "queries.jsonl"
    lines = WrittenLines(path)
    lines.add({"a": ("é 漢\n", None), "b": ()})
    lines.add({"c": ("whole",)})
    path.write_bytes(path.read_bytes()[:-9])
    torn = WrittenLines(path)
    assert torn.get("a") == ("é 漢\n", None)
    assert torn.get("b") == ()
    assert torn.get("c") is None
    torn.add({"c": ("again",)})
    assert WrittenLines(path).get("c") == ("again",)
    assert WrittenLines(path).get("a") == ("é 漢\n", None)


def test_a_place_that_holds_no_file_is_named(tmp_path: Path):
    with pytest.raises(TrainingPairsError, match="can't be read"):
        WrittenLines(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(TrainingPairsError, match=r"must be kept in .*queries\.jsonl"):
        WrittenLines(tmp_path / "file" / "queries.jsonl").add({"a": ()})


@pytest.mark.parametrize(
    "wrong",
    [
        {"passages": 0},
        {"queries_per_passage": 0},
        {"examples": -1},
        {"temperature": -0.1},
        {"temperature": 0.0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"keep_rank": 0},
        {"instruction": " "},
        {"prompt": "chatty"},
        {"filter": "neither"},
    ],
)
def test_settings_that_can_not_be_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
        SyntheticSettings(**wrong)  # type: ignore[arg-type]
