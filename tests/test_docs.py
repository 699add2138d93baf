"""The documentation is true: its commands exist, its code runs, its links lead somewhere."""

import dataclasses
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import click
import pytest

from argot.cli.main import cli
from argot.starter import TEMPLATE
from connectors.registry import SourceSettings, build_connector

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
DECISIONS = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))
HEADINGS = ["## Context", "## Decision", "## Consequences", "## What would change our mind"]

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def blocks(language: str, *, pages: list[Path] = PAGES) -> list[tuple[str, str]]:
    """Every fenced block whose info string begins with a language: page and content."""
    return [
        (name_of(page), content)
        for page in pages
        for info, content in FENCE.findall(page.read_text(encoding="utf-8"))
        if info == language or info.startswith(f"{language} ")
    ]


def shell_lines() -> list[tuple[str, str]]:
    return [
        (page, line)
        for page, content in blocks("bash")
        for line in content.splitlines()
        if line.strip()
    ]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The module docs/reference/generate.py."""
    path = REPOSITORY / "docs" / "reference" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_a_command_in_the_docs_exists(page: str, line: str):
    program, *arguments = shlex.split(line, comments=True)
    if program == "argot":
        check_argot(arguments)
    elif program == "make":
        targets = re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in arguments if "=" not in word} <= set(targets)
    else:
        assert program in {"pip", "cd", "git", "source"}, f"{page}: nothing checks `{line}`"


def check_argot(arguments: list[str]) -> None:
    """Let click read a command line as it would, without running it."""
    command: click.Command = cli
    context = click.Context(cli, info_name="argot")
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(arguments)
        name, found, arguments = command.resolve_command(context, rest)
        assert found is not None, name
        command, context = found, click.Context(found, info_name=name, parent=context)
    values, extra, _ = command.make_parser(context).parse_args(arguments)
    assert not extra, extra
    for param in command.params:
        if isinstance(param.type, click.Choice) and isinstance(values.get(param.name), str):
            assert values[param.name] in param.type.choices


@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python_in_the_docs_compiles(page: str, code: str):
    compile(code, page, "exec")


@pytest.mark.parametrize(("page", "code"), blocks("python run"))
def test_python_marked_as_runnable_runs_and_prints_what_it_says(
    page: str, code: str, tmp_path: Path
):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, f"{page}\n{result.stderr}"
    for expected in re.findall(r"# => (.+)$", code, re.MULTILINE):
        assert expected in result.stdout.splitlines()


def test_the_readme_has_an_example_that_runs():
    assert blocks("python run", pages=[REPOSITORY / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path):
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if not link.startswith(("https://", "#")):
            assert (page.parent / link.partition("#")[0]).exists(), link


def test_every_extra_named_in_the_readme_exists():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"pip install [^`]*?\[([a-z]+)\]", readme))
    assert named == set(project["optional-dependencies"])


def test_every_command_and_option_says_what_it_does(generator: ModuleType):
    for name, command in generator.commands(cli, "argot"):
        assert command.help, name
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.help, f"{name} {param.opts}"


def test_every_setting_says_what_it_does(generator: ModuleType):
    for table, cls in generator.TABLES:
        for field, _, meaning in generator.fields_of(cls):
            assert meaning, f"{table} {field.name} needs a docstring under it"


def test_the_defaults_shown_in_a_new_argot_toml_are_the_defaults(generator: ModuleType):
    classes = {name.strip("[]"): cls for name, cls in generator.TABLES}
    shown = 0
    for table, body in re.findall(r"^\[(\w+)\]\n((?:[^\[\n].*\n|\n)*)", TEMPLATE, re.MULTILINE):
        defaults = {field.name: field.default for field in dataclasses.fields(classes[table])}
        for line in re.findall(r"^# (\w+ = .+)$", body, re.MULTILINE):
            ((name, value),) = tomllib.loads(line).items()
            if defaults[name] is not None:
                assert value == defaults[name], f"[{table}] {line}"
                shown += 1
    assert shown >= 5


@pytest.mark.parametrize("page", ["cli", "settings"])
def test_the_reference_is_what_the_code_says(generator: ModuleType, page: str):
    written = (REPOSITORY / "docs" / "reference" / f"{page}.md").read_text(encoding="utf-8")
    assert written == getattr(generator, f"{page}_page")(), "run `make docs`"


@pytest.mark.parametrize("kind", ["folder", "jsonl"])
def test_the_reference_names_every_option_of_a_source(generator: ModuleType, kind: str):
    source = SourceSettings(name="docs", path=REPOSITORY, type=kind, options={"?": 1})
    with pytest.raises(ValueError, match="known: ") as refusal:
        build_connector(source)
    for option in str(refusal.value).partition("known: ")[2].split(", "):
        assert f"`{option}`" in generator.SETTINGS_HEAD


@pytest.mark.parametrize(("page", "most"), [("README.md", 150), ("ARCHITECTURE.md", 200)])
def test_a_page_can_be_read_in_one_sitting(page: str, most: int):
    assert len((REPOSITORY / page).read_text(encoding="utf-8").splitlines()) <= most


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_has_its_four_headings(page: Path):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"# {page.name[:4]}: ")
    assert [line for line in lines if line.startswith("## ")] == HEADINGS


def test_decisions_are_numbered_in_sequence_and_listed_in_the_architecture():
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    architecture = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for page in DECISIONS:
        assert f"docs/decisions/{page.name}" in architecture


def test_the_changelog_has_a_place_for_the_next_change():
    assert "## Unreleased" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
