"""The estimate of a run: its steps and tokens are the run's, and it leaves nothing behind."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from adapters_training.errors import TrainingPairsError
from adapters_training.settings.dicts import settings_from_dict

if TYPE_CHECKING:
    from adapters_training.adapt import Adaptation
    from adapters_training.estimate.estimate import StageEstimate

REPOSITORY = Path(__file__).resolve().parents[2]

CONTRASTIVE: dict[str, Any] = {
    "kind": "contrastive",
    "steps": 5,
    "batch_size": 8,
    "max_tokens": 32,
    "mine": [],
    "pairs": ["labelled"],
    "evaluations": 2,
}

# The tiny model's context has no room for more.
SHORT = {"examples": 0, "passage_tokens": 8, "max_new_tokens": 4}


@pytest.fixture
def estimate_tiny(
    teachable_folder: Path,
    sentences: list[str],
    one_thread: None,  # noqa: ARG001
) -> "Callable[..., list[StageEstimate]]":
    """Estimate a run over the sentences."""
    from adapters_training.estimate.estimate import estimate

    def run(*stages: dict[str, Any], **options: Any) -> "list[StageEstimate]":
        settings = {"stages": list(stages), "dtype": "float32", "device": "cpu"}
        return list(
            estimate(teachable_folder, sentences, settings=settings_from_dict(settings), **options)
        )

    return run


def labelled(sentences: list[str]) -> list[Any]:
    from adapters_training.pairs import Pair

    return [Pair(query=text.split(" in ")[0], positive=text) for text in sentences]


@pytest.mark.torch
def test_steps_tokens_and_examples_are_those_of_the_run(
    estimate_tiny: "Callable[..., list[StageEstimate]]",
    adapt_tiny: "Callable[..., Adaptation]",
    mntp_stage: dict[str, Any],
    simcse_stage: dict[str, Any],
    sentences: list[str],
    tmp_path: Path,
):
    stages = (mntp_stage, simcse_stage, CONTRASTIVE)
    found = estimate_tiny(*stages, pairs=labelled(sentences))
    run = adapt_tiny(tmp_path / "run", *stages, pairs=labelled(sentences)).lineage["stages"]
    for name in ("steps", "tokens", "examples", "trained_parameters"):
        assert [getattr(stage, name) for stage in found] == [stage[name] for stage in run]
    assert [stage.label for stage in found] == ["1-mntp", "2-simcse", "3-contrastive"]
    assert found[2].pairs == {"labelled": len(sentences)}


@pytest.mark.torch
def test_times_and_memory_are_measured(
    estimate_tiny: "Callable[..., list[StageEstimate]]", sentences: list[str]
):
    mntp = {"kind": "mntp", "steps": 3, "batch_size": 4, "max_tokens": 16}
    first, last = estimate_tiny(mntp, CONTRASTIVE, pairs=labelled(sentences))
    assert 0 < first.prepare_seconds < 60
    assert 0 < first.train_seconds < 60
    assert first.evaluate_seconds == 0 < last.evaluate_seconds < 60
    assert last.seconds == last.prepare_seconds + last.train_seconds + last.evaluate_seconds
    assert 2**25 < first.peak_memory_bytes < 2**36


@pytest.mark.torch
def test_a_time_budget_leaves_the_steps_that_fit(
    estimate_tiny: "Callable[..., list[StageEstimate]]", mntp_stage: dict[str, Any]
):
    (found,) = estimate_tiny({**mntp_stage, "steps": 40_000, "time_budget_seconds": 5})
    assert 1 <= found.steps < 40_000
    assert found.train_seconds == pytest.approx(5, rel=0.3)


@pytest.mark.torch
def test_queries_to_be_written_are_counted_and_timed(
    estimate_tiny: "Callable[..., list[StageEstimate]]",
):
    written = {"passages": 20, "queries_per_passage": 2, **SHORT}
    stage = {**CONTRASTIVE, "pairs": ["synthetic"], "mine": ["bm25"], "synthetic": written}
    (found,) = estimate_tiny(stage)
    assert found.pairs == {"synthetic": 40}
    assert found.prepare_seconds > 0


@pytest.mark.torch
def test_without_a_pair_the_estimate_says_what_the_run_would(
    estimate_tiny: "Callable[..., list[StageEstimate]]",
):
    with pytest.raises(TrainingPairsError, match="at least 2 pairs"):
        estimate_tiny(CONTRASTIVE)


@pytest.mark.torch
def test_an_estimate_leaves_nothing_on_the_disk(
    estimate_tiny: "Callable[..., list[StageEstimate]]",
    teachable_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = sorted(teachable_folder.iterdir())
    written = {"passages": 4, "queries_per_passage": 1, **SHORT}
    stage = {**CONTRASTIVE, "steps": 1, "pairs": ["synthetic"], "synthetic": written}
    estimate_tiny({"kind": "mntp", "steps": 1, "max_tokens": 16, "batch_size": 2}, stage)
    assert sorted(teachable_folder.iterdir()) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.torch
def test_costs_are_summed_up_to_the_first_step_that_would_begin_too_late():
    from adapters_training.estimate.steps import StepCosts

    costs = StepCosts(tokens=np.array([10.0, 20, 30]), seconds=np.array([1.0, 2, 3]), steps=3)
    assert costs.until(None) == (3, 60, 6.0)
    assert costs.until(2.5) == (2, 30, 3.0)
    assert costs.until(1e-9) == (1, 10, 1.0)
    assert costs.until(1e9) == (3, 60, 6.0)


@pytest.mark.torch
def test_a_long_stage_is_counted_at_even_distances():
    from adapters_training.estimate.steps import StepCosts, counted_steps

    settings = settings_from_dict({"stages": [{"kind": "mntp", "steps": 1000, "batch_size": 5000}]})
    steps = counted_steps(settings.stages[0])
    assert (steps[0], steps[-1], len(steps)) == (0, 999, 10)
    costs = StepCosts(tokens=np.full(10, 7.0), seconds=np.full(10, 2.0), steps=1000)
    assert costs.until(None) == (1000, 7000, 2000.0)
    assert costs.until(1000.0) == (500, 3500, 1000.0)


@pytest.mark.model
def test_a_real_run_takes_what_was_estimated_within_30_percent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from adapters_training.adapt import adapt
    from adapters_training.estimate.estimate import estimate
    from adapters_training.estimate.memory import forget_peak, peak_bytes

    base = os.environ.get("ARGOT_TEST_MODEL")
    if not base:
        pytest.skip("needs ARGOT_TEST_MODEL, the folder of a real decoder checkpoint")
    # Other work on the machine would tell in the wall's clock.
    monkeypatch.setattr(time, "monotonic", time.process_time)
    texts = [path.read_text() for path in sorted((REPOSITORY / "docs").rglob("*.md"))]
    settings = settings_from_dict(
        {
            "device": "cpu",
            "stages": [
                {"kind": "mntp", "steps": 8, "batch_size": 4, "max_tokens": 128},
                {"kind": "simcse", "steps": 8, "batch_size": 8, "max_tokens": 64},
                {**CONTRASTIVE, "pairs": ["structural", "synthetic"], "mine": ["encoder"]}
                # Which sets so few steps draw from is chance: 5 of them differed by two thirds.
                | {"synthetic": {"passages": 40, "queries_per_passage": 1}}
                | {"steps": 24, "max_tokens": 96},
            ],
            "development_passages": 60,
        }
    )
    expected = list(estimate(Path(base), texts, settings=settings))
    forget_peak("cpu")
    began = time.monotonic()
    run = adapt(Path(base), texts, settings=settings, run_folder=tmp_path).lineage["stages"]
    seconds = time.monotonic() - began
    # What the contrastive stage learns from is written and mined in the run alone.
    assert [stage.tokens for stage in expected[:2]] == [stage["tokens"] for stage in run[:2]]
    for stage, done in zip(expected, run, strict=True):
        assert stage.tokens == pytest.approx(done["tokens"], rel=0.3)
        assert stage.train_seconds == pytest.approx(done["seconds"], rel=0.3)
    assert sum(stage.seconds for stage in expected) == pytest.approx(seconds, rel=0.3)
    memory = max(stage.peak_memory_bytes for stage in expected)
    assert memory == pytest.approx(peak_bytes("cpu"), rel=0.3)
