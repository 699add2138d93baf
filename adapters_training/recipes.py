"""Recipes: the settings of a run as a file, written like the table ``[adapt]`` of argot.toml.

Those that come with the package lie in the folder ``recipes``: LLM2Vec's, as published, and ours.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recipes"
DEFAULT_RECIPE = "default"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe that comes with the package."""

    name: str
    summary: str
    """What its first line says."""


def list_recipes() -> tuple[Recipe, ...]:
    """List the package's recipes by name."""
    return tuple(
        Recipe(path.stem, path.read_text(encoding="utf-8").split("\n", 1)[0].strip("# "))
        for path in sorted(FOLDER.glob("*.toml"))
    )


def load_recipe(recipe: str | Path, *, beside: Path | None = None) -> dict[str, Any]:
    """Read a recipe's settings, as `config_dicts.settings_from_dict` takes them.

    Args:
        recipe: Name of one of the package's, or a file: what ends in ``.toml``.
        beside: Folder that a file's relative path starts from; None: the current one.

    Raises:
        ValueError: there is no such recipe, or the file holds something else.
    """
    path = find_recipe(recipe, beside=beside)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ValueError(f"the recipe {path} can't be read: {exc}") from exc
    others = sorted(tables.keys() - {"adapt"})
    if others or not isinstance(tables.get("adapt"), dict):
        raise ValueError(
            f"a recipe must be a table [adapt] and nothing else; {path} has "
            f"{', '.join(others) or 'none'}"
        )
    return dict(tables["adapt"])


def find_recipe(recipe: str | Path, *, beside: Path | None = None) -> Path:
    """Locate a recipe by name or file.

    Raises:
        ValueError: there is none of that name.
    """
    if Path(recipe).suffix == ".toml":
        return (beside or Path()) / Path(recipe).expanduser()
    path = FOLDER / f"{recipe}.toml"
    names = [known.name for known in list_recipes()]
    if str(recipe) not in names:
        near = difflib.get_close_matches(str(recipe), names, n=1)
        raise ValueError(
            f"a recipe is one of {', '.join(names)}, or a .toml file; got {str(recipe)!r}"
            + (f"\nhint: did you mean {near[0]!r}?" if near else "")
        )
    return path


def lay_over(recipe: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change a recipe's settings.

    Args:
        recipe: Settings as a file has them.
        changes: What they name replaces the recipe's. Their ``stages`` say which stages there are;
            one that the recipe has too keeps what it does not name, also in its tables.
    """
    merged = {**recipe, **changes}
    if isinstance(changes.get("stages"), list):
        merged["stages"] = [
            _lay_stage_over(recipe.get("stages", []), stage) for stage in changes["stages"]
        ]
    return merged


def _lay_stage_over(stages: Sequence[Any], change: Any) -> Any:  # noqa: ANN401 - unchecked yet
    change = {"kind": change} if isinstance(change, str) else change
    if not isinstance(change, Mapping) or "kind" not in change:
        return change
    tables = (stage for stage in stages if isinstance(stage, Mapping))
    before: Mapping[str, Any] = next((t for t in tables if t.get("kind") == change["kind"]), {})
    return {
        **before,
        **{
            name: {**before[name], **value}
            if isinstance(value, Mapping) and isinstance(before.get(name), Mapping)
            else value
            for name, value in change.items()
        },
    }
