"""Change a few values of argot.toml, leaving every comment where it is."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argot.errors import SettingsError
from argot.starter import quoted

Value = str | int | float | None
"""None: the setting is commented out, so that its default holds."""

_HEADER = re.compile(r"\s*\[")


def edit_table(path: Path, table: str, values: Mapping[str, Value]) -> None:
    """Set values in one table of a settings file, replaced at once; the rest stays as it is.

    Args:
        path: The file.
        table: Its name, such as ``index``.
        values: By setting.

    Raises:
        SettingsError: the file is written in a form that can't be changed line by line.
    """
    path = path.resolve()
    old = path.read_text(encoding="utf-8")
    new = with_values(old, table, values)
    expected = tomllib.loads(old)
    place = expected.setdefault(table, {})
    for key, value in values.items():
        place.pop(key, None)
        if value is not None:
            place[key] = value
    if _parsed(new) != expected:
        lines = "\n".join(f"  {key} = {written(v)}" for key, v in values.items() if v is not None)
        raise SettingsError(
            f"{path} must have its settings in a table [{table}], one a line, to be changed; it "
            f"has another form\nhint: set these in it yourself, and no other of "
            f"{', '.join(values)}:\n{lines}"
        )
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(new, encoding="utf-8")
    unfinished.chmod(path.stat().st_mode)
    unfinished.replace(path)


def with_values(text: str, table: str, values: Mapping[str, Value]) -> str:
    """Set values in one table of a TOML text, line by line."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    header = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?$")
    start = next((i + 1 for i, line in enumerate(lines) if header.match(line)), None)
    if start is None:
        lines += ["\n", f"[{table}]\n"]
        start = len(lines)
    end = next((i for i in range(start, len(lines)) if _HEADER.match(lines[i])), len(lines))
    body = lines[start:end]
    for key, value in values.items():
        body = _with_value(body, key, value)
    return "".join([*lines[:start], *body, *lines[end:]])


def written(value: Value) -> str:
    """Write a value as TOML."""
    return quoted(value) if isinstance(value, str) else str(value)


def _with_value(body: list[str], key: str, value: Value) -> list[str]:
    active = re.compile(rf"(\s*){re.escape(key)}\s*=\s*[^#\n]*?(\s*#.*)?$")
    commented = re.compile(rf"\s*#\s*{re.escape(key)}\s*=")
    for i, line in enumerate(body):
        if match := active.match(line):
            indent, comment = match.group(1), match.group(2) or ""
            kept = f"{indent}{key} = {written(value)}{comment}\n"
            return [*body[:i], kept if value is not None else f"# {line.lstrip()}", *body[i + 1 :]]
    if value is None:
        return body
    # Under the comment that explains it; else at the top of the table.
    place = next((i + 1 for i, line in enumerate(body) if commented.match(line)), 0)
    return [*body[:place], f"{key} = {written(value)}\n", *body[place:]]


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
