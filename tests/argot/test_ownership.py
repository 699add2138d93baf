"""A user's file named like one of our packages is noticed at once, by name."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from argot.ownership import PACKAGES

REPOSITORY = Path(__file__).resolve().parents[2]


def import_argot_in(folder: Path) -> subprocess.CompletedProcess[str]:
    """Import argot as a script in ``folder`` would: its folder comes first on the path."""
    script = folder / "script.py"
    script.write_text("import argot\nprint(argot.__file__)\n", encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_module_named_like_our_package_is_refused_by_name(tmp_path: Path):
    (tmp_path / "retriever.py").write_text("top_k = 3\n", encoding="utf-8")
    result = import_argot_in(tmp_path)
    assert result.returncode == 1
    assert f"Python finds {tmp_path / 'retriever.py'} first" in result.stderr
    assert "hint: rename that file or folder" in result.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_named_like_ours_is_refused_by_name(tmp_path: Path, package: str):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    result = import_argot_in(tmp_path)
    assert result.returncode == 1
    assert f"its own package `{package}`" in result.stderr
    assert str(tmp_path / package / "__init__.py") in result.stderr


def test_a_plain_folder_named_like_our_package_hides_nothing(tmp_path: Path):
    (tmp_path / "indexing").mkdir()
    (tmp_path / "indexing" / "notes.txt").write_text("ours comes before it\n", encoding="utf-8")
    result = import_argot_in(tmp_path)
    assert result.stderr == ""
    assert Path(result.stdout.strip()) == REPOSITORY / "argot" / "__init__.py"


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ((), "`adapters_training` is missing"),
        (("adapters_training",), "Python finds {place}/adapters_training first"),
    ],
)
def test_a_copy_without_our_packages_says_so(
    tmp_path: Path, folders: tuple[str, ...], message: str
):
    for name in ("argot", *folders):
        (tmp_path / name).mkdir()
    for name in ("__init__.py", "ownership.py"):
        (tmp_path / "argot" / name).write_bytes((REPOSITORY / "argot" / name).read_bytes())
    result = subprocess.run(
        [sys.executable, "-S", "-c", "import argot"],  # -S: not the installed one
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert message.format(place=tmp_path) in result.stderr


def test_the_folders_of_the_tests_do_not_hide_our_packages(request: pytest.FixtureRequest):
    """With another mode than importlib, tests/retriever would be imported as ``retriever``."""
    assert request.config.getoption("importmode") == "importlib"
    for package in PACKAGES:
        module = importlib.import_module(package)
        assert module.__file__ == str(REPOSITORY / package / "__init__.py")
    assert not list((REPOSITORY / "tests").rglob("__init__.py"))
