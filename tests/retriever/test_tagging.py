"""CoNLL columns and the measures of conlleval."""

from pathlib import Path

import numpy as np
import pytest

from retriever.errors import JudgementsError
from retriever.evaluation.tagging import TaggedSentences, read_conll, score_tags, spans


def tagged(*sentences: str) -> TaggedSentences:
    rows = tuple(tuple(sentence.split()) for sentence in sentences)
    return TaggedSentences(words=rows, tags=rows)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O B-loc I-loc O", {(1, 3, "loc")}),
        ("B-loc B-loc", {(0, 1, "loc"), (1, 2, "loc")}),
        ("I-loc I-loc O", {(0, 2, "loc")}),  # IOB1, and what a probe may say
        ("O I-loc I-per", {(1, 2, "loc"), (2, 3, "per")}),
        ("B-creative-work I-creative-work", {(0, 2, "creative-work")}),
        ("O O", set()),
    ],
)
def test_spans_are_those_of_conlleval(tags: str, found: set[tuple[int, int, str]]):
    assert spans(tags.split()) == found


def test_a_span_counts_whole_and_with_its_type():
    gold = tagged("O B-loc I-loc", "B-per O", "O O")
    predicted = [["O", "B-loc", "O"], ["B-per", "O"], ["O", "B-loc"]]
    report = score_tags(gold, predicted, rng=np.random.default_rng(0))
    assert (report.sentences, report.words) == (3, 7)
    assert report.accuracy.value == pytest.approx(5 / 7)
    assert report.f1 is not None
    assert report.f1.value == pytest.approx(2 * 1 / (2 + 3))  # one hit; 2 spans to find, 3 said


def test_right_tags_give_one_and_none_found_gives_zero_without_an_error():
    gold = tagged("O B-loc I-loc", "B-per O")
    perfect = score_tags(gold, gold.tags, rng=np.random.default_rng(0))
    nothing = score_tags(gold, [["O"] * 3, ["O"] * 2], rng=np.random.default_rng(0))
    assert perfect.f1 is not None
    assert nothing.f1 is not None
    assert (perfect.accuracy.value, perfect.f1.value) == (1, 1)
    assert (perfect.f1.interval().low, nothing.f1.value) == (1, 0)


def test_tags_that_mark_no_spans_have_an_accuracy_alone():
    report = score_tags(tagged("DET NOUN"), [["DET", "VERB"]], rng=np.random.default_rng(0))
    assert report.accuracy.value == 0.5
    assert report.f1 is None


def test_a_word_without_a_predicted_tag_is_an_error():
    with pytest.raises(ValueError, match="one tag for each word"):
        score_tags(tagged("O O"), [["O"]], rng=np.random.default_rng(0))


def test_columns_are_read_with_tabs_or_spaces_and_the_tag_from_any_of_them(tmp_path: Path):
    path = tmp_path / "a.conll"
    path.write_text("-DOCSTART- -X- O\n\nEU NNP B-org\nrejects VBZ O\n \n\nNew York\tNNP\tB-loc\n")
    read = read_conll(path)
    assert read.words == (("EU", "rejects"), ("New York",))
    assert read.tags == (("B-org", "O"), ("B-loc",))
    assert read.has_spans
    parts_of_speech = read_conll(path, column=2)
    assert parts_of_speech.tags == (("NNP", "VBZ"), ("NNP",))
    assert not parts_of_speech.has_spans


def test_a_line_without_the_column_is_named(tmp_path: Path):
    path = tmp_path / "a.conll"
    path.write_text("EU B-org\nrejects\n")
    with pytest.raises(JudgementsError, match=r"a\.conll:2: .*column 2; got 1 columns"):
        read_conll(path)
    with pytest.raises(JudgementsError, match=r"a\.conll:1: .*column 3; got 2 columns"):
        read_conll(path, column=3)
    path.write_text("\n\n")
    with pytest.raises(JudgementsError, match="must hold words with tags"):
        read_conll(path)


def test_the_sentences_of_wnut17_are_all_read(shared_data: Path):
    folder = shared_data / "wnut17"
    counts = [len(read_conll(folder / f"{name}.conll").words) for name in ("train", "test")]
    assert counts == [3394, 1287]
