"""Several projects as one LangChain retriever."""

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from argot import Project
from argot.errors import SettingsError
from argot.langchain import ArgotRetriever
from retriever.errors import MissingPrincipalError
from retriever.langchain.asking import principals_of


def make_project(folder: Path, *, text: str, **fields: Any) -> Path:
    folder.mkdir(exist_ok=True)
    protected = str("access" in fields).lower()
    (folder / "argot.toml").write_text(
        f"[[sources]]\nname = 'docs'\npath = 'all.jsonl'\nprotected = {protected}\n"
    )
    (folder / "all.jsonl").write_text(json.dumps({"_id": folder.name, "text": text, **fields}))
    assert not Project.open(folder).ingest().failed
    return folder


async def test_each_index_keeps_its_own_access_rules(tmp_path: Path):
    handbook = make_project(tmp_path / "handbook", text="Leave is thirty days.")
    board = make_project(tmp_path / "board", text="Leave is paid.", access=["group:board"])

    with ArgotRetriever.from_projects([handbook, board], k=5) as retriever:
        with pytest.raises(MissingPrincipalError):
            retriever.invoke("leave")
        stranger: Any = {"configurable": {"principals": ["user:x"]}}
        assert [one.metadata["index"] for one in retriever.invoke("leave", stranger)] == [
            "handbook"
        ]
        for names in (["group:board"], {"board": ["group:board"], "handbook": []}):
            config: Any = {"configurable": {"principals": names}}
            found = await retriever.ainvoke("leave", config)
            assert found == retriever.invoke("leave", config)
            assert {one.metadata["index"] for one in found} == {"handbook", "board"}
        nobody: Any = {"configurable": {"principals": {"handbook": ["group:board"]}}}
        with pytest.raises(MissingPrincipalError):
            await retriever.ainvoke("leave", nobody)
        params = retriever._get_ls_params()
        assert "handbook/" in str(params.get("ls_vector_store_provider"))
        assert "board/" in str(params.get("ls_vector_store_provider"))


def test_all_indexes_are_renewed(tmp_path: Path):
    one = make_project(tmp_path / "one", text="Leave is thirty days.")
    two = make_project(tmp_path / "two", text="Unused leave expires.")

    with ArgotRetriever.from_projects([one, two], follow=False) as retriever:
        assert not retriever.refresh()
        make_project(two, text="Unused leave never expires.")
        assert retriever.refresh()
        texts = {document.page_content for document in retriever.invoke("leave")}
    assert texts == {"Leave is thirty days.", "Unused leave never expires."}


def test_a_project_is_searched_once(tmp_path: Path):
    one = make_project(tmp_path / "one", text="Leave is thirty days.")
    with pytest.raises(SettingsError, match="may be searched once"):
        ArgotRetriever.from_projects([one, one])
    with pytest.raises(ValueError, match="at least one index"):
        ArgotRetriever.from_projects([])


def test_a_tenant_beside_principals_by_index_is_refused_with_the_form_that_holds():
    asked: RunnableConfig = {"configurable": {"principals": {"a": ["user:x"]}, "tenant": "acme"}}
    with pytest.raises(TypeError, match=r'by index name tenants too(?s:.)*"tenant:acme"'):
        principals_of(asked)
