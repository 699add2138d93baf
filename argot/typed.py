"""Plain values from TOML or the environment to frozen settings objects."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from argot.errors import SettingsError

Settings = TypeVar("Settings")


def build(cls: type[Settings], values: Mapping[str, Any], *, where: str) -> Settings:
    """Make a settings object, every value checked.

    Args:
        cls: A dataclass whose fields are plain values, or tuples of them.
        values: By field name.
        where: The table, for messages, such as ``[search]``.

    Raises:
        SettingsError: an unknown key, a value of a wrong type, or one the class refuses.
    """
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    check_known(values, names, where=where)
    converted = {
        name: convert(value, hints[name], where=f"{where} {name}") for name, value in values.items()
    }
    try:
        return cls(**converted)
    except (ValueError, TypeError) as exc:
        raise SettingsError(f"{where}: {exc}") from exc


def check_known(names: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Refuse a name that is not known.

    Raises:
        SettingsError: with the nearest known name.
    """
    allowed = list(known)
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(allowed)}"
            raise SettingsError(f"{where} has no setting `{name}`\nhint: {hint}")


def convert(value: Any, hint: Any, *, where: str) -> Any:  # noqa: ANN401 - any type may be asked for
    """Check a plain value against a type hint; lists become tuples and whole numbers floats.

    Raises:
        SettingsError: it does not fit.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        fits = value in arguments
    elif origin in (types.UnionType, typing.Union):
        return _convert_union(value, arguments, where=where)
    elif origin is tuple and isinstance(value, list):
        return tuple(convert(item, arguments[0], where=where) for item in value)
    elif hint is float and type(value) is int:
        return float(value)
    else:
        fits = type(value) is hint
    if not fits:
        secret = where.endswith((" url", " api_key"))  # it may be, or hold, a password
        shown = type(value).__name__ if secret else repr(value)
        raise SettingsError(f"{where} must be {describe(hint)}; got {shown}")
    return value


def describe(hint: Any) -> str:  # noqa: ANN401
    """Say a type as a user would."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " or ".join(repr(argument) for argument in arguments)
    if origin is tuple:
        return f"a list, each item {describe(arguments[0])}"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(describe(a) for a in arguments if a is not type(None))
    plain = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return plain.get(hint, str(hint))


def _convert_union(value: Any, arguments: tuple[Any, ...], *, where: str) -> Any:  # noqa: ANN401
    if value is None and type(None) in arguments:
        return None
    options = [argument for argument in arguments if argument is not type(None)]
    for option in options[:-1]:
        try:
            return convert(value, option, where=where)
        except SettingsError:
            continue
    return convert(value, options[-1], where=where)
