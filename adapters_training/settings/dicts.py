"""Settings from and to plain dictionaries, as a settings file or a JSON file holds them."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.run import (
    AdaptSettings,
    MntpSettings,
    SimcseSettings,
    StageSettings,
)

T = TypeVar("T")

STAGES: dict[str, type[StageSettings]] = {
    kind.kind: kind for kind in (MntpSettings, SimcseSettings, ContrastiveSettings)
}


def settings_to_dict(settings: AdaptSettings) -> dict[str, Any]:
    """Turn settings into JSON values; `settings_from_dict` is the way back."""
    return {
        **dataclasses.asdict(settings),
        "stages": [stage_to_dict(stage) for stage in settings.stages],
    }


def stage_to_dict(stage: StageSettings) -> dict[str, Any]:
    """Turn one stage's settings into JSON values."""
    values = {"kind": stage.kind, **dataclasses.asdict(stage)}
    values["lora"]["targets"] = list(stage.lora.targets)
    return values


def settings_from_dict(values: Mapping[str, Any]) -> AdaptSettings:
    """Make settings from a settings file's table; what it does not name keeps its default.

    Where None is a choice, ``false`` says it.

    Raises:
        ValueError: an unknown key, or a value that can't be; both named with their place.
    """
    rest = dict(values)
    stages = rest.pop("stages", None)
    if stages is None:
        return _build(AdaptSettings, rest, where="adapt")
    if not isinstance(stages, list | tuple):
        raise ValueError(  # noqa: TRY004  # a settings file's mistake, as all the others here
            f"`adapt.stages` must be a list of tables; got {stages!r}"
        )
    built = tuple(_stage(stage, where=f"adapt.stages[{i}]") for i, stage in enumerate(stages))
    return _build(AdaptSettings, rest, where="adapt", ready={"stages": built})


def _stage(values: object, *, where: str) -> StageSettings:
    if isinstance(values, str):
        values = {"kind": values}
    if not isinstance(values, Mapping) or "kind" not in values:
        raise ValueError(f"`{where}` must be a table with `kind`, or a kind alone; got {values!r}")
    kind = values["kind"]
    if kind not in STAGES:
        raise ValueError(
            f"`{where}.kind` must be one of {', '.join(STAGES)}; got {kind!r}"
            + _near(str(kind), STAGES)
        )
    rest = {name: value for name, value in values.items() if name != "kind"}
    return _build(STAGES[kind], rest, where=where)


def _build(
    cls: type[T], values: Mapping[str, Any], *, where: str, ready: Mapping[str, Any] | None = None
) -> T:
    hints = typing.get_type_hints(cls)
    names = [name for name in hints if typing.get_origin(hints[name]) is not typing.ClassVar]
    arguments = dict(ready or {})
    for name, value in values.items():
        if name not in names:
            raise ValueError(f"`{where}` has no setting {name!r}{_near(name, names)}")
        arguments[name] = _convert(hints[name], value, where=f"{where}.{name}")
    try:
        return cls(**arguments)
    except ValueError as exc:
        raise ValueError(f"{where}: {exc}") from exc


def _convert(hint: Any, value: Any, *, where: str) -> Any:  # noqa: ANN401  # JSON value in and out
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise ValueError(f"`{where}` must be a table; got {value!r}")
        return _build(hint, value, where=where)
    if typing.get_origin(hint) is tuple:
        kind = typing.get_args(hint)[0]
        if not isinstance(value, list | tuple) or not all(type(item) is kind for item in value):
            raise ValueError(f"`{where}` must be a list of {kind.__name__}; got {value!r}")
        return tuple(value)
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is False and types.NoneType in allowed and bool not in allowed:
        return None  # TOML has no null
    if float in allowed and type(value) is int:
        return float(value)
    if type(value) not in allowed:
        wanted = " or ".join(kind.__name__ for kind in allowed)
        raise ValueError(f"`{where}` must be {wanted}; got {value!r}")
    return value


def _near(name: str, known: typing.Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"\nhint: did you mean {matches[0]!r}?" if matches else ""
