"""Text files, corpora and the batches' order."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters_training.errors import TrainingTextError
from adapters_training.stages.ordering import BatchOrder
from adapters_training.text.documents import TrainingText
from adapters_training.text.files import read_texts


def test_a_folder_gives_its_text_files_and_jsonl_lines_in_order(tmp_path: Path):
    (tmp_path / "b.txt").write_text("second", encoding="utf-8")
    (tmp_path / "a.md").write_text("first", encoding="utf-8")
    (tmp_path / "ignored.bin").write_bytes(b"\0")
    (tmp_path / "a-folder.md").mkdir()
    (tmp_path / ".argot").mkdir()
    (tmp_path / ".argot/metrics.jsonl").write_text('{"loss": 1}\n', encoding="utf-8")
    lines = [{"_id": "1", "title": "T", "text": "third"}, {"text": "fourth"}]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n", encoding="utf-8")
    found = [text.whole for text in read_texts([tmp_path])]
    assert found == ["first", "second", "T\nthird", "fourth"]


def test_what_stands_over_a_text_is_read_with_it_unless_the_text_begins_with_it():
    text = TrainingText(text="## Leave\n\nThirty days.", title="Handbook", headings=("Leave",))
    assert text.whole == "Handbook\n## Leave\n\nThirty days."
    assert text.with_text("More.").whole == "Handbook > Leave\nMore."


@pytest.mark.parametrize("line", ['{"text": 3}', '["x"]', "not json"])
def test_a_bad_line_is_named_with_file_and_number(tmp_path: Path, line: str):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "fine"}\n' + line, encoding="utf-8")
    with pytest.raises(TrainingTextError, match=r"texts\.jsonl:2: must be"):
        list(read_texts([path]))


def test_a_missing_file_an_unknown_kind_and_a_folder_without_text_are_refused(tmp_path: Path):
    with pytest.raises(TrainingTextError, match=r"absent\.txt"):
        list(read_texts([tmp_path / "absent.txt"]))
    with pytest.raises(TrainingTextError, match=r"must be a folder or a"):
        list(read_texts([tmp_path / "absent.pdf"]))
    with pytest.raises(TrainingTextError, match=r"holds none"):
        list(read_texts([tmp_path]))


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    batch_size=st.integers(1, 9),
    like_lengths=st.booleans(),
)
def test_an_epoch_has_no_example_twice_and_leaves_out_less_than_a_batch(
    lengths: list[int], batch_size: int, like_lengths: bool
):
    order = BatchOrder(lengths, batch_size=batch_size, seed=1, like_lengths=like_lengths)
    seen = [i for step in range(order.batches_per_epoch) for i in order.batch(step)]
    assert len(seen) == len(set(seen))
    assert len(lengths) - len(seen) < min(batch_size, len(lengths))


def test_a_steps_batch_does_not_depend_on_the_steps_asked_for_before():
    lengths = list(range(1, 41))
    forwards = BatchOrder(lengths, batch_size=4, seed=3)
    backwards = BatchOrder(lengths, batch_size=4, seed=3)
    there = [forwards.batch(step) for step in range(25)]
    back = [backwards.batch(step) for step in reversed(range(25))]
    assert there == back[::-1]
    assert there[:10] != there[10:20]
    assert there != [BatchOrder(lengths, batch_size=4, seed=4).batch(step) for step in range(25)]


def test_batches_of_like_length_have_little_padding():
    lengths = [1 + (i * 37) % 100 for i in range(400)]

    def padding(order: BatchOrder) -> float:
        batches = [order.batch(step) for step in range(order.batches_per_epoch)]
        padded = sum(len(b) * max(lengths[i] for i in b) for b in batches)
        return 1 - sum(lengths) / padded

    assert padding(BatchOrder(lengths, batch_size=10, seed=0)) > 0.4
    assert padding(BatchOrder(lengths, batch_size=10, seed=0, like_lengths=True)) < 0.1
