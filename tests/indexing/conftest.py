"""What the tests of indexing share."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sync_world import World


@pytest.fixture(scope="session")
def sync_world() -> ModuleType:
    """The module sync_world.py; importlib mode gives test folders no import path."""
    path = Path(__file__).with_name("sync_world.py")
    spec = importlib.util.spec_from_file_location("sync_world", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sync_world"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(sync_world: ModuleType, tmp_path: Path) -> Iterator["World"]:
    """A store, a catalog and encoders to sync into."""
    world = sync_world.World(tmp_path)
    yield world
    world.close()
