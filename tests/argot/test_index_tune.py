"""`argot index tune`, and a project whose vectors are made smaller as it says."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from argot.errors import SettingsError
from argot.project import Project
from encoder.fake import HashingEncoder
from indexing.errors import IndexingError

Run = Callable[..., tuple[int, Any, str]]

WIDTH = 64
DOCUMENTS = 90
SETTINGS = """\
# Of this project.
[[sources]]
name = "docs"
path = "docs.jsonl"

[index]
# dimensions = 256            # keep that many
storage = "f32"  # plain
language = "none"

[search]
mode = "dense"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an encoder that needs no model, 90 documents and 20 judged queries."""
    monkeypatch.setattr("argot.loaded_models.load_encoder", lambda *_: HashingEncoder(WIDTH))
    rng = np.random.default_rng(0)
    topics = [[f"t{topic}w{word}" for word in range(12)] for topic in range(30)]
    documents, queries, qrels = [], [], []
    for number in range(DOCUMENTS):
        words = topics[number % 30]
        text = " ".join([*rng.choice(words, 15), f"only{number}"])
        documents.append({"_id": f"d{number}", "text": text})
    for number in range(20):
        chosen = rng.choice(topics[number], 6)
        queries.append({"_id": f"q{number}", "text": " ".join(chosen)})
        qrels += [f"q{number}\td{number + 30 * part}\t1" for part in range(3)]
    for name, records in (("docs", documents), ("queries", queries)):
        lines = "\n".join(map(json.dumps, records))
        (tmp_path / f"{name}.jsonl").write_text(lines + "\n")
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(qrels) + "\n")
    (tmp_path / "argot.toml").write_text(SETTINGS)
    return tmp_path


def tune(argot: Run, folder: Path, *more: str) -> tuple[int, Any, str]:
    files = ("--queries", folder / "queries.jsonl", "--qrels", folder / "qrels.tsv")
    return argot("index", "tune", "--project", folder, *files, *more)


def test_tuning_measures_every_option_draws_and_writes_the_choice(folder: Path, argot: Run):
    Project.open(folder).ingest()
    code, found, _ = tune(argot, folder, "--keep", "0.9", "--write", "--json")
    assert code == 0
    by_name = {option["name"]: option for option in found["options"]}
    full, chosen = by_name["64, f32"], by_name[found["chosen"]]
    assert len(by_name) == 33
    assert {"pca 16, turbo8", "whitening 32, f32", "64, f32, tq4 x3", "64, f32, first 8 x3"} <= {
        *by_name
    }
    assert chosen["ndcg@10"]["value"] >= 0.9 * full["ndcg@10"]["value"]
    # No factor: so few vectors fill few pages of the disk.
    assert chosen["bytes_per_chunk"] < full["bytes_per_chunk"]
    assert chosen["front"]
    assert by_name["64, f32, tq4 x3"]["bytes_per_chunk"] > full["bytes_per_chunk"], "originals stay"
    page = Path(found["plot"]).read_text()
    assert found["plot"] == str(folder / ".argot" / "tuning.html")
    assert "<svg" in page
    assert found["chosen"] in page
    text = (folder / "argot.toml").read_text()
    assert "# Of this project." in text
    assert "# keep that many" in text
    kept = {k: v for k, v in chosen["settings"].items() if v is not None}
    index = tomllib.loads(text)["index"]
    assert index["language"] == "none"
    assert {**kept, **index}.keys() - {"language"} == kept.keys()
    assert all(kept[name] == value for name, value in index.items() if name != "language")
    assert Project.open(folder).settings.index.reduction.dimensions == kept.get("dimensions")


def test_the_table_names_the_front_and_the_choice(folder: Path, argot: Run):
    Project.open(folder).ingest()
    before = (folder / "argot.toml").read_text()
    code, out, err = tune(argot, folder, "--chunks", "60")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["vectors", "nDCG@10"]
    assert sum(line.endswith("chosen") for line in lines) == 1
    assert "the smallest that keeps 99.0% of the quality" in err
    assert (folder / "argot.toml").read_text() == before


@pytest.mark.parametrize(
    "reduction",
    ['projection = "pca"\ndimensions = 24', "dimensions = 32", 'storage = "turbo8"'],
)
def test_a_reduced_index_is_filled_searched_and_filled_further(
    folder: Path, argot: Run, reduction: str
):
    settings = folder / "argot.toml"
    settings.write_text(SETTINGS.replace('storage = "f32"  # plain', reduction))
    project = Project.open(folder)
    project.ingest()
    whole = (folder / "docs.jsonl").read_text()
    more = json.dumps({"_id": "new", "text": "t3w1 t3w2 entirely new words here"})
    (folder / "docs.jsonl").write_text(f"{whole}{more}\n")
    assert project.ingest().added == 1
    with project.search_session(k=3) as session:
        best = session.searcher.search("t3w1 t3w2 entirely new words here")
        assert best[0].document_id == "new"
        assert best[0].score > 0
    code, _, err = tune(argot, folder)
    assert code == 2
    assert "tuning needs the encoder's own vectors, 64 dimensions in f32" in err
    assert "hint: " in err


def test_a_corpus_too_small_for_a_projection_is_refused_and_leaves_nothing(folder: Path):
    settings = folder / "argot.toml"
    settings.write_text(SETTINGS.replace('storage = "f32"', 'projection = "pca"'))
    lines = (folder / "docs.jsonl").read_text().splitlines(keepends=True)
    (folder / "docs.jsonl").write_text("".join(lines[:10]))
    project = Project.open(folder)
    with pytest.raises(IndexingError, match="more than 64 chunks; got 10"):
        project.ingest()
    assert not list(project.paths.indexes.glob("*/version.json"))


def test_a_reduction_that_the_encoder_is_too_narrow_for_is_refused(folder: Path):
    settings = folder / "argot.toml"
    settings.write_text(SETTINGS.replace('storage = "f32"', "two_stage = 64"))
    with pytest.raises(SettingsError, match=r"\[index\]: `two_stage` must be fewer than the 64"):
        Project.open(folder).ingest()


def test_judgements_of_other_documents_are_refused(folder: Path, argot: Run):
    Project.open(folder).ingest()
    qrels = folder / "qrels.tsv"
    qrels.write_text(qrels.read_text().replace("\td", "\tother"))
    code, _, err = tune(argot, folder)
    assert code == 2
    assert "it has none of them" in err
    code, _, err = argot("index", "tune", "--project", folder)
    assert code == 2
    assert "needs judged queries" in err
