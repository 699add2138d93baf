"""An index without vectors, asked outright for hybrid searches."""

from pathlib import Path

import pytest

from argot.langchain import ArgotRetriever
from argot.project import Project


@pytest.fixture
def words_only(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/leave.md").write_text("Thirty days of leave.")
    (tmp_path / "argot.toml").write_text("[[sources]]\nname = 'docs'\npath = 'docs'\n")
    Project.open(tmp_path).ingest()
    return tmp_path


def test_hybrid_is_answered_by_words_however_a_retriever_is_made(words_only: Path):
    for retriever in (
        ArgotRetriever.from_project(words_only, mode="hybrid"),
        ArgotRetriever.from_projects([words_only], mode="hybrid"),
        Project.open(words_only).retriever(mode="hybrid"),
    ):
        with retriever:
            assert len(retriever.invoke("leave")) == 1
