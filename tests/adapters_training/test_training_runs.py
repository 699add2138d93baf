"""Whole runs over a tiny decoder: learning, resuming, stopping, failing."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from adapters_training.adapt import Adaptation
from adapters_training.disk import durable_write
from adapters_training.errors import (
    CheckpointError,
    DivergedError,
    RunFolderError,
    TrainingInterruptedError,
    TrainingTextError,
)
from adapters_training.processes import ALONE, Processes
from adapters_training.run.checkpoint import latest_checkpoint, load_checkpoint
from adapters_training.run.trainer import LoopSettings, Trainer
from adapters_training.selection.metrics import MetricsLog, StepReport
from adapters_training.settings.run import LoraSettings, MntpSettings, OptimizerSettings
from adapters_training.stages.building import Examples, build_stage
from adapters_training.stages.gradient_cache import Precision
from adapters_training.stages.lora import attach_lora, trainable
from adapters_training.stages.protocol import Stage, StepLoss
from encoder.loading import load_decoder
from encoder.merging import merge_adapters

pytestmark = pytest.mark.torch

Adapt = Callable[..., Adaptation]
Table = dict[str, Any]


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def equal(one: Path, two: Path) -> bool:
    a, b = weights(one), weights(two)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def metrics(folder: Path) -> list[Table]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


class StopAfter:
    """Raises in the step after ``steps``, as a crash would."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, _: StepReport) -> None:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("crash")


@pytest.mark.parametrize(("kind", "share"), [("mntp_stage", 0.85), ("simcse_stage", 0.6)])
def test_the_loss_falls(
    adapt_tiny: Adapt, tmp_path: Path, kind: str, share: float, request: pytest.FixtureRequest
):
    stage = {**request.getfixturevalue(kind), "steps": 40}
    (report,) = adapt_tiny(tmp_path, stage).lineage["stages"]
    assert report["steps"] == 40
    assert report["stopped_by"] == "steps"
    assert report["last_loss"] < share * report["first_loss"]


def test_a_run_writes_what_it_was_made_of_and_how_it_went(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table, simcse_stage: Table, sentences: list[str]
):
    reports: list[StepReport] = []
    result = adapt_tiny(
        tmp_path,
        mntp_stage,
        simcse_stage,
        texts=[*sentences, "", sentences[0]],
        progress=reports.append,
    )
    assert result.adapters == (tmp_path / "1-mntp/adapter", tmp_path / "2-simcse/adapter")
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["texts"]["count"] == len(sentences)
    assert (record["texts"]["empty"], record["texts"]["duplicates"]) == (1, 1)
    assert record["settings"]["stages"][0]["optimizer"]["learning_rate"] == 1e-2
    assert json.loads(json.dumps(result.lineage))["base_digest"] == record["base_digest"]
    lines = metrics(tmp_path)
    assert [(line["stage"], line["step"]) for line in lines] == [
        (stage, step) for stage in ("1-mntp", "2-simcse") for step in range(1, 7)
    ]
    assert [report.step for report in reports] == [line["step"] for line in lines]
    assert lines[5]["progress"] == 1.0
    assert lines[5]["eta_seconds"] == 0.0
    assert lines[0]["learning_rate"] == 1e-2
    assert all(line["tokens_per_second"] > 0 for line in lines)
    assert not list(tmp_path.rglob("checkpoints"))


def test_one_seed_gives_one_adapter_and_another_seed_another(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table
):
    torch.manual_seed(1)
    first = adapt_tiny(tmp_path / "a", mntp_stage).adapters[0]
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = adapt_tiny(tmp_path / "b", mntp_stage).adapters[0]
    assert torch.equal(torch.get_rng_state(), before), "the caller's random state is left alone"
    other = adapt_tiny(tmp_path / "c", mntp_stage, settings={"seed": 1}).adapters[0]
    assert equal(first, second)
    assert not equal(first, other)


@pytest.mark.parametrize("kind", ["mntp_stage", "simcse_stage"])
@pytest.mark.parametrize("steps_before", [1, 3])
def test_a_crashed_and_resumed_run_gives_the_uninterrupted_runs_weights(
    adapt_tiny: Adapt,
    tmp_path: Path,
    kind: str,
    steps_before: int,
    request: pytest.FixtureRequest,
):
    stage = request.getfixturevalue(kind)
    straight = adapt_tiny(tmp_path / "straight", stage)
    with pytest.raises(RuntimeError, match="crash"):
        adapt_tiny(tmp_path / "crashed", stage, progress=StopAfter(steps_before))
    assert latest_checkpoint(tmp_path / f"crashed/1-{stage['kind']}/checkpoints") is not None
    resumed = adapt_tiny(tmp_path / "crashed", stage, resume=True)
    assert equal(straight.adapters[0], resumed.adapters[0])
    losses = [[line["loss"] for line in metrics(tmp_path / n)] for n in ("straight", "crashed")]
    assert losses[0] == losses[1]


def test_a_finished_stage_is_not_trained_again(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table, simcse_stage: Table
):
    straight = adapt_tiny(tmp_path / "straight", mntp_stage, simcse_stage)
    with pytest.raises(RuntimeError, match="crash"):
        adapt_tiny(tmp_path / "crashed", mntp_stage, simcse_stage, progress=StopAfter(8))
    seen: list[StepReport] = []
    resumed = adapt_tiny(
        tmp_path / "crashed", mntp_stage, simcse_stage, resume=True, progress=seen.append
    )
    assert {report.stage for report in seen} == {"2-simcse"}
    assert all(map(equal, straight.adapters, resumed.adapters))


def test_a_stage_starts_from_the_merged_weights_of_the_stage_before(
    adapt_tiny: Adapt, tmp_path: Path, teachable_folder: Path, mntp_stage: Table
):
    (adapter,) = adapt_tiny(tmp_path, mntp_stage).adapters
    ids = torch.arange(3, 15)[None]

    def output(*, adapters: list[Path], fresh: bool) -> Tensor:
        model: Any = load_decoder(teachable_folder, dtype=torch.float32, device="cpu").model
        merge_adapters(model, adapters)
        model = attach_lora(model, LoraSettings()).eval() if fresh else model
        with torch.no_grad():
            hidden: Tensor = model(input_ids=ids).last_hidden_state
        return hidden

    merged = output(adapters=[adapter], fresh=False)
    assert torch.equal(output(adapters=[adapter], fresh=True), merged)
    assert not torch.allclose(output(adapters=[], fresh=False), merged, atol=1e-3)


def test_the_second_stage_learns_on_top_of_the_first(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table, simcse_stage: Table
):
    both = adapt_tiny(tmp_path / "both", mntp_stage, simcse_stage).lineage["stages"][1]
    alone = adapt_tiny(tmp_path / "alone", simcse_stage).lineage["stages"][0]
    assert both["first_loss"] != alone["first_loss"]


def test_gradient_checkpointing_gives_the_same_adapter(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table
):
    plain = adapt_tiny(tmp_path / "plain", mntp_stage).adapters[0]
    saving = adapt_tiny(
        tmp_path / "saving", mntp_stage, settings={"gradient_checkpointing": True}
    ).adapters[0]
    ours, theirs = weights(plain), weights(saving)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)


def test_micro_batches_change_a_step_by_rounding_only(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table
):
    table = {**mntp_stage, "steps": 1, "lora": {"dropout": 0.0}}
    norms = [
        adapt_and_read_norm(adapt_tiny, tmp_path / str(size), {**table, "micro_batch_size": size})
        for size in (1, 3, 8)
    ]
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-5)


def adapt_and_read_norm(adapt_tiny: Adapt, folder: Path, stage: Table) -> float:
    adapt_tiny(folder, stage)
    (line,) = metrics(folder)
    return float(line["grad_norm"])


def test_bf16_weights_train_float32_adapters(adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table):
    result = adapt_tiny(tmp_path, {**mntp_stage, "steps": 20}, settings={"dtype": "bfloat16"})
    (report,) = result.lineage["stages"]
    assert {tensor.dtype for tensor in weights(result.adapters[0]).values()} == {torch.float32}
    assert report["last_loss"] < report["first_loss"]


def test_a_time_budget_ends_a_stage_and_the_learning_rate_falls_with_it(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table
):
    stage = {**mntp_stage, "steps": 1_000_000, "time_budget_seconds": 0.6}
    (report,) = adapt_tiny(tmp_path, stage).lineage["stages"]
    assert report["stopped_by"] == "time"
    assert report["steps"] < 1_000_000
    rates = [line["learning_rate"] for line in metrics(tmp_path)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.9 * rates[0]


def test_a_resumed_stage_has_only_the_rest_of_its_time(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table
):
    stage = {**mntp_stage, "steps": 1_000_000, "time_budget_seconds": 1.0}
    with pytest.raises(RuntimeError, match="crash"):
        adapt_tiny(tmp_path, stage, progress=StopAfter(4))
    used = json.loads(
        (next((tmp_path / "1-mntp/checkpoints").glob("step-*4")) / "state.json").read_text()
    )["state"]["seconds"]
    seen: list[StepReport] = []
    adapt_tiny(tmp_path, stage, resume=True, progress=seen.append)
    assert seen[0].step == 5
    assert seen[0].seconds > used
    assert seen[-1].progress == 1.0


def test_a_folder_with_a_run_is_not_overwritten(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table
):
    adapt_tiny(tmp_path, mntp_stage)
    with pytest.raises(RunFolderError, match="holds a run\nhint: resume it"):
        adapt_tiny(tmp_path, mntp_stage)


def test_a_run_is_not_resumed_with_other_settings_or_text(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table, sentences: list[str]
):
    adapt_tiny(tmp_path, mntp_stage)
    with pytest.raises(CheckpointError, match=r"settings\.stages\.0\.steps was 6 and is 7"):
        adapt_tiny(tmp_path, {**mntp_stage, "steps": 7}, resume=True)
    with pytest.raises(CheckpointError, match=r"texts\.digest was"):
        adapt_tiny(tmp_path, mntp_stage, texts=sentences[1:], resume=True)
    again = adapt_tiny(tmp_path, mntp_stage, settings={"metrics_every_steps": 3}, resume=True)
    assert again.adapters[0].is_dir()


def test_no_text_starts_no_run(adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table):
    with pytest.raises(TrainingTextError, match="training needs text"):
        adapt_tiny(tmp_path / "run", mntp_stage, texts=["", "  "])
    assert not (tmp_path / "run").exists()


class DivergingStage:
    """Gives NaN from a step on."""

    def __init__(self, inner: Stage, *, at: int) -> None:
        self.inner, self.at = inner, at

    def backward(
        self,
        model: nn.Module,
        step: int,
        *,
        precision: Precision,
        processes: Processes = ALONE,
    ) -> StepLoss:
        found = self.inner.backward(model, step, precision=precision, processes=processes)
        return replace(found, loss=float("nan")) if step == self.at else found


@pytest.fixture
def make_trainer(
    teachable_folder: Path,
    sentences: list[str],
    tmp_path: Path,
    one_thread: None,  # noqa: ARG001
) -> Callable[..., Trainer]:
    """Trainers of one MNTP stage, checkpoints after every step."""

    def make(*, nan_at: int = -1, **options: Any) -> Trainer:
        settings = MntpSettings(
            steps=4, batch_size=4, max_tokens=16, optimizer=OptimizerSettings(learning_rate=1e-2)
        )
        decoder = load_decoder(teachable_folder, with_head=True, dtype=torch.float32, device="cpu")
        stage, _ = build_stage(Examples(texts=sentences), settings, decoder=decoder, seed=0)
        loop = LoopSettings(
            stage=settings,
            label="mntp",
            seed=0,
            checkpoints=tmp_path / "checkpoints",
            metrics=MetricsLog(tmp_path / "metrics.jsonl"),
            identity={"run": 1},
            checkpoint_every_seconds=0,
            **options,
        )
        torch.manual_seed(0)
        model = attach_lora(decoder.model, settings.lora)
        return Trainer(model, DivergingStage(stage, at=nan_at), settings=loop)

    return make


def test_nan_stops_with_the_step_and_the_last_good_checkpoint(
    make_trainer: Callable[..., Trainer],
):
    with pytest.raises(DivergedError, match=r"in step 3 of mntp the loss is nan.*\n.*step-0+2\n"):
        make_trainer(nan_at=2).run()


def test_a_full_disk_stops_and_the_checkpoint_before_is_whole(
    make_trainer: Callable[..., Trainer], tmp_path: Path
):
    written = 0

    def write(path: Path, content: bytes) -> None:
        nonlocal written
        written += 1
        if written == 8:  # the second of the third checkpoint's three files
            path.write_bytes(content[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        durable_write(path, content)

    with pytest.raises(CheckpointError, match=r"No space left.*\n.*resume.*step-0+2"):
        make_trainer(write=write).run()
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000001",
        "step-00000002",
    ]
    assert make_trainer().run().step == 4


def test_only_the_latest_two_checkpoints_are_kept(
    make_trainer: Callable[..., Trainer], tmp_path: Path
):
    make_trainer().run()
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000003", "step-00000004"]


def test_a_checkpoint_of_another_run_and_a_broken_one_are_refused(
    make_trainer: Callable[..., Trainer], tmp_path: Path
):
    trainer = make_trainer()
    trainer.run()
    path = latest_checkpoint(tmp_path / "checkpoints")
    assert path is not None
    model = nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    with pytest.raises(CheckpointError, match="run was 1 and is 2"):
        load_checkpoint(path, parameters=trainable(model), optimizer=optimizer, identity={"run": 2})
    (path / "adapter.safetensors").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"step-0+4 can't be read"):
        make_trainer()


def test_a_line_of_metrics_that_a_crash_cut_short_is_dropped(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    kept = [{"stage": "a", "step": 9}, {"stage": "b", "step": 1}]
    lines = [*kept, {"stage": "b", "step": 2}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"stage": "b", "st')
    MetricsLog(path).forget_after(stage="b", step=1)
    assert metrics(tmp_path) == kept


def test_an_interrupt_writes_a_checkpoint_and_resuming_ends_as_if_nothing_was(
    adapt_tiny: Adapt, tmp_path: Path, mntp_stage: Table
):
    def interrupt(report: StepReport) -> None:
        if report.step == 2:
            signal.raise_signal(signal.SIGINT)

    straight = adapt_tiny(tmp_path / "straight", mntp_stage)
    never = {"checkpoint_every_seconds": 1e9}
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterruptedError, match="stopped after step 2 of 1-mntp"):
        adapt_tiny(tmp_path / "stopped", mntp_stage, settings=never, progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    resumed = adapt_tiny(tmp_path / "stopped", mntp_stage, settings=never, resume=True)
    assert equal(straight.adapters[0], resumed.adapters[0])


KILLED_RUN = """
import json, sys
from pathlib import Path
import torch
from adapters_training.adapt import adapt
torch.set_num_threads(1)
from adapters_training.settings.dicts import settings_from_dict
base, folder, settings, texts = sys.argv[1:]
adapt(
    Path(base),
    json.loads(texts),
    settings=settings_from_dict(json.loads(settings)),
    run_folder=Path(folder),
    resume=True,
)
"""


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_uninterrupted_runs_weights(
    adapt_tiny: Adapt,
    tmp_path: Path,
    teachable_folder: Path,
    sentences: list[str],
    mntp_stage: Table,
    simcse_stage: Table,
):
    stages = [{**mntp_stage, "steps": 30}, {**simcse_stage, "steps": 30}]
    straight = adapt_tiny(tmp_path / "straight", *stages)
    settings: Table = {
        "stages": stages,
        "dtype": "float32",
        "device": "cpu",
        "checkpoint_every_seconds": 0,
    }
    folder = tmp_path / "killed"
    command = [
        sys.executable,
        "-c",
        KILLED_RUN,
        str(teachable_folder),
        str(folder),
        json.dumps(settings),
        json.dumps(sentences),
    ]
    for wanted in ("1-mntp/checkpoints/step-00000005", "2-simcse/checkpoints/step-00000003"):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (folder / wanted).exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert not (folder / "2-simcse/report.json").exists()
    resumed = adapt_tiny(folder, *stages, resume=True)
    assert all(map(equal, straight.adapters, resumed.adapters))
