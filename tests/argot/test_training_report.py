"""Did adaptation help? The report says so, and as plainly when it did not."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters_training.selection.development import JUDGED
from argot.errors import SettingsError
from argot.evaluation.development import read_development_set
from argot.training.report import training_report
from argot.training.verdict import (
    Development,
    beside_words,
    caveats,
    judge,
    measured_systems,
    verdict_of,
)

QUERIES = 60


def scores(mean: float, *, seed: int = 0, spread: float = 0.2) -> list[float]:
    drawn = np.random.default_rng(seed).normal(mean, spread, QUERIES)
    return [float(value) for value in np.clip(drawn, 0, 1)]


def development(
    *, base: list[float], adapted: list[float], chosen: int = 20, **changes: Any
) -> Development:
    """A run of one evaluated stage."""
    course = [{"step": step, "score": 0.1 + step / 100} for step in (0, 10, 20)]
    values = {
        "origin": "held-back pairs",
        "composition": {"labelled": 10, "synthetic": 50},
        "passages": 400,
        "bm25": scores(0.5, seed=9),
        "base": base,
        "adapted": adapted,
        "stages": [
            {
                "stage": "1-contrastive",
                "evaluations": course,
                "chosen_step": chosen,
                "start": base,
                "best": adapted,
            }
        ],
        **changes,
    }
    return Development(values)


def test_a_clear_gain_is_said_plainly():
    verdict = judge(development(base=scores(0.2), adapted=scores(0.7, seed=1)))
    assert verdict.helped is True
    assert verdict.sentence.startswith("Adaptation helped: nDCG@10 is 0.6")
    assert "on 60 development queries" in verdict.sentence


def test_a_clear_loss_is_said_as_plainly():
    verdict = judge(development(base=scores(0.7), adapted=scores(0.2, seed=1)))
    assert verdict.helped is False
    assert verdict.sentence.startswith("Adaptation did not help, it made search worse:")


def test_a_kept_start_is_no_help_and_the_report_warns():
    same = scores(0.4)
    found = development(base=same, adapted=same, chosen=0)
    verdict = judge(found)
    assert verdict.helped is False
    assert "Adaptation did not help: no training step" in verdict.sentence
    assert any(line.startswith("Warning: in 1-contrastive no training") for line in caveats(found))


def test_a_difference_within_chance_is_called_that():
    verdict = judge(development(base=scores(0.4), adapted=scores(0.4, seed=1)))
    assert verdict.helped is None
    assert verdict.sentence.startswith("The difference is not told apart from chance (p = ")


def test_words_are_compared_too_and_every_system_has_an_interval():
    found = development(base=scores(0.1), adapted=scores(0.3, seed=1))
    assert beside_words(found).startswith("Alone, the adapted encoder ranks worse than BM25: 0.296")
    rows = measured_systems(found)
    names = [name for name, _ in rows]
    assert names == ["BM25", "unadapted base", "after 1-contrastive, step 20", "adapted"]
    assert all(mean.low < mean.value < mean.high for _, mean in rows)


def test_the_report_says_where_the_queries_are_from():
    made = caveats(development(base=scores(0.1), adapted=scores(0.3)))
    assert "held-back pairs (10 labelled, 50 synthetic)" in made[0]
    assert "Judgements of your own" in made[1]
    own = development(
        base=scores(0.1), adapted=scores(0.3), origin=JUDGED, composition={"judged": 60}
    )
    assert "judgements (60 judged)" in caveats(own)[0]
    assert not any("Judgements of your own" in line for line in caveats(own))


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    lines = [{"stage": "1-contrastive", "step": n, "loss": 2 / n} for n in (1, 2, 3)]
    lines.insert(0, {"stage": "1-contrastive", "step": 0, "ndcg@10": 0.1})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "metrics.jsonl").write_text(text)
    return tmp_path


def test_a_page_shows_the_verdict_the_table_and_both_curves(run_folder: Path):
    found = development(base=scores(0.2), adapted=scores(0.7, seed=1))
    (run_folder / "development.json").write_text(json.dumps(found.values))
    page = training_report(run_folder).read_text()
    assert page.index("Adaptation helped") < page.index("<table>") < page.index("<svg")
    assert page.count("<svg") == 2
    assert "unadapted base" in page
    verdict = verdict_of(run_folder)
    assert verdict is not None
    assert verdict.sentence in page


def test_without_a_development_set_the_page_shows_the_losses_alone(run_folder: Path):
    page = training_report(run_folder).read_text()
    assert page.count("<svg") == 1
    assert "help" not in page
    assert verdict_of(run_folder) is None


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Three documents and three queries; the corpus lacks the answer of the third."""
    folder = tmp_path / "judged"
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": "a", "title": "Leave", "text": "Employees take thirty days of paid leave."},
        {"_id": "b", "title": "", "text": "Press the button for three seconds to reset."},
        {"_id": "c", "text": "Lift and drag of a wing in supersonic flow."},
    ]
    with gzip.open(folder / "corpus.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in corpus)
    queries = [{"_id": f"q{i}", "text": f"question {i}"} for i in range(3)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    (folder / "qrels/dev.tsv").write_text("q0\ta\t2\nq1\tb\t1\nq1\tc\t0\nq2\tmissing\t1\n")
    return folder


def test_judged_queries_become_a_development_set(collection: Path):
    made = read_development_set(
        collection, query_instruction="find: ", max_queries=10, max_passages=10, seed=0
    )
    answers = {
        query: {made.passages[place] for place in places}
        for query, places in zip(made.queries, made.relevant, strict=True)
    }
    assert answers == {
        "question 0": {"Leave\nEmployees take thirty days of paid leave."},
        "question 1": {"Press the button for three seconds to reset."},
    }
    assert len(made.passages) == 3
    assert set(made.instructions) == {"find: "}


def test_judgements_of_no_document_are_refused(collection: Path):
    (collection / "qrels/dev.tsv").write_text("q2\tmissing\t1\n")
    with pytest.raises(SettingsError, match="none in the split 'dev'"):
        read_development_set(collection, max_queries=10, max_passages=10, seed=0)


def test_a_broken_line_of_the_corpus_is_named(collection: Path):
    (collection / "corpus.jsonl").write_text('{"_id": "a"}\n')
    with pytest.raises(SettingsError, match=r'corpus.jsonl:1: a document must have "_id"'):
        read_development_set(collection, max_queries=10, max_passages=10, seed=0)


@pytest.mark.torch
def test_a_project_is_adapted_and_judged_on_queries_of_its_own(
    project: Path, collection: Path, tiny_decoder_folder: Path
):
    from argot.project import Project
    from argot.training.adaptation import adapt_project

    shutil.copytree(tiny_decoder_folder, project / "models/tiny")
    toml = project / "argot.toml"
    stage = "[[adapt.stages]]\nkind = 'mntp'\nsteps = 1\nbatch_size = 2\nevaluations = 1\n"
    toml.write_text(f"[encoder]\nmodel = 'models/tiny'\n{toml.read_text()}{stage}")
    made = adapt_project(
        Project.open(project), text=[project / "docs"], development=collection, name="mine"
    )
    run_folder = project / ".argot/runs/mine"
    assert "judgements (2 judged)" in (run_folder / "report.html").read_text()
    assert verdict_of(run_folder) is not None
    assert made.spec.lineage["stages"][0]["development"]["measure"] == "ndcg@10"
