"""`argot tune`: choosing how rankings are fused, on judged queries."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from argot.errors import SettingsError
from argot.evaluation.parts import apart, split_judgements
from argot.project import Project
from argot.stages import Stages
from argot.tuning.search import tune_search, write_search
from argot.tuning.search_trial import documents
from argot.tuning.searches import search_sides
from encoder.fake import HashingEncoder
from retriever.evaluation.judgements import Judgements

Run = Callable[..., tuple[int, Any, str]]

SETTINGS = """\
# Of this project.
[[sources]]
name = "docs"
path = "docs.jsonl"

[index]
language = "none"

[search]
# dense_weight = 1.0   # of the vectors
k = 5  # short
"""
DOCUMENTS, QUERIES = 90, 30


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose encoder has far too few buckets, so that words find more than vectors."""
    monkeypatch.setattr(Project, "load", lambda *_, **__: HashingEncoder(8))
    rng = np.random.default_rng(0)
    topics = [[f"t{topic}w{word}" for word in range(4)] for topic in range(30)]
    common = [f"common{word}" for word in range(8)]
    docs = [
        {"_id": f"d{number}", "text": " ".join([*topics[number % 30], *rng.choice(common, 8)])}
        for number in range(DOCUMENTS)
    ]
    queries = [
        {"_id": f"q{number}", "text": " ".join([topics[number][0], *rng.choice(common, 2)])}
        for number in range(QUERIES)
    ]
    for name, records in (("docs", docs), ("queries", queries)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    write_qrels(tmp_path / "qrels.tsv", range(QUERIES))
    (tmp_path / "argot.toml").write_text(SETTINGS)
    return tmp_path


def write_qrels(path: Path, numbers: Sequence[int]) -> Path:
    lines = [f"q{n}\td{n + 30 * part}\t1" for n in numbers for part in range(3)]
    path.write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n")
    return path


def tune(argot: Run, folder: Path, *more: str | Path) -> tuple[int, Any, str]:
    files = ("--queries", folder / "queries.jsonl", "--qrels", folder / "qrels.tsv")
    return argot("tune", "--project", folder, *files, *more)


def judged(count: int) -> Judgements:
    ids = [f"q{number}" for number in range(count)]
    return Judgements({id_: f"text {id_}" for id_ in ids}, {id_: {"d1": 1} for id_ in ids})


def test_the_winner_is_written_and_every_comment_stays(folder: Path, argot: Run):
    Project.open(folder).ingest()
    code, found, _ = tune(argot, folder, "--json")
    assert code == 0
    assert found["schema_version"] == 1
    assert found["queries"] == {"tuning": 20, "held_out": 10}
    assert (found["improves"], found["written"]) == (True, True)
    before, after = (found[name]["metrics"]["ndcg@10"] for name in ("present", "chosen"))
    difference = found["compare"]["ndcg@10"]["difference"]
    assert after["value"] - before["value"] == pytest.approx(difference)
    assert difference > 0.05
    assert after["low"] <= after["value"] <= after["high"]
    chosen = found["chosen"]["settings"]
    assert chosen["mode"] == "sparse", "words alone find everything here"
    text = (folder / "argot.toml").read_text()
    assert "# Of this project." in text
    assert "# of the vectors" in text
    assert "k = 5  # short" in text
    settings = Project.open(folder).settings.search
    assert {name: getattr(settings, name) for name in chosen} == chosen
    page = Path(found["plot"])
    assert page == folder / ".argot" / "search-tuning.html"
    assert "<svg" in page.read_text()
    code, out, err = tune(argot, folder)
    assert (code, "the present settings stay" in err) == (0, True), "nothing betters the best"
    present, again = out.splitlines()[:2]
    assert present.removeprefix("present: ") == again.removeprefix("chosen:  ")
    assert (folder / "argot.toml").read_text() == text


def test_a_dry_run_chooses_by_no_held_out_query_and_writes_no_settings(folder: Path, argot: Run):
    Project.open(folder).ingest()
    held_out = write_qrels(folder / "held_out.tsv", range(24, 30))
    code, out, err = tune(argot, folder, "--held-out", held_out, "--dry-run")
    assert code == 0
    assert "present: rrf k=60, dense 1 : sparse 1, depth 100" in out
    assert "chosen by 24 queries among" in out
    assert "measured on 6 others" in out
    assert "95 % interval" in out
    assert "nothing is written" in err
    assert (folder / "argot.toml").read_text() == SETTINGS


def test_a_search_computed_from_its_sides_is_the_search(folder: Path):
    project = Project.open(folder)
    project.ingest()
    queries = {"q": "t3w1 common1", "r": "t4w1 t9w3 common2"}
    train = Judgements(queries, {"q": {"d3": 1}, "r": {"d4": 1}})
    for changes in (
        {},
        {"fusion": "relative_score", "dense_weight": 0.3, "sparse_weight": 0.7},
        {"fusion": "dbsf", "dense_weight": 0.9, "sparse_weight": 0.1},
        {"mode": "dense"},
        {"mode": "sparse"},
    ):
        settings = replace(project.settings.search, **changes)
        with project.search_session() as session:
            found = search_sides(session.searcher, train, principals=None, progress=lambda _: None)
            real = session.searcher.rank_documents(
                list(queries.values()), limit=10, **{"depth": settings.depth, **changes}
            )
        for id_, ranking in zip(queries, real, strict=True):
            scores = {round(score, 9) for _, score in ranking}
            if len(scores) == len(ranking):  # equal scores have no order of their own
                assert documents(found[id_], settings)[:10] == [name for name, _ in ranking]


class ByOverlap:
    """Reranks by the words that a text shares with the query."""

    name = "cross-encoder"

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return [float(len({*query.split()} & {*text.split()})) for text in texts]


def test_with_a_reranker_its_depth_and_weight_are_tuned_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    stages = Stages({"cross-encoder": ByOverlap()}, {})
    monkeypatch.setattr(Project, "stages_for", lambda *_: stages)
    with (folder / "argot.toml").open("a") as file:
        file.write('rerank = "cross-encoder"\n')
    project = Project.open(folder)
    project.ingest()
    lines = (folder / "queries.jsonl").read_text().splitlines()
    texts = {record["_id"]: record["text"] for record in map(json.loads, lines)}
    grades = {f"q{n}": {f"d{n + 30 * part}": 1 for part in range(3)} for n in range(QUERIES)}
    train, held_out = split_judgements(Judgements(texts, grades))
    tuning = tune_search(project, train, held_out, progress=lambda _: None)
    assert {one.settings.rerank_depth for one in tuning.reranked} == {10, 20, 50, 100}
    assert len({one.settings.rerank_weight for one in tuning.reranked}) == 5
    assert tuning.chosen.rerank_depth in (10, 20, 50, 100)
    assert tuning.after.metrics["ndcg@10"].value >= tuning.before.metrics["ndcg@10"].value


def test_more_hits_than_any_depth_are_tuned_with_a_reranker(
    folder: Path, argot: Run, monkeypatch: pytest.MonkeyPatch
):
    stages = Stages({"cross-encoder": ByOverlap()}, {})
    monkeypatch.setattr(Project, "stages_for", lambda *_: stages)
    text = SETTINGS.replace("k = 5", "k = 150") + 'rerank = "cross-encoder"\nrerank_weight = 0.4\n'
    (folder / "argot.toml").write_text(text)
    Project.open(folder).ingest()
    code, found, _ = tune(argot, folder, "--dry-run", "--json")
    assert code == 0
    assert found["chosen"]["settings"]["rerank_depth"] == 50


def test_the_parts_share_no_query_and_too_few_are_refused():
    train, held_out = split_judgements(judged(30))
    assert (len(train.queries), len(held_out.queries)) == (20, 10)
    assert not train.queries.keys() & held_out.queries.keys()
    assert split_judgements(judged(30)) == (train, held_out)
    again, _ = apart(judged(30), held_out)
    assert again.queries.keys() == train.queries.keys()
    same_words = Judgements(
        {f"other {id_}": text for id_, text in held_out.queries.items()},
        {f"other {id_}": {"d1": 1} for id_ in held_out.queries},
    )
    assert apart(judged(30), same_words)[0].queries.keys() == train.queries.keys()


def test_what_is_held_out_too_is_said_to_be_missing():
    with pytest.raises(SettingsError, match=r"got 0 \(30 are left out, as they are held out, too"):
        apart(judged(30), judged(30))


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda folder: write_qrels(folder / "qrels.tsv", range(6)), 2, "at least 5 queries"),
        (
            lambda folder: (folder / "qrels.tsv").write_text(
                (folder / "qrels.tsv").read_text().replace("\td", "\tother")
            ),
            2,
            "found one of them",
        ),
        (
            lambda folder: (folder / "argot.toml").write_text(
                SETTINGS.replace("k = 5", 'mode = "dense"\nmin_score = 0.1\nk = 5')
            ),
            2,
            "comment it out",
        ),
        (lambda folder: (folder / "queries.jsonl").write_text(""), 2, "no query of"),
        (lambda folder: (folder / "qrels.tsv").write_text(""), 2, "no query of"),
        (
            lambda folder: (folder / "queries.jsonl").write_text(
                "\n".join(json.dumps({"_id": f"q{n}", "text": " "}) for n in range(QUERIES))
            ),
            2,
            "that have words and a relevant document; got 0",
        ),
    ],
)
def test_what_can_not_be_tuned_is_refused(
    folder: Path, argot: Run, change: Callable[[Path], object], code: int, says: str
):
    Project.open(folder).ingest()
    change(folder)
    found, _, err = tune(argot, folder)
    assert (found, says in err) == (code, True), err


def test_without_judged_queries_or_a_principal_nothing_is_tuned(folder: Path, argot: Run):
    assert argot("tune", "--project", folder)[0] == 2
    toml = SETTINGS.replace('"docs.jsonl"', '"docs.jsonl"\nprotected = true')
    (folder / "argot.toml").write_text(toml)
    Project.open(folder).ingest()
    assert tune(argot, folder)[0] == 4
    assert (folder / "argot.toml").read_text() == toml


def test_an_index_without_vectors_has_nothing_to_weigh(project: Path, argot: Run):
    argot("ingest", "--project", project)
    lines = [json.dumps({"_id": f"q{n}", "text": f"paid leave {n}"}) for n in range(30)]
    (project / "queries.jsonl").write_text("\n".join(lines))
    (project / "qrels.tsv").write_text("\n".join(f"q{n}\tleave.md\t1" for n in range(30)))
    code, _, err = tune(argot, project)
    assert (code, "has no vectors" in err) == (2, True), err


def test_weights_are_written_where_they_are_explained_and_defaults_go_out(folder: Path):
    settings = folder / "argot.toml"
    settings.write_text(SETTINGS.replace("k = 5", 'depth = 20\nmode = "dense"\nk = 5'))
    project = Project.open(folder)
    chosen = replace(
        project.settings.search,
        mode="hybrid",
        depth=100,
        fusion="dbsf",
        dense_weight=0.7,
        sparse_weight=0.3,
    )
    write_search(project, chosen)
    text = settings.read_text()
    assert "# dense_weight = 1.0   # of the vectors\ndense_weight = 0.7\n" in text
    assert "# depth = 20\n" in text
    assert '# mode = "dense"\n' in text
    assert Project.open(folder).settings.search == chosen
