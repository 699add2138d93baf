"""`argot migrate`."""

from collections.abc import Mapping
from pathlib import Path

import click

from argot.cli.main import DONE, PARTLY
from argot.cli.output import (
    find_project,
    json_option,
    print_json,
    progress_line,
    project_option,
    say,
)
from argot.document_access import EVERYBODY
from argot.migrated_points import Collection
from argot.migrating import MigrationReport, migrate

SHOWN_FAILURES = 10


@click.command("migrate")
@click.argument("collection")
@click.option("--path", type=click.Path(path_type=Path), help="Folder of a local Qdrant client.")
@click.option("--url", default="", help="Qdrant server.")
@click.option("--content-key", default="page_content", help="Payload field with the text.")
@click.option("--metadata-key", default="metadata", help="Payload field with the metadata.")
@click.option(
    "--access",
    multiple=True,
    metavar="NAME",
    help="Who may see all of it, such as group:staff; repeatable. everybody: no access lists.",
)
@click.option(
    "--access-key",
    default="",
    metavar="PATH",
    help="Payload field with each document's own list of names, such as metadata.groups. Nobody "
    "may see a document without one.",
)
@click.option(
    "--api-key", envvar="QDRANT_API_KEY", default="", help="Its key; better as QDRANT_API_KEY."
)
@json_option
@project_option
def command(
    collection: str,
    *,
    path: Path | None,
    url: str,
    content_key: str,
    metadata_key: str,
    access: tuple[str, ...],
    access_key: str,
    api_key: str,
    as_json: bool,
    folder: Path | None,
) -> int:
    """Read the COLLECTION of a LangChain QdrantVectorStore into the project.

    Texts, metadata and ids are kept, payload fields beside them become metadata, and vectors are
    made anew. A run that was interrupted is completed by running it again. The collection is only
    read.

    Without --access and --access-key everybody may see what is new, unless the project has access
    lists; what an earlier run wrote keeps its list.
    """
    if (path is None) == (not url):
        raise click.UsageError("say where the collection is: --path FOLDER or --url URL")
    try:
        source = Collection(
            name=collection,
            path=path,
            url=url,
            api_key=api_key,
            content_key=content_key,
            metadata_key=metadata_key,
            access=access,
            access_key=access_key,
        )
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    project = find_project(folder)
    with progress_line() as line:
        report = migrate(project, source, tell=lambda count: line.show(f"{count} points read"))
    if as_json:
        print_json(report_json(report, source))
    else:
        say(describe(report, source))
    return PARTLY if report.failed else DONE


def report_json(report: MigrationReport, source: Collection) -> dict[str, object]:
    """A report as the JSON output has it."""
    return {
        "written": report.written,
        "kept": report.kept,
        "failed": dict(report.failed),
        "access": list(source.access),
        "access_key": source.access_key,
        "hidden": dict(report.hidden),
        "carried": dict(report.carried),
        "left_out": dict(report.left_out),
    }


def describe(report: MigrationReport, source: Collection) -> str:
    """A report as a person reads it."""
    failed = list(report.failed.items())
    lines = [f"{report.written} written, {report.kept} kept, {len(failed)} failed"]
    lines += [f"  failed: {id_}: {reason}" for id_, reason in failed[:SHOWN_FAILURES]]
    if len(failed) > SHOWN_FAILURES:
        lines.append(f"  and {len(failed) - SHOWN_FAILURES} more; --json lists them")
    if report.carried:
        lines.append(f"payload fields that became metadata: {_counts(report.carried)}")
    if report.left_out:
        lines.append(
            "payload fields left out, since the metadata have another value of that name: "
            f"{_counts(report.left_out)}"
        )
    return "\n".join([*lines, *_who(report, source)])


def _who(report: MigrationReport, source: Collection) -> list[str]:
    """Say who may see what was migrated."""
    if source.access_key:
        lines = [f"each document may be seen by whom its own {source.access_key} names"]
        if hidden := sum(report.hidden.values()):
            lines.append(
                f"nobody may see {hidden} of them; their {source.access_key} is: "
                f"{_counts(report.hidden)}"
            )
        return lines
    if source.access == (EVERYBODY,):
        return ["everybody may see them"]
    if source.access:
        return [f"they may be seen by {', '.join(source.access)}"]
    return [
        "everybody may see them, except those that had access lists here before\n"
        "hint: to change that, run again with --access group:NAME or --access-key metadata.NAME"
    ]


def _counts(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{name} ({count})" for name, count in most)
