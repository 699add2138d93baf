"""Labelled pairs from files."""

import gzip
import json
from pathlib import Path

import pytest

from adapters_training.errors import TrainingPairsError
from adapters_training.pairs import Pair, read_pairs

ROW = {"query": " how? ", "positive": "so", "negatives": ["not so", " "], "qid": 7}


def test_pairs_are_read_from_plain_and_gzipped_lines_and_named_by_their_file(tmp_path: Path):
    plain, packed = tmp_path / "faq.jsonl", tmp_path / "tickets.jsonl.gz"
    plain.write_text(json.dumps(ROW) + "\n\n", encoding="utf-8")
    packed.write_bytes(gzip.compress(json.dumps({**ROW, "set": "own"}).encode()))
    first = Pair(query="how?", positive="so", negatives=("not so",), set="faq")
    assert next(read_pairs([plain, packed])) == first
    assert [pair.set for pair in read_pairs([plain, packed])] == ["faq", "own"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json", "must be a JSON object"),
        ("[1]", "must be a JSON object"),
        ('{"query": 3, "positive": "x"}', "`query` must be text; got 3"),
        ('{"query": "q"}', "`positive` must be text; got None"),
        ('{"query": "q", "positive": "p", "negatives": "n"}', "`negatives` must be a list"),
        ('{"query": "q", "positive": "p", "negative": ["n"]}', "did you mean 'negatives'"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(tmp_path: Path, line: str, message: str):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + line, encoding="utf-8")
    with pytest.raises(TrainingPairsError, match=r"pairs\.jsonl:2") as caught:
        list(read_pairs([path]))
    assert message in str(caught.value)


def test_a_pair_with_an_empty_side_is_left_out_and_a_file_of_none_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({**ROW, "positive": " "}) + "\n" + json.dumps(ROW))
    assert len(list(read_pairs([path]))) == 1
    assert "pairs.jsonl:1 is left out" in caplog.text
    path.write_text("")
    with pytest.raises(TrainingPairsError, match="holds none"):
        list(read_pairs([path]))
