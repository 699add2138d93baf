"""Write the reference pages from the code: `make docs`.

A test fails when a page differs from what this writes.
"""

import ast
import dataclasses
import inspect
import textwrap
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click

from adapters_training.settings.contrastive import ContrastiveSettings
from adapters_training.settings.run import (
    AdaptSettings,
    LoraSettings,
    MntpSettings,
    OptimizerSettings,
    SimcseSettings,
)
from adapters_training.settings.synthetic import SyntheticSettings
from argot.cli.main import cli
from argot.settings import CatalogChoice, EncoderChoice, IndexChoice
from argot.stage_settings import StageSettings
from argot.typed import describe
from connectors.registry import SourceSettings
from encoder.spec import EncodingSettings
from indexing.chunks.chunking import ChunkSettings
from indexing.stores.server_settings import ServerSettings
from retriever.access import AccessSettings
from retriever.answering.settings import AnswerSettings
from retriever.settings import SearchSettings

HERE = Path(__file__).parent

TABLES = (
    ("[encoder]", EncoderChoice),
    ("[[sources]]", SourceSettings),
    ("[chunks]", ChunkSettings),
    ("[index]", IndexChoice),
    ("[index] on a Qdrant server", ServerSettings),
    ("[search]", SearchSettings),
    ("[stages]", StageSettings),
    ("[ask]", AnswerSettings),
    ("[access]", AccessSettings),
    ("[catalog]", CatalogChoice),
    ("[adapt]", AdaptSettings),
    ('[[adapt.stages]] with kind = "mntp"', MntpSettings),
    ('[[adapt.stages]] with kind = "simcse"', SimcseSettings),
    ('[[adapt.stages]] with kind = "contrastive"', ContrastiveSettings),
    ("[adapt.stages.synthetic]", SyntheticSettings),
    ("[adapt.stages.lora]", LoraSettings),
    ("[adapt.stages.optimizer]", OptimizerSettings),
)

CLI_HEAD = """\
# Command line

Written by `make docs` from the commands themselves. Data goes to standard output, talk to standard
error; every command runs without a terminal and without questions.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a gate or a check failed |
| 2 | usage or settings |
| 3 | partly done: some documents failed and are listed |
| 4 | refused for safety: delete guard, wrong encoder, missing principal, a live index in the way |
| 5 | another process writes to it, such as a second `argot ingest` |
| 10 | no project here |
| 130 | interrupted; the same command goes on |
"""

SETTINGS_HEAD = """\
# Settings

Written by `make docs` from the settings classes. They are read from `argot.toml` in the project's
folder; an unknown key or a value of a wrong type is an error. A variable overrides the file, table
and key joined by two underscores: `ARGOT_SEARCH__K=5`.

A source takes the options of its connector beside its own settings. Folder: `include` and
`exclude`, lists of path patterns such as `**/*.md`, and `max_file_bytes`. JSON lines:
`max_line_bytes`.
"""


def cli_page() -> str:
    """A section for each command: usage, help, options."""
    parts = [CLI_HEAD]
    for name, command in commands(cli, "argot"):
        parts.append(f"## {name}\n\n```text\n{usage(name, command)}\n```\n\n{prose(command)}\n")
        options = [param for param in command.params if isinstance(param, click.Option)]
        if options:
            rows = [f"| {signature(option)} | {cell(option.help or '')} |" for option in options]
            parts.append("\n".join(["| option | meaning |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def commands(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    """List a command and those below it, in the order of its help."""
    found = [(name, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            loaded = command.get_command(context, below)
            if loaded is not None:
                found += commands(loaded, f"{name} {below}")
    return found


# Our own rendering of what click knows: its own changes from release to release.
def usage(name: str, command: click.Command) -> str:
    """The line that shows a command's arguments."""
    arguments = [
        param.metavar or (param.name or "").upper()
        for param in command.params
        if isinstance(param, click.Argument)
    ]
    below = ["COMMAND ..."] if isinstance(command, click.Group) else []
    return " ".join([name, "[OPTIONS]", *arguments, *below])


def prose(command: click.Command) -> str:
    """A command's help, with a list of the commands below it."""
    parts = [inspect.cleandoc(command.help or "")]
    if isinstance(command, click.Group):
        below = commands(command, "")[1:]
        parts.append("\n".join(f"- `{name.strip()}`: {summary(it)}" for name, it in below))
    return "\n\n".join(part for part in parts if part)


def summary(command: click.Command) -> str:
    """The first paragraph of a command's help."""
    return " ".join(inspect.cleandoc(command.help or "").partition("\n\n")[0].split())


def signature(option: click.Option) -> str:
    """An option's names and what it takes."""
    names = ", ".join(f"`{name}`" for name in option.opts)
    if option.is_flag:
        return names
    if isinstance(option.type, click.Choice):
        return f"{names} {cell('|'.join(str(choice) for choice in option.type.choices))}"
    kind = {"integer range": "N", "integer": "N", "float range": "X", "text": "TEXT"}
    return f"{names} {option.metavar or kind.get(option.type.name, option.type.name.upper())}"


def settings_page() -> str:
    """A table for each settings class."""
    parts = [SETTINGS_HEAD]
    for title, cls in TABLES:
        summary = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0]
        rows = [
            "| setting | type | default | meaning |",
            "|---|---|---|---|",
            *(
                f"| `{field.name}` | {kind} | {default_of(field)} | {meaning} |"
                for field, kind, meaning in fields_of(cls)
            ),
        ]
        parts.append(f"## {title}\n\n{' '.join(summary.split())}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def fields_of(cls: type) -> list[tuple[dataclasses.Field[Any], str, str]]:
    """List a class's fields with type and docstring, inherited ones too."""
    # [encoder] passes the same names on to the encoder, which explains them.
    sources = (EncodingSettings,) if cls is EncoderChoice else ()
    docs: dict[str, str] = {}
    for source in (*sources, *reversed(cls.__mro__[:-1])):
        docs |= attribute_docstrings(source)
    hints = get_type_hints(cls)
    rows = []
    for field in dataclasses.fields(cls):
        kind, meaning = type_of(hints[field.name]), docs.get(field.name, "")
        if kind == "a table":
            meaning = meaning or inspect.cleandoc(hints[field.name].__doc__)
        if field.name != "options":
            rows.append((field, cell(kind), cell(meaning)))
    return rows


def type_of(hint: Any) -> str:  # noqa: ANN401 - any type may be a field's
    """Say a field's type as a user would write it."""
    if dataclasses.is_dataclass(hint):
        return "a table"
    if hint is Path:
        return "text"
    if any(dataclasses.is_dataclass(argument) for argument in get_args(hint)):
        return "a list of tables"
    return describe(hint).replace("'", "`")


def attribute_docstrings(cls: type) -> dict[str, str]:
    """Read the strings that follow the fields in a class's source."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    docs: dict[str, str] = {}
    name = ""
    for node in getattr(definition, "body", []):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                docs[name] = inspect.cleandoc(text)
            case _:
                name = ""
    return docs


def default_of(field: dataclasses.Field[Any]) -> str:
    """Write a field's default as TOML would, where it is one plain value."""
    value = field.default
    if value is dataclasses.MISSING:
        required = field.default_factory is dataclasses.MISSING
        return "required" if required else "see its own table"
    if value is None or value in ("", ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else repr(value)}`".replace("'", '"')


def cell(text: str) -> str:
    """Fit a text into a cell of a table."""
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")


def main() -> None:
    """Write both pages."""
    (HERE / "cli.md").write_text(cli_page(), encoding="utf-8")
    (HERE / "settings.md").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
