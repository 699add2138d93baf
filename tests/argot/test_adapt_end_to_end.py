"""From a decoder to an adapted, indexed and searched project, on a tiny random model."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from argot import ArgotEmbeddings, ArgotRetriever, Encoder, Project

pytestmark = pytest.mark.torch

Run = Callable[..., tuple[int, Any, str]]

ADAPT = """
[chunks]
chunk_tokens = 64
overlap_tokens = 8
[[adapt.stages]]
kind = "mntp"
batch_size = 4
max_tokens = 32
[[adapt.stages]]
kind = "simcse"
batch_size = 4
max_tokens = 32
"""


@pytest.fixture
def modelled(project: Path, tiny_decoder_folder: Path) -> Path:
    """The project of three documents, with a model."""
    shutil.copytree(tiny_decoder_folder, project / "models/tiny")
    for number in range(20):
        (project / f"docs/more-{number}.txt").write_text(f"The device number {number} resets.")
    toml = project / "argot.toml"
    encoder = "[encoder]\nmodel = 'models/tiny'\nbase = 'models/tiny'\n"
    toml.write_text(encoder + toml.read_text() + ADAPT)
    return project


def test_adapt_makes_an_encoder_that_indexes_searches_and_exports(
    modelled: Path, argot: Run, tmp_path: Path
) -> None:
    here = ("--project", modelled)
    assert argot("ingest", *here)[0] == 0
    code, made, _ = argot("adapt", "--steps", "2", "--json", *here)
    assert (code, made["name"]) == (0, "adapted-1")
    assert Path(made["report"]).read_text().count("<svg") == 1
    _, listed, _ = argot("encoders", "list", "--json", *here)
    assert listed["encoders"][0]["stages"] == ["mntp", "simcse"]
    _, shown, _ = argot("encoders", "show", "adapted-1", "--json", *here)
    assert shown["lineage"]["stages"][0]["steps"] == 2

    toml = modelled / "argot.toml"
    toml.write_text(toml.read_text().replace("model = 'models/tiny'", "model = 'adapted-1'"))
    code, _, err = argot("search", "device", *here)
    assert (code, "--rebuild" in err or "build" in err) == (4, True)
    assert argot("ingest", *here)[0] == 4
    assert argot("ingest", "--rebuild", *here)[0] == 0
    _, found, _ = argot("search", "device", "--json", *here)
    assert found["hits"][0]["explanation"]["dense"]["rank"] >= 1

    merged = tmp_path / "merged"
    assert argot("encoders", "export", "adapted-1", "--merged", merged, *here)[0] == 0
    adapted = Encoder.load(modelled / ".argot/encoders/adapted-1", dtype="float32")
    again = Encoder.load(merged, dtype="float32")
    assert again.fingerprint == adapted.fingerprint
    texts = ["reset the device", "thirty days of leave"]
    cosines = (adapted.encode_documents(texts) * again.encode_documents(texts)).sum(axis=1)
    assert cosines.min() >= 0.9999
    copied = tmp_path / "copied"
    assert argot("encoders", "export", "adapted-1", "--adapter", copied, *here)[0] == 0
    np.testing.assert_allclose(
        Encoder.load(copied, dtype="float32").encode_documents(texts),
        adapted.encode_documents(texts),
        atol=1e-6,
    )


def test_an_encoder_is_never_overwritten(modelled: Path, argot: Run) -> None:
    here = ("--project", modelled, "--name", "mine", "--text", modelled / "docs", "--steps", "1")
    assert argot("adapt", *here)[0] == 0
    code, _, err = argot("adapt", *here)
    assert (code, "never overwritten" in err) == (2, True)


def test_adapting_an_adapted_encoder_asks_for_its_base(modelled: Path, argot: Run) -> None:
    argot(
        "adapt",
        "--name",
        "mine",
        "--text",
        modelled / "docs",
        "--steps",
        "1",
        "--project",
        modelled,
    )
    toml = modelled / "argot.toml"
    toml.write_text(toml.read_text().replace("'models/tiny'", "'mine'"))
    code, _, err = argot("adapt", "--text", modelled / "docs", "--project", modelled)
    assert (code, "plain decoder checkpoint" in err) == (2, True)


def test_adapt_without_text_says_where_text_comes_from(modelled: Path, argot: Run) -> None:
    code, _, err = argot("adapt", "--project", modelled)
    assert (code, "--text" in err) == (1, True)


def test_the_langchain_retriever_of_a_project_closes_its_index(modelled: Path) -> None:
    project = Project.open(modelled)
    report = project.ingest()
    assert report.added == 23
    with project.retriever(k=2, mode="hybrid") as retriever:
        documents = retriever.invoke("reset the device")
        assert len(documents) == 2
        assert {"score", "explanation", "document_id", "chunk_id", "span"} <= documents[
            0
        ].metadata.keys()
    with ArgotRetriever.from_project(modelled, mode="sparse", k=1) as retriever:
        assert retriever.invoke("thirty days of leave")[0].metadata["document_id"] == "leave.md"


def test_embeddings_load_a_model_folder(tiny_decoder_folder: Path) -> None:
    embeddings = ArgotEmbeddings(tiny_decoder_folder, dimensions=16)
    vector = embeddings.embed_query("leave")
    assert len(vector) == 16
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_vectors_are_truncated_as_the_settings_say(modelled: Path, argot: Run) -> None:
    with (modelled / "argot.toml").open("a") as file:
        file.write("[index]\ndimensions = 8\n")
    assert argot("ingest", "--project", modelled)[0] == 0
    _, status, _ = argot("status", "--project", modelled, "--json")
    assert status["versions"][0]["dimensions"] == 8
    assert argot("search", "device", "--mode", "dense", "--project", modelled)[0] == 0


def test_chunks_longer_than_the_encoder_reads_are_refused(modelled: Path, argot: Run) -> None:
    toml = modelled / "argot.toml"
    toml.write_text(toml.read_text().replace("chunk_tokens = 64", "chunk_tokens = 500"))
    code, _, err = argot("ingest", "--project", modelled)
    assert (code, "must be at most 128" in err) == (2, True)
