"""`argot eval` with encoders of several kinds, on documents, sentence pairs and words."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from argot.errors import SettingsError
from argot.evaluation.baselines import parse_measurable
from argot.settings import EncoderChoice

Run = Callable[..., tuple[int, Any, str]]

PAIRS = "sentence1\tsentence2\tscore\n" + "".join(
    f"{first}\t{second}\t{score}\n"
    for first, second, score in [
        ("wing lift and drag", "wing lift and drag", 5),
        ("press the power button", "press the reset button", 4),
        ("thirty days of leave", "leave in every year", 3),
        ("the lazy dog", "a flat plate", 1),
        ("supersonic flow", "employees may take leave", 0),
    ]
)
WORDS = "The O\nwing B-part\n\nPress O\nthe O\npower B-part\nbutton I-part\n\n"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside of any project with every kind of file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.tsv").write_text(PAIRS)
    (tmp_path / "words.conll").write_text(WORDS * 3)
    (tmp_path / "tags.conll").write_text("The DET\nwing NOUN\n")
    collection = tmp_path / "collection"
    collection.mkdir()
    texts = {"1": "wing lift and drag", "2": "press the power button", "3": "days of leave"}
    for name, prefix in (("corpus", ""), ("queries", "q")):
        lines = [json.dumps({"_id": f"{prefix}{i}", "text": text}) for i, text in texts.items()]
        (collection / f"{name}.jsonl").write_text("\n".join(lines))
    (collection / "qrels_test.tsv").write_text("".join(f"q{i}\t{i}\t1\n" for i in texts))
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert/config.json").write_text('{"model_type": "bert"}')
    return tmp_path


def test_options_of_one_encoder_follow_its_name_and_go_before_those_of_all(tmp_path: Path):
    common = EncoderChoice(pooling="mean", dtype="float32")
    plain = parse_measurable("ours", common=common)
    assert (plain.label, plain.choice, plain.echo) == (
        "ours",
        EncoderChoice(model="ours", pooling="mean", dtype="float32"),
        False,
    )
    own = parse_measurable("ours,causal,echo,pooling=last_token,max_tokens=64", common=common)
    assert own.echo
    assert own.choice == EncoderChoice(
        model="ours", pooling="last_token", dtype="float32", causal=True, max_tokens=64
    )
    prompted = parse_measurable("e5,query_instruction=query: ", common=common)
    assert prompted.choice.query_instruction == "query: "
    odd = tmp_path / "a,causal"
    odd.mkdir()
    assert parse_measurable(str(odd), common=common).choice.model == str(odd)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ours,casual", "'casual' must be KEY=VALUE"),
        ("ours,poling=mean", "did you mean `pooling`"),
        ("ours,max_tokens=many", "max_tokens must be a whole number"),
    ],
)
def test_an_option_that_is_not_known_is_refused(text: str, said: str):
    with pytest.raises(SettingsError, match=said):
        parse_measurable(text, common=EncoderChoice())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sts", "pairs.tsv", "--beir", "collection"],
        ["--sts", "pairs.tsv", "--metric", "ndcg@10", "--encoder", "x"],
        ["--sts", "pairs.tsv", "--shift", "--encoder", "x"],
        ["--sts", "pairs.tsv", "--fail-under", "ndcg@10=0.5", "--encoder", "x"],
        ["--sts", "pairs.tsv", "--encoder", "x", "--encoder", "x"],
        ["--sts", "pairs.tsv"],  # no encoder, no project
        ["--tokens", "words.conll", "--encoder", "x"],
        ["--tokens", "words.conll", "--tokens-train", "words.conll", "--dims", "8"],
        ["--beir", "collection", "--tokens-train", "words.conll"],
        ["--beir", "collection", "--encoder", "x", "--mode", "sparse"],
        ["--beir", "collection", "--encoder", "x", "--encoder", "y", "--per-query", "f"],
        ["--queries", "pairs.tsv"],
        ["--queries", "pairs.tsv", "--qrels", "pairs.tsv", "--encoder", "x"],
    ],
)
@pytest.mark.usefixtures("data")
def test_what_would_be_ignored_or_is_missing_is_refused_before_anything_runs(
    argot: Run, arguments: list[str]
):
    assert argot("eval", *arguments)[0] == 2


@pytest.mark.torch
@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("flag", [["--causal"], ["--echo"], ["--pooling", "last_token"]])
def test_a_flag_that_does_not_fit_the_folder_is_refused(argot: Run, flag: list[str]):
    code, _, err = argot("eval", "--sts", "pairs.tsv", "--encoder", "bert", *flag)
    assert code == 2
    assert f"`{flag[0].removeprefix('--')}` is for decoders; bert is" in err
    assert "hint" in err


@pytest.mark.torch
@pytest.mark.usefixtures("data")
def test_one_table_holds_several_encoders_on_sentence_pairs(argot: Run, tiny_decoder_folder: Path):
    kinds = ["", ",causal", ",causal,pooling=last_token", ",echo"]
    named = [f"{tiny_decoder_folder}{kind}" for kind in kinds]
    asked = [part for name in named for part in ("--encoder", name)]
    code, report, _ = argot("eval", "--sts", "pairs.tsv", *asked, "--dtype", "float32", "--json")
    assert code == 0
    rows = report["encoders"]
    assert [row["encoder"] for row in rows] == named
    values = [row["metrics"]["spearman"]["value"] for row in rows]
    assert len(set(values)) > 1
    assert all(-1 <= row["metrics"]["spearman"]["low"] <= 1 for row in rows)
    assert rows[0]["against_first"] == {}
    difference = rows[1]["against_first"]["spearman"]
    assert difference["difference"] == pytest.approx(values[1] - values[0])
    assert difference["low"] <= difference["difference"] <= difference["high"]
    _, table, _ = argot("eval", "--sts", "pairs.tsv", *asked, "--dtype", "float32")
    assert table.startswith("5 pairs; values times 100\n")
    assert f"{values[0] * 100:.2f} (" in table
    assert f"minus {named[0]}" in table


@pytest.mark.torch
@pytest.mark.usefixtures("data")
def test_one_encoder_on_sentence_pairs_can_fail_a_gate(argot: Run, tiny_decoder_folder: Path):
    asked = ("eval", "--sts", "pairs.tsv", "--encoder", tiny_decoder_folder, "--dims", "8")
    code, report, _ = argot(*asked, "--json")
    assert code == 0
    assert report["pairs"] == 5
    value = report["metrics"]["spearman"]["value"]
    assert argot(*asked, "--fail-under", f"spearman={value - 0.01}")[0] == 0
    code, _, err = argot(*asked, "--fail-under", f"spearman={value + 0.01}")
    assert (code, "must be at least" in err) == (1, True)


@pytest.mark.torch
@pytest.mark.usefixtures("data")
def test_words_are_measured_by_accuracy_and_by_spans_where_there_are_any(
    argot: Run, tiny_decoder_folder: Path
):
    asked = ("eval", "--encoder", tiny_decoder_folder, "--json", "--tokens")
    code, report, _ = argot(*asked, "words.conll", "--tokens-train", "words.conll")
    assert code == 0
    assert (report["sentences"], report["words"]) == (6, 18)
    assert report["metrics"]["accuracy"]["value"] == 1  # seen in training
    assert report["metrics"]["f1"]["value"] == 1
    _, again, _ = argot(*asked, "words.conll", "--tokens-train", "words.conll")
    assert again == report
    _, shifted, _ = argot(*asked, "words.conll", "--tokens-train", "words.conll", "--shift")
    assert shifted["words"] == 18
    _, plain, _ = argot(*asked, "tags.conll", "--tokens-train", "tags.conll")
    assert set(plain["metrics"]) == {"accuracy"}
    code, _, err = argot(
        *asked, "tags.conll", "--tokens-train", "tags.conll", "--fail-under", "f1=0.5"
    )
    assert (code, "no tag marks a span" in err) == (2, True)


@pytest.mark.torch
@pytest.mark.usefixtures("data")
def test_echo_has_no_words_to_measure(argot: Run, tiny_decoder_folder: Path):
    code, _, err = argot(
        *("eval", "--tokens", "words.conll", "--tokens-train", "words.conll"),
        *("--encoder", f"{tiny_decoder_folder},echo"),
    )
    assert (code, "no states of words" in err) == (2, True)


@pytest.mark.torch
@pytest.mark.usefixtures("data")
def test_one_table_holds_several_encoders_on_a_collection(
    argot: Run, tiny_models: ModuleType, tmp_path: Path
):
    # long enough for chunks of the usual size
    folder = tiny_models.write_tiny_decoder(tmp_path / "long", max_position_embeddings=512)
    asked = ["--encoder", folder, "--encoder", f"{folder},causal"]
    code, report, err = argot(
        "eval", "--beir", "collection", *asked, "--dtype", "float32", "--metric", "mrr@10", "--json"
    )
    assert (code, report["schema_version"]) == (0, 1)
    first, second = report["encoders"]
    assert first["queries"] == second["queries"] == 3
    assert first["metrics"]["mrr@10"]["value"] == 1  # each query is a document's own text
    assert second["against_first"]["mrr@10"] == {"difference": 0, "p": 1}
    assert f"measuring {folder},causal" in err


@pytest.mark.torch
@pytest.mark.usefixtures("data")
def test_a_sentence_transformers_folder_is_measured_beside_a_decoder(
    argot: Run, tiny_decoder_folder: Path, tmp_path: Path
):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies warn while they are imported
        from sentence_transformers import SentenceTransformer

        other = tmp_path / "other"
        SentenceTransformer(str(tiny_decoder_folder), device="cpu").save(
            str(other), create_model_card=False
        )
        code, report, _ = argot(
            *("eval", "--sts", "pairs.tsv", "--json", "--encoder", other),
            *("--encoder", f"{tiny_decoder_folder},causal,pooling=last_token,dtype=float32"),
        )
    assert code == 0
    ours, theirs = (row["metrics"]["spearman"] for row in report["encoders"])
    assert ours == pytest.approx(theirs)  # the library takes a plain decoder's last state
