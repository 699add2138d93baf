"""`argot migrate`."""

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
from argot.migrating import Collection, MigrationReport, migrate

SHOWN_FAILURES = 10


@click.command("migrate")
@click.argument("collection")
@click.option("--path", type=click.Path(path_type=Path), help="Folder of a local Qdrant client.")
@click.option("--url", default="", help="Qdrant server.")
@click.option("--content-key", default="page_content", help="Payload field with the text.")
@click.option("--metadata-key", default="metadata", help="Payload field with the metadata.")
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
    api_key: str,
    as_json: bool,
    folder: Path | None,
) -> int:
    """Read the COLLECTION of a LangChain QdrantVectorStore into the project.

    Texts, metadata and ids are kept; vectors are made anew. A run that was interrupted is completed
    by running it again. The collection is only read.
    """
    if (path is None) == (not url):
        raise click.UsageError("say where the collection is: --path FOLDER or --url URL")
    source = Collection(
        name=collection,
        path=path,
        url=url,
        api_key=api_key,
        content_key=content_key,
        metadata_key=metadata_key,
    )
    project = find_project(folder)
    with progress_line() as line:
        report = migrate(project, source, tell=lambda count: line.show(f"{count} points read"))
    if as_json:
        print_json({"written": report.written, "kept": report.kept, "failed": dict(report.failed)})
    else:
        say(describe(report))
    return PARTLY if report.failed else DONE


def describe(report: MigrationReport) -> str:
    """A report as a person reads it."""
    failed = list(report.failed.items())
    lines = [f"{report.written} written, {report.kept} kept, {len(failed)} failed"]
    lines += [f"  failed: {id_}: {reason}" for id_, reason in failed[:SHOWN_FAILURES]]
    if len(failed) > SHOWN_FAILURES:
        lines.append(f"  and {len(failed) - SHOWN_FAILURES} more; --json lists them")
    return "\n".join(lines)
