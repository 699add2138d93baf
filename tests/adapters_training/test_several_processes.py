"""Runs of two processes on the CPU: what one process gives, up to rounding, also after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adapters_training.pairs import Pair

if TYPE_CHECKING:
    from adapters_training.adapt import Adaptation

pytestmark = [pytest.mark.torch, pytest.mark.slow]

Adapt = Callable[..., "Adaptation"]
Table = dict[str, Any]

CHUNK_TOKENS = 64
"""Small enough that a step has more chunks than processes."""

BOUND_SECONDS = 60
"""Within which a process must notice that another has ended; the import of torch included."""

SHARE = f"""
import atexit, json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.setswitchinterval(60)
def check_left():
    if torch.distributed.is_initialized():
        os._exit(7)
atexit.register(check_left)
from adapters_training.text import chunks as text_chunks
text_chunks.PROCESSOR_CHUNK_TOKENS = {CHUNK_TOKENS}
from adapters_training.adapt import adapt, help_adapt
from adapters_training.settings.dicts import settings_from_dict
from adapters_training.pairs import Pair
base, folder, settings, texts, pairs = sys.argv[1:]
if os.environ["RANK"] != "0":
    help_adapt()
else:
    adapt(
        Path(base),
        json.loads(texts),
        settings=settings_from_dict(json.loads(settings)),
        run_folder=Path(folder),
        pairs=[Pair(query=query, positive=positive) for query, positive in json.loads(pairs)],
        resume=True,
    )
"""
"""One process's share. Without a switch of threads the group's own, if they are left to the end of
the interpreter, are still busy then and abort it."""

LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
"""Two processes that meet on this machine's CPU."""


def free_port() -> str:
    """Ask the system for a port, in a process that may."""
    ask = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
    return subprocess.check_output([sys.executable, "-I", "-c", ask], text=True).strip()


@pytest.fixture
def pairs(sentences: list[str]) -> list[Pair]:
    """Queries in capitals: other tokens, so that there is something to learn."""
    return [Pair(query=text.upper(), positive=text) for text in sentences]


@pytest.fixture
def start_two(
    teachable_folder: Path, sentences: list[str], pairs: list[Pair]
) -> Callable[..., Any]:
    """Start two processes of one run."""

    @contextmanager
    def start(folder: Path, *stages: Table, **settings: Any) -> Iterator[list[subprocess.Popen]]:
        table = {
            "stages": list(stages),
            "dtype": "float32",
            "checkpoint_every_seconds": 0,
            **settings,
        }
        command = [sys.executable, "-c", SHARE, str(teachable_folder), str(folder)]
        command += map(json.dumps, (table, sentences, [[p.query, p.positive] for p in pairs]))
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
        started = [
            subprocess.Popen(
                command,
                env={**os.environ, **LOOPBACK, **group, "RANK": rank, "LOCAL_RANK": rank},
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in "01"
        ]
        try:
            yield started
        finally:
            for process in started:
                process.kill()
                process.communicate()

    return start


def finish(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors


def metrics(folder: Path) -> list[Table]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_run(one: Path, two: Path) -> None:
    from safetensors.torch import load_file
    from torch.testing import assert_close

    found = sorted(path.relative_to(one) for path in one.glob("*/adapter/*.safetensors"))
    assert found
    for path in found:
        assert_close(load_file(one / path), load_file(two / path), rtol=1e-5, atol=1e-5)
    measured = [
        [(m["stage"], m["step"], m.get("loss", m.get("ndcg@10"))) for m in metrics(folder)]
        for folder in (one, two)
    ]
    assert measured[1] == [(a, b, pytest.approx(c, rel=1e-5)) for a, b, c in measured[0]]


def stage(kind: str, **changes: Any) -> Table:
    return {
        "kind": kind,
        "steps": 4,
        "batch_size": 14,
        "max_tokens": 16,
        "optimizer": {"learning_rate": 1e-3},
        **changes,
    }


MNTP = stage("mntp", micro_batch_size=3)
SIMCSE = stage("simcse", memory_tokens=CHUNK_TOKENS)
CONTRASTIVE = stage(
    "contrastive",
    pairs=["labelled"],
    mine=["encoder"],
    negatives=1,
    evaluations=2,
    memory_tokens=CHUNK_TOKENS,
)


def test_two_processes_do_what_one_does(
    adapt_tiny: Adapt,
    start_two: Callable[..., Any],
    tmp_path: Path,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("adapters_training.text.chunks.PROCESSOR_CHUNK_TOKENS", CHUNK_TOKENS)
    stages = [MNTP, SIMCSE, CONTRASTIVE]
    adapt_tiny(tmp_path / "one", *stages, pairs=pairs)
    with start_two(tmp_path / "two", *stages) as processes:
        finish(processes)
    assert_same_run(tmp_path / "one", tmp_path / "two")
    files = [
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        for folder in (tmp_path / "one", tmp_path / "two")
    ]
    assert files[0] == files[1]
    report = json.loads((tmp_path / "two/3-contrastive/report.json").read_text())
    assert report["processes"] == 2


def test_a_base_spread_over_two_processes_trains_the_same_adapters(
    adapt_tiny: Adapt,
    start_two: Callable[..., Any],
    tmp_path: Path,
    pairs: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("adapters_training.text.chunks.PROCESSOR_CHUNK_TOKENS", CHUNK_TOKENS)
    # A spread base draws dropout in another way: a mask for each layer and not for each input.
    whole = {"lora": {"dropout": 0.0}}
    stages = [{**MNTP, **whole}, {**CONTRASTIVE, **whole, "mine": []}]
    adapt_tiny(tmp_path / "one", *stages, pairs=pairs)
    with start_two(tmp_path / "two", *stages, shard=True) as processes:
        finish(processes)
    assert_same_run(tmp_path / "one", tmp_path / "two")


def test_when_either_process_is_killed_the_other_ends_and_both_resume(
    adapt_tiny: Adapt, start_two: Callable[..., Any], tmp_path: Path
):
    many = {**MNTP, "steps": 24}
    for killed, step in ((1, 3), (0, 6)):
        with start_two(tmp_path / "two", many) as processes:
            wait_for(tmp_path / f"two/1-mntp/checkpoints/step-{step:08d}", processes)
            processes[killed].kill()
            _, errors = processes[1 - killed].communicate(timeout=BOUND_SECONDS)
            assert processes[1 - killed].returncode == 1
            assert "every process of a run must stay to its end; another one is gone" in errors
        assert not (tmp_path / "two/1-mntp/report.json").exists()
    with start_two(tmp_path / "two", many) as processes:
        finish(processes)
    adapt_tiny(tmp_path / "one", many)
    assert_same_run(tmp_path / "one", tmp_path / "two")


def test_a_request_to_stop_reaches_both_through_either(
    start_two: Callable[..., Any], tmp_path: Path
):
    many = {**MNTP, "steps": 100_000}
    with start_two(tmp_path, many, checkpoint_every_seconds=1e9) as processes:
        wait_for(tmp_path / "metrics.jsonl", processes)
        processes[1].send_signal(signal.SIGTERM)
        for process in processes:
            _, errors = process.communicate(timeout=BOUND_SECONDS)
            assert "TrainingInterruptedError: training was stopped after step" in errors
    assert list((tmp_path / "1-mntp/checkpoints").glob("step-*"))


def wait_for(path: Path, processes: list[subprocess.Popen]) -> None:
    deadline = time.monotonic() + 240
    while not path.exists() and all(process.poll() is None for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert path.exists()


def test_accelerates_launcher_runs_the_command_line(
    teachable_folder: Path, sentences: list[str], tmp_path: Path
):
    settings = "stages = [{kind = 'mntp', steps = 2, batch_size = 4, max_tokens = 16}]"
    (tmp_path / "argot.toml").write_text(
        f"[encoder]\nmodel = '{teachable_folder}'\n[adapt]\ndtype = 'float32'\n{settings}\n"
    )
    (tmp_path / "text.txt").write_text("\n\n".join(sentences))
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    launch += f" --mixed_precision no --dynamo_backend no --main_process_port {free_port()}"
    adapt = "-m argot.cli.main adapt --json --text text.txt"
    run = subprocess.run(
        [sys.executable, "-m", *launch.split(), *adapt.split()],
        cwd=tmp_path,
        env={**os.environ, **LOOPBACK},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    made = json.loads(run.stdout)  # one of the two talks
    assert (Path(made["folder"]) / "encoder.json").is_file()
    report = json.loads((tmp_path / ".argot/runs/adapted-1/1-mntp/report.json").read_text())
    assert (report["processes"], report["steps"]) == (2, 2)
