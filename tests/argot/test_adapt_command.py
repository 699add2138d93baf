"""`argot adapt`: recipes, what is laid over them, and the dry run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argot import Project

Run = Callable[..., tuple[int, Any, str]]

SETTINGS = """
[encoder]
model = 'models/tiny'
max_tokens = 64
[chunks]
chunk_tokens = 64
overlap_tokens = 8
[adapt]
recipe = 'mine.toml'
[[adapt.stages]]
kind = "mntp"
batch_size = 2
"""

MINE = """
[adapt]
seed = 3
[[adapt.stages]]
kind = "mntp"
steps = 2
max_tokens = 16
[[adapt.stages]]
kind = "simcse"
steps = 2
batch_size = 4
max_tokens = 16
"""


@pytest.fixture
def adaptable(project: Path, tiny_decoder_folder: Path) -> Path:
    """The project of three documents, with a model and a recipe of its own."""
    shutil.copytree(tiny_decoder_folder, project / "models/tiny")
    (project / "mine.toml").write_text(MINE)
    with (project / "argot.toml").open("a") as file:
        file.write(SETTINGS)
    return project


def test_recipes_are_listed(argot: Run) -> None:
    code, listed, _ = argot("adapt", "--list-recipes", "--json")
    names = [recipe["name"] for recipe in listed["recipes"]]
    assert (code, listed["schema_version"]) == (0, 1)
    assert {"default", "quick", "llm2vec-mistral"} <= set(names)
    _, text, _ = argot("adapt", "--list-recipes")
    assert all(name in text for name in names)


@pytest.mark.torch
def test_settings_are_laid_over_the_recipe_and_options_over_them(adaptable: Path) -> None:
    from argot.training.adaptation import adapt_settings

    project = Project.open(adaptable)
    settings = adapt_settings(project)
    (mntp,) = settings.stages
    assert (settings.seed, mntp.batch_size, mntp.max_tokens, mntp.steps) == (3, 2, 16, 2)
    chosen = adapt_settings(project, stages=["mntp", "simcse"], steps=7)
    assert [(s.kind, s.batch_size) for s in chosen.stages] == [("mntp", 2), ("simcse", 4)]
    assert {stage.steps for stage in chosen.stages} == {7}
    (mistral,) = adapt_settings(project, recipe="llm2vec-mistral").stages
    assert (mistral.batch_size, mistral.max_tokens) == (2, 512)


@pytest.mark.torch
def test_an_unknown_recipe_is_refused_with_a_hint(adaptable: Path, argot: Run) -> None:
    code, _, err = argot("adapt", "--recipe", "quik", "--project", adaptable)
    assert (code, "did you mean 'quick'" in err) == (2, True)


@pytest.mark.torch
def test_a_dry_run_tells_what_a_run_would_take_and_writes_nothing(
    adaptable: Path, argot: Run
) -> None:
    here = ("--project", adaptable)
    assert argot("ingest", *here)[0] == 0
    code, told, _ = argot("adapt", "--dry-run", "--json", "--stages", "mntp,simcse", *here)
    assert (code, told["schema_version"]) == (0, 1)
    assert [(s["stage"], s["steps"]) for s in told["stages"]] == [("1-mntp", 2), ("2-simcse", 2)]
    assert told["seconds"] == pytest.approx(sum(s["seconds"] for s in told["stages"]), abs=0.2)
    assert told["peak_memory_bytes"] == max(s["peak_memory_bytes"] for s in told["stages"])
    assert not (adaptable / ".argot/runs").exists()
    assert not (adaptable / ".argot/encoders").exists()
    code, text, _ = argot("adapt", "--dry-run", "--text", adaptable / "docs", *here)
    assert (code, "1-mntp: 2 steps" in text, "in all: about" in text) == (0, True, True)


@pytest.mark.torch
def test_a_dry_run_resumes_nothing(adaptable: Path, argot: Run) -> None:
    code, _, err = argot("adapt", "--dry-run", "--resume", "--project", adaptable)
    assert (code, "a dry run is of a new run" in err) == (2, True)
