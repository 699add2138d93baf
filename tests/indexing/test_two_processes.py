"""A writer and a reader of one index in two processes, each killed now and then: no damage."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep
from types import ModuleType

import numpy as np
import pytest

from indexing.versions.collection import open_index
from indexing.versions.published_reader import open_published

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def two_processes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("two_processes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Side:
    """A process of its own, with what it prints in files."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._output, self._errors = folder / f"{arguments[0]}.out", folder / f"{arguments[0]}.err"
        with self._output.open("w") as output, self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, SCRIPT, arguments[0], folder / "indexes", *arguments[1:]],
                stdout=output,
                stderr=errors,
                cwd=SCRIPT.parents[2],
            )

    def wait_for_line(self, number: int) -> None:
        """Wait until it has printed so many lines, or has ended."""
        while self.lines < number and self.process.poll() is None:
            sleep(0.01)

    @property
    def lines(self) -> int:
        return self._output.read_text().count("\n")

    @property
    def is_well(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        code = self.process.wait(timeout=120)
        assert code in (0, -signal.SIGKILL), self.errors
        return code

    @property
    def errors(self) -> str:
        return self._errors.read_text()


ROUNDS = int(os.environ.get("ARGOT_TWO_PROCESSES_ROUNDS", "8"))


@pytest.mark.parametrize("rounds", [4, pytest.param(ROUNDS, id="many", marks=pytest.mark.slow)])
def test_neither_hurts_the_other_whoever_is_killed(
    tmp_path: Path, two_processes: ModuleType, rounds: int
):
    chance = np.random.default_rng(rounds)
    two_processes.write(tmp_path / "indexes", 0)
    reader = Side(tmp_path, "read")
    reader.wait_for_line(2)
    kills = searches = 0
    for turn in range(1, rounds + 1):
        while True:
            writer = Side(tmp_path, "write", str(turn))
            surely = turn == 1 and not kills
            if surely or chance.random() < 0.5:
                writer.wait_for_line(1)
                sleep(0 if surely else chance.uniform(0, 0.15))
                writer.kill()
            if chance.random() < 0.3:
                searches += reader.lines
                reader.kill()
                reader = Side(tmp_path, "read")
                reader.wait_for_line(1)
            killed = writer.end() != 0
            assert reader.is_well, reader.errors
            if not killed:
                break
            kills += 1
        check(tmp_path / "indexes", two_processes, turn)
        reader.wait_for_line(reader.lines + 2)
        assert reader.is_well, reader.errors
    searches += reader.lines
    reader.kill()
    assert kills
    assert searches > 2 * rounds
    with open_index(tmp_path / "indexes") as index:
        index.store.optimize()
    check(tmp_path / "indexes", two_processes, rounds)
    version = next((tmp_path / "indexes").glob("*/version.json")).parent
    assert len(list((version / "published").iterdir())) == 1
    assert not list((version / "readers").iterdir())


def check(indexes: Path, two_processes: ModuleType, turn: int) -> None:
    """What is published and what the writer has must be what the round left, point by point."""
    for opened in (open_published(indexes), open_index(indexes)):
        with opened as index:
            points = [point for batch in index.store.scan() for point in batch]
        assert two_processes.check_whole(points) == two_processes.expected(turn)
