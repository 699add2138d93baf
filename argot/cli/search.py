"""`argot search`."""

from pathlib import Path
from typing import Any

import click

from argot.cli.output import find_project, json_option, print_json, project_option, say
from indexing.filters import Condition
from retriever.conditions import condition_of
from retriever.results import Hit
from retriever.settings import MODES, Mode

TEXT_FIELDS = ("source", "document_id", "title", "uri", "text", "heading_path")
"""Always text, even if it looks like a number."""


@click.command("search")
@click.argument("query")
@click.option("-k", type=click.IntRange(min=1), help="Number of hits.")
@click.option("--mode", type=click.Choice(MODES), help="dense, sparse (no model) or hybrid.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Narrow the search; repeatable.",
)
@click.option(
    "--as", "principals", multiple=True, metavar="PRINCIPAL", help="Who asks: user:x, group:y."
)
@click.option("--explain", is_flag=True, help="Show why each hit was found.")
@json_option
@project_option
def command(
    query: str,
    *,
    k: int | None,
    mode: Mode | None,
    filters: tuple[str, ...],
    principals: tuple[str, ...],
    explain: bool,
    as_json: bool,
    folder: Path | None,
) -> None:
    """Search the index."""
    project = find_project(folder)
    where = parse_filters(filters)
    with project.search_session(mode=mode, k=k) as session:
        hits = session.searcher.search(query, where=where, principals=list(principals) or None)
    if as_json:
        print_json({"hits": [hit_json(hit) for hit in hits]})
        return
    if not hits:
        say("nothing found")
    for number, hit in enumerate(hits, start=1):
        click.echo(describe(number, hit, explain=explain))


def parse_filters(filters: tuple[str, ...]) -> Condition | None:
    """Read ``field=value`` pairs; several of one field: one must hold; several fields: all.

    Raises:
        BadParameter: a pair has no ``=``, or no chunk has the field.
    """
    parsed: dict[str, Any] = {}
    for pair in filters:
        field, sign, value = pair.partition("=")
        if not sign or not field:
            raise click.BadParameter(f"a filter must be FIELD=VALUE; got {pair!r}")
        parsed.setdefault(field, []).append(value if field in TEXT_FIELDS else plain_value(value))
    wanted = {name: values if len(values) > 1 else values[0] for name, values in parsed.items()}
    try:
        return condition_of(wanted or None)
    except (ValueError, TypeError) as exc:
        raise click.BadParameter(str(exc)) from exc


def plain_value(text: str) -> str | int | bool:
    """Read a value as the kind it looks like."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.lstrip("-").isdecimal() else text


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit as the JSON output has it."""
    return {
        "id": hit.id,
        "source": hit.source,
        "document_id": hit.document_id,
        "score": hit.score,
        "text": hit.text,
        "title": hit.title,
        "uri": hit.uri,
        "page": hit.page,
        "span": list(hit.span),
        "heading_path": list(hit.heading_path),
        "metadata": dict(hit.metadata),
        "explanation": dict(hit.explanation),
    }


def describe(number: int, hit: Hit, *, explain: bool) -> str:
    """A hit as a person reads it."""
    place = " > ".join(dict.fromkeys([hit.title or hit.document_id, *hit.heading_path]))
    page = f", page {hit.page}" if hit.page else ""
    text = " ".join(hit.text.split())
    lines = [
        f"{number}. {place}  ({hit.document_id}{page})  {hit.score:.4f}",
        f"   {text[:240]}{'…' if len(text) > 240 else ''}",
    ]
    if explain:
        lines.append(f"   {why(hit)}")
    return "\n".join(lines)


def why(hit: Hit) -> str:
    """Say how each side ranked a hit."""
    parts = []
    if hit.dense:
        parts.append(f"dense rank {hit.dense.rank}, cosine {hit.dense.score:.3f}")
    if hit.sparse:
        terms = ", ".join(hit.sparse.terms)
        parts.append(f"sparse rank {hit.sparse.rank}, BM25 {hit.sparse.score:.2f} ({terms})")
    return "; ".join(parts)
