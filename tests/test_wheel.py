"""The wheel holds what it should, and works where there is no source tree and no torch."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = {"argot", "adapters_training", "connectors", "encoder", "indexing", "retriever"}
UNREACHABLE = re.compile("connection broken|name resolution|Failed to establish|timed out|Proxy")


def run(
    *command: str | Path, cwd: Path, allowed: tuple[int, ...] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Run a command without the variables that would let it find the source tree."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key != "PYTHONPATH" and not key.startswith("ARGOT_")
    }
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert result.returncode in allowed, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
        *("--outdir", folder, REPOSITORY),
        cwd=folder,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def clean_bin(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a new environment with the wheel, and none of its extras, in it."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv", with_pip=True)
    bin_folder = folder / "venv" / "bin"
    installing = run(
        *(bin_folder / "python", "-m", "pip", "install", "--quiet", wheel),
        cwd=folder,
        allowed=(0, 1),
    )
    if installing.returncode and UNREACHABLE.search(installing.stderr):
        pytest.skip("needs a package registry to install the dependencies from")
    assert installing.returncode == 0, installing.stderr
    return bin_folder


def test_the_wheel_holds_the_six_packages_and_no_tests(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert not [name for name in names if "test_" in name or "conftest" in name]
    assert "argot/demo/questions.jsonl" in names
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_the_commands_run_without_the_source_tree_and_without_torch(
    clean_bin: Path, tmp_path: Path
):
    find = "import importlib.util as u; print([u.find_spec(n) for n in ('torch', 'transformers')])"
    assert run(clean_bin / "python", "-c", find, cwd=tmp_path).stdout == "[None, None]\n"
    assert "Usage: argot" in run(clean_bin / "argot", "--help", cwd=tmp_path).stdout
    assert "torch" in run(clean_bin / "argot", "doctor", cwd=tmp_path).stdout


def test_each_top_level_name_is_ours_alone(clean_bin: Path, tmp_path: Path):
    owners = "from importlib.metadata import packages_distributions as p; d = p(); "
    names = f"print(*({{*d[name]}} for name in {sorted(PACKAGES)}))"
    printed = run(clean_bin / "python", "-c", owners + names, cwd=tmp_path).stdout
    assert printed.split() == ["{'argot-search'}"] * len(PACKAGES)


def test_a_folder_is_indexed_and_searched_by_words_without_torch(clean_bin: Path, tmp_path: Path):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "leave.md").write_text("# Leave\n\nEverybody has thirty days.\n", encoding="utf-8")
    (notes / "desks.md").write_text("# Desks\n\nBook a desk by noon.\n", encoding="utf-8")
    project = tmp_path / "project"
    run(clean_bin / "argot", "init", project, cwd=tmp_path)
    run(clean_bin / "argot", "ingest", notes, cwd=project)
    found = run(clean_bin / "argot", "search", "how many days of leave", "--json", cwd=project)
    assert '"document_id": "leave.md"' in found.stdout
