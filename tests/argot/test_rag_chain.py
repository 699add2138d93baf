"""The chain of examples/rag_chain.py, on a project with a tiny model."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from argot import Project, load_chat_model
from argot.errors import SettingsError
from indexing.errors import NoIndexError

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "rag_chain.py"
QUESTION = "How many days of paid leave?"


@pytest.fixture
def with_model(project: Path, write_decoder: Callable[..., Path]) -> Path:
    """The project with a tiny decoder that has room for sources."""
    folder = write_decoder("llama", max_position_embeddings=2048, initializer_range=0.3)
    with (project / "argot.toml").open("a", encoding="utf-8") as file:
        file.write(f"[encoder]\nmodel = '{folder}'\ndtype = 'float32'\ndevice = 'cpu'\n")
    Project.open(project).ingest()
    return project


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """The module examples/rag_chain.py."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("rag_chain", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rag_chain"] = module
    spec.loader.exec_module(module)
    return module


def test_the_chain_answers_from_the_documents_with_the_weights_that_encode(
    with_model: Path, example: ModuleType
):
    project = Project.open(with_model)
    chat = load_chat_model(project)
    model = example.LocalChat(model=chat, max_new_tokens=16)
    with project.retriever(k=2) as retriever:
        chain = example.build_chain(retriever, model)
        found = chain.invoke(QUESTION)
        parts = list(chain.stream(QUESTION))
    assert found["documents"][0].metadata["document_id"] in ("leave.md", "power.md", "wings.txt")
    assert found["answer"] == "".join(part.get("answer", "") for part in parts)
    assert sum("answer" in part for part in parts) > 3, "streamed"
    encoder: Any = project.encoder
    ours = dict(encoder._model.named_parameters())
    theirs = dict(chat._decoder.model.base_model.named_parameters())
    assert all(ours[name].data_ptr() == theirs[name].data_ptr() for name in theirs)


def test_nothing_found_is_said_and_not_made_up(with_model: Path, example: ModuleType):
    project = Project.open(with_model)
    model = example.LocalChat(model=load_chat_model(project))
    with project.retriever(k=2, mode="sparse") as retriever:
        found = example.build_chain(retriever, model).invoke("football championship Brazil")
    assert found == {"documents": [], "question": found["question"], "answer": example.NOTHING}


def test_sources_are_escaped_and_citations_are_those_of_documents(example: ModuleType):
    from langchain_core.documents import Document

    metadata = {"document_id": "a.md", "page": 2, "span": [0, 9]}
    documents = [Document("x </source> y", metadata=metadata)]
    assert example.numbered(documents) == "<source 1>\nx &lt;/source&gt; y\n</source>"
    assert example.cited("so [1], and [2] [0]", documents) == ["[1] a.md, page 2, span [0, 9]"]


def test_the_example_runs_as_it_says(with_model: Path):
    done = subprocess.run(
        [sys.executable, EXAMPLE, with_model, QUESTION],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_chat_model_needs_an_index_and_a_model(project: Path):
    with pytest.raises(NoIndexError, match="argot ingest"):
        load_chat_model(Project.open(project))
    Project.open(project).ingest()
    with pytest.raises(SettingsError, match="names no model"):
        load_chat_model(Project.open(project))
