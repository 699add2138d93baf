"""A run on disk: run.json, metrics.jsonl, and a folder for each stage.

A stage's folder holds its checkpoints while it is trained; then ``adapter`` and, written last,
``report.json``.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import PeftModel

from adapters_training.disk import flush_folder, write_json
from adapters_training.errors import CheckpointError, RunFolderError
from adapters_training.run.checkpoint import check_identity
from adapters_training.stages.lora import save_adapter

RUN_FILE = "run.json"
SCORES_FILE = "development.json"
"""Of the development set, in the run's folder, and in that of each stage that was evaluated."""


def open_run(
    folder: Path, record: Mapping[str, Any], *, resume: bool, irrelevant: tuple[str, ...]
) -> None:
    """Start a run in a folder, or check that the run there is this one.

    Args:
        folder: Made where it is missing; files that are no run's may lie in it.
        record: What the run is made of, JSON values.
        resume: Whether a run may be there.
        irrelevant: Names of settings that may differ.

    Raises:
        RunFolderError: there is a run and ``resume`` is False, or its record can't be read.
        CheckpointError: the run there is made of something else.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, record)
        return
    if not resume:
        raise RunFolderError(
            f"a new run needs a folder without one; {folder} holds a run\n"
            "hint: resume it, or name another folder"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise RunFolderError(f"the run's record {path} can't be read: {exc}") from exc
    check_identity(without(found, irrelevant), without(record, irrelevant), where=str(path))


def without(record: Mapping[str, Any], irrelevant: tuple[str, ...]) -> dict[str, Any]:
    """Copy a run's record without some of its settings."""
    settings = {k: v for k, v in record["settings"].items() if k not in irrelevant}
    return {**record, "settings": settings}


class StageFolder:
    """Where one stage of a run lies."""

    def __init__(self, path: Path) -> None:
        """Name the folder; it is made when something is written."""
        self._path = path

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self._path

    @property
    def label(self) -> str:
        """Name of the stage, unique in its run."""
        return self._path.name

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints, gone when the stage is done."""
        return self._path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """The adapter, as peft saves it."""
        return self._path / "adapter"

    def read_report(self) -> dict[str, Any] | None:
        """Read how the stage went; None: it isn't done.

        Raises:
            CheckpointError: the report can't be read.
        """
        path = self._path / "report.json"
        if not path.is_file():
            return None
        try:
            report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise CheckpointError(f"the stage's report {path} can't be read: {exc}") from exc
        return report

    def read_scores(self) -> dict[str, Any] | None:
        """Read how the development set was ranked; None: the stage was not evaluated.

        Raises:
            CheckpointError: the file can't be read.
        """
        path = self._path / SCORES_FILE
        if not path.is_file():
            return None
        try:
            scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise CheckpointError(f"the stage's scores {path} can't be read: {exc}") from exc
        return scores

    def finish(
        self, model: PeftModel, report: Mapping[str, Any], *, scores: Mapping[str, Any]
    ) -> None:
        """Write the adapter and the report, then delete the checkpoints.

        Args:
            model: The base and the adapter.
            report: How the stage went.
            scores: How the development set was ranked; empty: it was not.

        Raises:
            CheckpointError: they could not be written; the checkpoints are untouched.
        """
        try:
            aside = self._path / ".writing-adapter"
            shutil.rmtree(aside, ignore_errors=True)
            save_adapter(model, aside)
            shutil.rmtree(self.adapter, ignore_errors=True)
            aside.rename(self.adapter)
            flush_folder(self._path)
            if scores:
                write_json(self._path / SCORES_FILE, scores)
            write_json(self._path / "report.json", report)
        except OSError as exc:
            raise CheckpointError(
                f"the adapter must be written to {self.adapter}: {exc}\n"
                "hint: free some space and resume; the training is not lost"
            ) from exc
        shutil.rmtree(self.checkpoints, ignore_errors=True)
