"""What every test may use."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    """The module tests/tiny_models.py; importlib mode gives test folders no import path."""
    spec = importlib.util.spec_from_file_location(
        "tiny_models", REPOSITORY / "tests/tiny_models.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_models"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_decoder_folder(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama checkpoint."""
    folder: Path = tiny_models.write_tiny_decoder(tmp_path_factory.mktemp("tiny-llama"))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real collections beside the repository, where there is one."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the judged collections in {folder}")
    return folder
