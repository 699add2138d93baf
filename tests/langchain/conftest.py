"""Projects and vector stores for LangChain's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from encoder.fake import HashingEncoder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without sources; what is put into it is encoded by words in buckets."""
    (tmp_path / "argot.toml").write_text("", encoding="utf-8")
    project = Project.open(tmp_path)
    project.encoder = HashingEncoder(64)
    return project


@pytest.fixture
def store(project: Project) -> Iterator[ArgotVectorStore]:
    """An empty vector store in that project."""
    with ArgotVectorStore(project) as store:
        yield store
