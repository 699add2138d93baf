"""Build a version of a project's index and die in it, as by ``kill -9``: FOLDER OPERATION:CALL."""

import importlib.util
import itertools
import os
import signal
import sys
from pathlib import Path

import pytest

import indexing.sync.shadow
from argot.index.building import build_version
from indexing.stores.edge import EdgeStore


def die_at(operation: str, *, call: int) -> None:
    """Kill this process in place of the given call of an operation of any store."""
    real, calls = getattr(EdgeStore, operation), itertools.count(1)

    def counted(store: EdgeStore, *arguments: object) -> object:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(store, *arguments)

    setattr(EdgeStore, operation, counted)


if __name__ == "__main__":
    folder, die = Path(sys.argv[1]), sys.argv[2]
    spec = importlib.util.spec_from_file_location(
        "versions_world", Path(__file__).with_name("versions_world.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    indexing.sync.shadow.DOCUMENTS_PER_COMMIT = 5
    world = module.World(folder, pytest.MonkeyPatch(), fresh=False)
    operation, call = die.split(":")
    die_at(operation, call=int(call))
    build_version(world.project, encoder="new")
