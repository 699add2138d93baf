"""Runs that are evaluated while they train: the best weights win, and a crash changes nothing."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.torch import load_file

from adapters_training.pairs import Pair
from adapters_training.selection.development import JUDGED, DevelopmentSet, read_development
from adapters_training.selection.ranking import measure_adapters
from adapters_training.settings.run import AdaptSettings

if TYPE_CHECKING:
    from adapters_training.adapt import Adaptation
    from adapters_training.selection.metrics import StepReport

pytestmark = pytest.mark.torch

Adapt = Callable[..., "Adaptation"]
Table = dict[str, Any]

KILLED_RUN = """
import json, sys
from pathlib import Path
import torch
from adapters_training.adapt import adapt
from adapters_training.settings.dicts import settings_from_dict
from adapters_training.pairs import Pair
torch.set_num_threads(1)
base, folder, settings, texts, pairs = sys.argv[1:]
adapt(
    Path(base),
    json.loads(texts),
    settings=settings_from_dict(json.loads(settings)),
    run_folder=Path(folder),
    pairs=[Pair(query=query, positive=positive) for query, positive in json.loads(pairs)],
    resume=True,
)
"""


def stage(**changes: Any) -> Table:
    optimizer = {"learning_rate": 5e-3, "schedule": "constant", **changes.pop("optimizer", {})}
    return {
        "kind": "contrastive",
        "steps": 12,
        "batch_size": 8,
        "max_tokens": 32,
        "pairs": ["labelled"],
        "mine": [],
        "evaluations": 4,
        "optimizer": optimizer,
        **changes,
    }


RUINED_LATE = stage(
    steps=32, evaluations=8, optimizer={"learning_rate": 20.0, "warmup_steps": 12000}
)
RUINED_AT_ONCE = stage(steps=4, evaluations=2, optimizer={"learning_rate": 1000.0})


@pytest.fixture
def pairs(sentences: list[str]) -> list[Pair]:
    """Queries in capitals: other tokens, so that there is something to learn."""
    return [Pair(query=text.upper(), positive=text) for text in sentences]


@pytest.fixture
def judged(sentences: list[str]) -> DevelopmentSet:
    """Queries that are those of no pair."""
    return DevelopmentSet(
        queries=tuple(" ".join(text.split()[:5]) for text in sentences[::6]),
        passages=tuple(sentences),
        relevant=tuple(frozenset({i}) for i in range(0, len(sentences), 6)),
        origin=JUDGED,
        kinds=("judged",) * len(sentences[::6]),
        instructions=(None,) * len(sentences[::6]),
    )


def read_json(path: Path) -> Table:
    found: Table = json.loads(path.read_text(encoding="utf-8"))
    return found


def adapter_bytes(folder: Path, name: str = "1-contrastive") -> bytes:
    return (folder / name / "adapter/adapter_model.safetensors").read_bytes()


def course(folder: Path) -> list[tuple[int, float | None, float | None]]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], line.get("loss"), line.get("ndcg@10")) for line in lines]


def crash_after(steps: int) -> Callable[["StepReport"], None]:
    def watch(report: "StepReport") -> None:
        if report.step > steps:
            raise RuntimeError("crash")

    return watch


def test_the_best_weights_win_and_not_the_last(
    adapt_tiny: Adapt, tmp_path: Path, pairs: list[Pair], teachable_folder: Path
):
    made = adapt_tiny(tmp_path, RUINED_LATE, pairs=pairs)
    found = made.lineage["stages"][0]["development"]
    scores = {one["step"]: one["score"] for one in found["evaluations"]}
    assert list(scores) == [0, 4, 8, 12, 16, 20, 24, 28, 32]
    assert 0 < found["chosen_step"] < 32
    assert scores[found["chosen_step"]] == max(scores.values())
    assert scores[32] < max(scores.values()) - 0.1
    development = read_development(tmp_path / "1-contrastive/development-set.json")
    assert development is not None
    settings = AdaptSettings(
        stages=read_stages(RUINED_LATE), dtype="float32", device="cpu", attention="eager"
    )
    again = measure_adapters(teachable_folder, made.adapters, development=development, run=settings)
    assert again.mean() == pytest.approx(max(scores.values()), abs=0.02)
    held = made.lineage["stages"][0]["pairs"]["held_back"]
    assert held == len(development.queries) >= 20


def read_stages(table: Table) -> Any:
    from adapters_training.settings.dicts import settings_from_dict

    return settings_from_dict({"stages": [table]}).stages


def test_patience_ends_a_stage_early(adapt_tiny: Adapt, tmp_path: Path, pairs: list[Pair]):
    (report,) = adapt_tiny(tmp_path, {**RUINED_LATE, "patience": 1}, pairs=pairs).lineage["stages"]
    assert report["stopped_by"] == "patience"
    steps = [one["step"] for one in report["development"]["evaluations"]]
    assert steps[-1] == report["steps"] < 32
    assert steps[-2] == report["development"]["chosen_step"]


def test_training_that_never_helps_leaves_an_adapter_without_effect(
    adapt_tiny: Adapt, tmp_path: Path, pairs: list[Pair]
):
    (report,) = adapt_tiny(tmp_path, RUINED_AT_ONCE, pairs=pairs).lineage["stages"]
    assert report["development"]["chosen_step"] == 0
    weights = load_file(tmp_path / "1-contrastive/adapter/adapter_model.safetensors")
    assert all(not tensor.any() for name, tensor in weights.items() if "lora_B" in name)
    found = read_json(tmp_path / "development.json")
    assert found["base"] == found["adapted"]


@pytest.mark.parametrize("saved", [0, 3, 8])
def test_a_crashed_and_resumed_run_chooses_what_the_uninterrupted_run_chose(
    adapt_tiny: Adapt, tmp_path: Path, pairs: list[Pair], saved: int
):
    table = {**RUINED_LATE, "steps": 14, "evaluations": 7}
    straight, crashed = tmp_path / "straight", tmp_path / "crashed"
    adapt_tiny(straight, table, pairs=pairs)
    with pytest.raises(RuntimeError, match="crash"):
        adapt_tiny(crashed, table, pairs=pairs, progress=crash_after(saved))
    # The second attempt evaluates far beyond its last checkpoint before it crashes too.
    with pytest.raises(RuntimeError, match="crash"):
        adapt_tiny(
            *(crashed, table),
            pairs=pairs,
            resume=True,
            progress=crash_after(12),
            settings={"checkpoint_every_seconds": 1e9},
        )
    adapt_tiny(crashed, table, pairs=pairs, resume=True)
    assert adapter_bytes(straight) == adapter_bytes(crashed)
    assert course(straight) == course(crashed)
    assert read_json(straight / "development.json") == read_json(crashed / "development.json")


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_same_best_weights(
    adapt_tiny: Adapt,
    tmp_path: Path,
    teachable_folder: Path,
    sentences: list[str],
    pairs: list[Pair],
):
    table = {**RUINED_LATE, "steps": 30, "evaluations": 15}
    straight, folder = tmp_path / "straight", tmp_path / "killed"
    adapt_tiny(straight, table, pairs=pairs)
    settings = {"stages": [table], "dtype": "float32", "device": "cpu"}
    command = [
        *(sys.executable, "-c", KILLED_RUN, str(teachable_folder), str(folder)),
        json.dumps({**settings, "checkpoint_every_seconds": 0}),
        json.dumps(sentences),
        json.dumps([(pair.query, pair.positive) for pair in pairs]),
    ]
    for wanted in ("step-00000002", "step-00000009", "step-00000015"):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (folder / "1-contrastive/checkpoints" / wanted).exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    adapt_tiny(folder, table, pairs=pairs, resume=True)
    assert adapter_bytes(straight) == adapter_bytes(folder)
    assert course(straight) == course(folder)


def test_evaluating_changes_no_step(
    adapt_tiny: Adapt, tmp_path: Path, pairs: list[Pair], judged: DevelopmentSet
):
    adapt_tiny(tmp_path / "with", stage(), pairs=pairs, development=judged)
    adapt_tiny(tmp_path / "without", stage(evaluations=0), pairs=pairs)
    losses = [
        [loss for _, loss, _ in course(tmp_path / name) if loss is not None]
        for name in ("with", "without")
    ]
    assert losses[0] == losses[1]


def test_without_a_development_set_the_last_weights_are_the_result(
    adapt_tiny: Adapt, tmp_path: Path, pairs: list[Pair]
):
    none = {"development_queries": 0}
    (report,) = adapt_tiny(tmp_path / "a", stage(), pairs=pairs, settings=none).lineage["stages"]
    adapt_tiny(tmp_path / "b", stage(evaluations=0), pairs=pairs)
    assert adapter_bytes(tmp_path / "a") == adapter_bytes(tmp_path / "b")
    assert report["development"] == {}
    assert report["pairs"]["held_back"] == 0
    assert not list(tmp_path.rglob("development*"))
    assert all(score is None for _, _, score in course(tmp_path / "a"))


def test_a_users_own_set_is_ranked_in_every_stage_and_compared_with_base_and_words(
    adapt_tiny: Adapt,
    tmp_path: Path,
    mntp_stage: Table,
    simcse_stage: Table,
    judged: DevelopmentSet,
    teachable_folder: Path,
):
    run = adapt_tiny(tmp_path, {**mntp_stage, "evaluations": 1}, simcse_stage, development=judged)
    found = read_json(tmp_path / "development.json")
    assert [one["stage"] for one in found["stages"]] == ["1-mntp"]
    settings = AdaptSettings(dtype="float32", device="cpu", attention="eager")
    base = measure_adapters(teachable_folder, [], development=judged, run=settings)
    np.testing.assert_allclose(found["base"], base, atol=1e-6)
    both = measure_adapters(teachable_folder, run.adapters, development=judged, run=settings)
    assert np.mean(found["adapted"]) == pytest.approx(both.mean(), abs=0.02)
    assert np.mean(found["bm25"]) > 0.3
    assert (found["origin"], found["composition"]) == (JUDGED, {"judged": 24})
    assert read_json(tmp_path / "run.json")["development"] == judged.digest()


def test_a_second_contrastive_stage_keeps_the_first_ones_development_set(
    adapt_tiny: Adapt, tmp_path: Path, pairs: list[Pair]
):
    adapt_tiny(tmp_path, stage(steps=2), stage(steps=2), pairs=pairs)
    names = [f"{n}-contrastive/development-set.json" for n in (1, 2)]
    first, second = (read_development(tmp_path / name) for name in names)
    assert first == second
    kept = [(tmp_path / f"{n}-contrastive/pairs.jsonl").read_text() for n in (1, 2)]
    assert kept[0] == kept[1]
    found = read_json(tmp_path / "development.json")
    assert found["stages"][0]["best"] == pytest.approx(found["stages"][1]["start"], abs=0.05)
