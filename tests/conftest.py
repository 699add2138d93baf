"""What every test may use."""

import ast
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fake_qdrant import FakeQdrant

os.environ.setdefault("HF_HUB_OFFLINE", "1")

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once with each family of decoders, hybrid or family that is refused.

    The lists are read and not imported: that would take torch, for tests that may not even run.
    """
    if "family" in metafunc.fixturenames:
        slow = [pytest.param(name, marks=pytest.mark.slow) for name in names_in("MORE_FAMILIES")]
        metafunc.parametrize("family", [*names_in("FAMILIES"), *slow])
    if "hybrid" in metafunc.fixturenames:
        metafunc.parametrize("hybrid", names_in("HYBRIDS"))
    if "causal_only" in metafunc.fixturenames:
        metafunc.parametrize("causal_only", names_in("CAUSAL_ONLY"))


def names_in(dictionary: str) -> list[str]:
    """The keys of a dictionary that stands in tests/tiny_models.py."""
    source = (REPOSITORY / "tests/tiny_models.py").read_text(encoding="utf-8")
    return [
        str(key.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)
        if isinstance(node.target, ast.Name) and node.target.id == dictionary
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    ]


def module_of_tests(name: str) -> ModuleType:
    """A module in tests; importlib mode gives test folders no import path."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / f"tests/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    """The module tests/tiny_models.py."""
    return module_of_tests("tiny_models")


@pytest.fixture(scope="session")
def fake_servers() -> ModuleType:
    """The module tests/fake_qdrant.py."""
    return module_of_tests("fake_qdrant")


@pytest.fixture(scope="session")
def fake_stages() -> ModuleType:
    """The module tests/fake_stages.py."""
    return module_of_tests("fake_stages")


@pytest.fixture
def server(fake_servers: ModuleType) -> Iterator["FakeQdrant"]:
    """A Qdrant server on loopback that is none."""
    with fake_servers.fake_qdrant() as fake:
        yield fake


@pytest.fixture(scope="session")
def tiny_decoder_folder(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama checkpoint."""
    folder: Path = tiny_models.write_tiny_decoder(tmp_path_factory.mktemp("tiny-llama"))
    return folder


@pytest.fixture(scope="session")
def write_decoder(
    tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Write a tiny decoder of a family, with changes to its sizes; each once in a session."""
    folders: dict[str, Path] = {}

    def write(family: str, **changes: Any) -> Path:
        key = f"{family} {changes}"
        if key not in folders:
            folders[key] = tiny_models.write_tiny_decoder(
                tmp_path_factory.mktemp(family), family, **changes
            )
        return folders[key]

    return write


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on two threads, and far slower on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real collections beside the repository, where there is one."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the judged collections in {folder}")
    return folder
