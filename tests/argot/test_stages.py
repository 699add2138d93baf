"""Second stages made from a project's settings."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from argot.errors import SettingsError
from argot.project import Project
from argot.settings import parse_settings
from argot.stages import StageModels

Run = Callable[..., tuple[int, Any, str]]

DOCUMENTS = {
    "leave.md": "# Leave\n\nEmployees may take thirty days of leave in every year.\n",
    "power.md": "# Power\n\nPress the power button for three seconds to reset the device.\n",
    "wing.md": "# Wing\n\nWing lift and drag in supersonic flow over a flat plate.\n",
}


def settings_of(root: Path, **tables: dict[str, Any]) -> Any:
    return parse_settings(tables, root=root)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"search": {"rerank": "crossencoder"}}, r"\[search\] rerank .*`cross-encoder`"),
        ({"search": {"expand": "hyde-2"}}, r"\[search\] expand .*`hyde`"),
        ({"stages": {"languagemodel": "x"}}, "`languagemodel`\nhint: .*`language_model`"),
        ({"stages": {"text_tokens": 8}}, "`text_tokens` must be at least 16; got 8"),
        ({"stages": {"passages": 3}}, "`passages` = 3 needs `temperature` above 0"),
        ({"stages": {"temperature": -0.5}}, "`temperature` must be a finite number >= 0"),
    ],
)
def test_a_stage_that_there_is_none_of_is_refused_when_the_settings_are_read(
    tmp_path: Path, tables: dict[str, Any], message: str
):
    with pytest.raises(SettingsError, match=f"(?s){message}"):
        settings_of(tmp_path, **tables)


def words_only(root: Path, *, more: str = "") -> Project:
    (root / "docs").mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (root / "docs" / name).write_text(text, encoding="utf-8")
    (root / "argot.toml").write_text(
        f'[[sources]]\nname = "docs"\npath = "docs"\n{more}', encoding="utf-8"
    )
    project = Project.open(root)
    project.ingest()
    return project


def test_a_model_that_is_not_there_is_named_when_it_is_first_asked_for(tmp_path: Path):
    project = words_only(tmp_path, more='[stages]\ncross_encoder = "nowhere"\n')
    with project.search_session() as session:
        search = session.searcher.search
        assert len(search("days of leave")) == 1
        with pytest.raises(SettingsError, match=r"cross_encoder must be .*'nowhere' is none"):
            search("days of leave", rerank="cross-encoder")
        with pytest.raises(SettingsError, match="hint: set `language_model` in "):
            search("days of leave", rerank="llm")
        with pytest.raises(SettingsError, match="hint: set `language_model` in "):
            search("days of leave", expand="multi-query")
        with pytest.raises(SettingsError, match=r"compares token vectors.*got none"):
            search("days of leave", rerank="late-interaction")
        assert search("nothing of the kind", rerank="llm") == []


@pytest.fixture
def project(
    tmp_path: Path,
    tiny_models: ModuleType,
    write_decoder: Callable[..., Path],
    one_thread: None,  # noqa: ARG001
) -> Iterator[Project]:
    """A project with a tiny decoder, a tiny cross-encoder and three documents."""
    decoder = write_decoder("llama", max_position_embeddings=2048, initializer_range=0.3)
    tiny_models.write_tiny_cross_encoder(tmp_path / "judge")
    (tmp_path / "docs").mkdir()
    for name, text in DOCUMENTS.items():
        (tmp_path / "docs" / name).write_text(text, encoding="utf-8")
    (tmp_path / "argot.toml").write_text(
        f'[encoder]\nmodel = "{decoder}"\ndtype = "float32"\ndevice = "cpu"\n'
        '[[sources]]\nname = "docs"\npath = "docs"\n'
        '[stages]\ncross_encoder = "judge"\nnew_tokens = 8\n',
        encoding="utf-8",
    )
    Project.open(tmp_path).ingest()
    return Project.open(tmp_path)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["cross-encoder", "llm", "query-likelihood", "late-interaction"])
def test_a_query_names_its_reranker_whose_scores_become_those_of_the_hits(
    project: Project, name: str
):
    with project.search_session() as session:
        before = session.searcher.search("days of leave")
        after = session.searcher.search("days of leave", rerank=name)
    assert {hit.id for hit in after} == {hit.id for hit in before}
    scores = [hit.score for hit in after]
    assert scores == sorted(scores, reverse=True)
    assert scores != [hit.score for hit in before]
    assert after[0].explanation["rerank"]["name"] == name


@pytest.mark.torch
@pytest.mark.parametrize("name", ["hyde", "multi-query"])
def test_a_query_names_what_widens_it(project: Project, name: str):
    with project.search_session(expand=name) as session:
        assert {hit.document_id for hit in session.searcher.search("days of leave")} == set(
            DOCUMENTS
        )


@pytest.mark.torch
def test_a_language_model_that_every_search_asks_shares_the_encoders_weights(project: Project):
    with project.search_session(rerank="llm") as session:
        session.searcher.search("days of leave")
        version, dense = session._opened.index.version, session._opened.dense
        generator = project.generator_of(version).model
    encoder = project.encoder_of(version)
    ours = {weight.data_ptr() for weight in encoder._model.parameters()}  # type: ignore[union-attr]
    assert ours <= {weight.data_ptr() for weight in generator.parameters()}
    assert dense is not None
    assert dense.fingerprint == encoder.fingerprint  # type: ignore[union-attr]


@pytest.mark.torch
def test_models_are_loaded_once_whatever_number_of_searches_ask(
    project: Project, monkeypatch: pytest.MonkeyPatch
):
    from encoder.cross_encoder import CrossEncoder

    loads = []
    real = CrossEncoder.load
    monkeypatch.setattr(CrossEncoder, "load", lambda *a, **k: loads.append(a) or real(*a, **k))
    with project.search_session() as session:
        for query in ("leave", "power", "wing"):
            session.searcher.search(query, rerank="cross-encoder")
        session.refresh()
        session.searcher.search("leave", rerank="cross-encoder")
    assert len(loads) == 1


@pytest.mark.torch
def test_an_encoder_without_token_vectors_can_not_interact_late(tmp_path: Path):
    from encoder.fake import HashingEncoder

    models = StageModels(
        settings_of(tmp_path).stages, paths=None, hardware=settings_of(tmp_path).encoder
    )
    stages = models.stages(encoder=HashingEncoder, base=lambda: pytest.fail("not asked"))
    with pytest.raises(SettingsError, match=r"compares token vectors.*got HashingEncoder"):
        stages.rerankers["late-interaction"].scores("a", ["b"])


@pytest.mark.torch
def test_eval_measures_stages_as_rows_of_one_table(project: Project, argot: Run, tmp_path: Path):
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    queries.write_text(json.dumps({"_id": "q", "text": "days of leave"}), encoding="utf-8")
    qrels.write_text("q\tleave.md\t1\n", encoding="utf-8")
    code, report, _ = argot(
        *("eval", "--queries", queries, "--qrels", qrels, "--project", project.paths.root),
        *("--rerank", "none", "--rerank", "llm", "--rerank", "late-interaction", "--json"),
    )
    assert code == 0
    rows = report["encoders"]
    assert [row["encoder"] for row in rows] == [
        "the index",
        "the index + llm",
        "the index + late-interaction",
    ]
    assert all(row["metrics"]["recall@100"]["value"] == 1 for row in rows)
    assert "ndcg@10" in rows[1]["against_first"]


@pytest.mark.torch
def test_eval_takes_the_models_of_a_collection_from_the_command_line(
    project: Project, argot: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    collection = tmp_path / "collection"
    collection.mkdir()
    texts = {"1": "wing lift and drag", "2": "press the power button", "3": "days of leave"}
    for name, prefix in (("corpus", ""), ("queries", "q")):
        lines = [json.dumps({"_id": f"{prefix}{i}", "text": text}) for i, text in texts.items()]
        (collection / f"{name}.jsonl").write_text("\n".join(lines))
    (collection / "qrels_test.tsv").write_text("".join(f"q{i}\t{i}\t1\n" for i in texts))
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    code, report, _ = argot(
        *("eval", "--beir", collection, "--mode", "sparse", "--rerank", "cross-encoder"),
        *("--expand", "none", "--expand", "multi-query", "--json"),
        *("--cross-encoder", project.paths.root / "judge"),
        *("--language-model", project.settings.encoder.model),
    )
    assert code == 0
    assert [row["encoder"] for row in report["encoders"]] == [
        "words + cross-encoder",
        "words + multi-query + cross-encoder",
    ]


def test_eval_refuses_a_stage_named_twice_and_models_it_would_ignore(
    argot: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q").write_text("")
    project = ("--queries", "q", "--qrels", "q")
    assert argot("eval", *project, "--rerank", "llm", "--rerank", "llm")[0] == 2
    assert argot("eval", *project, "--language-model", ".")[0] == 2
    assert argot("eval", *project, "--rerank", "chance")[0] == 2


@pytest.mark.torch
def test_an_encoder_that_was_loaded_alone_gives_way_to_one_that_shares_its_weights(
    project: Project,
):
    alone = project.encoder
    pair = project.load(project.settings.encoder, with_generator=True)
    assert pair is not alone
    assert project.load(project.settings.encoder, with_generator=True) is pair is project.encoder


@pytest.mark.torch
def test_an_encoder_that_the_program_gave_stays(project: Project):
    given = project.encoder
    project.encoder = given
    with project.search_session(rerank="llm") as session:
        assert session.searcher.search("days of leave", mode="sparse")
        assert session._opened.dense is given
