"""The walls of the house: who may import whom, what starts light, whose names these are."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from argot.cli.main import COMMANDS

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("adapters_training", "argot", "connectors", "encoder", "indexing", "retriever")
HEAVY = (
    *("torch", "transformers", "peft", "qdrant_client", "qdrant_edge", "sqlalchemy"),
    *("langchain_core", "matplotlib"),
)

LOADED = """
import sys
{statement}
print(" ".join(name for name in {heavy} if name in sys.modules), file=sys.stderr)
"""

COMMAND = """
from argot.cli.main import run
code = run({arguments})
assert code == 0, code
"""


def heavy_modules_of(statement: str, *, folder: Path) -> set[str]:
    """Run a statement in a process of its own; name the heavy libraries it loaded."""
    result = subprocess.run(
        [sys.executable, "-c", LOADED.format(statement=statement, heavy=HEAVY)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return set(result.stderr.splitlines()[-1].split())


def heavy_modules_of_command(*arguments: str, folder: Path) -> set[str]:
    """Run a command as `argot` would; name the heavy libraries it loaded."""
    return heavy_modules_of(COMMAND.format(arguments=list(arguments)), folder=folder)


def test_every_import_contract_is_kept():
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_the_lint_for_editors_exempts_the_files_that_the_contracts_let_in():
    """Two tools state one rule: ruff while a file is edited, import-linter for the whole."""
    tools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (contract,) = (
        contract
        for contract in tools["importlinter"]["contracts"]
        if contract.get("protected_modules") == ["torch", "transformers", "peft"]
    )
    allowed = {name for name in contract["allowed_importers"] if name.startswith("encoder.")}
    (pattern,) = (
        pattern
        for pattern, codes in tools["ruff"]["lint"]["per-file-ignores"].items()
        if pattern.startswith("encoder/{") and "TID253" in codes
    )
    files = pattern.removeprefix("encoder/{").removesuffix("}.py").split(",")
    assert {f"encoder.{name}" for name in files} == allowed


@pytest.mark.parametrize(
    "statement",
    [
        "import argot",
        "from argot import __version__",
        "import argot.cli.main",
        COMMAND.format(arguments=["--help"]),
        COMMAND.format(arguments=["--version"]),
    ],
)
def test_starting_loads_nothing_heavy(statement: str, tmp_path: Path):
    assert heavy_modules_of(statement, folder=tmp_path) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_loads_no_model_library(command: str, tmp_path: Path):
    loaded = heavy_modules_of_command(command, "--help", folder=tmp_path)
    assert not loaded & {"torch", "transformers", "peft", "qdrant_client", "langchain_core"}


def test_a_search_by_words_loads_neither_a_model_library_nor_sql(tmp_path: Path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "leave.md").write_text("# Leave\n\nEverybody has thirty days.\n", encoding="utf-8")
    heavy_modules_of_command("init", folder=tmp_path)
    heavy_modules_of_command("ingest", "notes", folder=tmp_path)
    arguments = ("search", "days of leave", "--mode", "sparse", "--json")
    assert heavy_modules_of_command(*arguments, folder=tmp_path) == {"qdrant_edge"}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_brings_a_package_of_our_name(package: str):
    # An editable install lists no packages of its own; tests/test_wheel.py looks at a real one.
    assert set(packages_distributions().get(package, [])) <= {"argot-search"}
