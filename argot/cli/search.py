"""`argot search`."""

from pathlib import Path
from typing import Any

import click

from argot.cli.filters import parse_filters
from argot.cli.hits import describe, hit_json
from argot.cli.output import find_project, json_option, print_json, say, show
from argot.cli.search_options import (
    AT_LEAST_ONE,
    COUNT,
    expand_option,
    filter_option,
    min_score_option,
    not_nan,
    principals_option,
    rerank_option,
)
from argot.federated import FederatedSearch, search_together
from argot.searching import OpenSearch
from retriever.settings import MODES


@click.command("search")
@click.argument("query")
@click.option("-k", type=AT_LEAST_ONE, help="Number of hits; of documents with --per-document.")
@click.option("--mode", type=click.Choice(MODES), help="dense, sparse (no model) or hybrid.")
@click.option("--depth", type=AT_LEAST_ONE, help="Candidates of each side before fusion.")
@filter_option
@principals_option
@click.option(
    "--rescore/--no-rescore",
    default=None,
    help="Compare what codes or small vectors find with the whole vectors; where there are such.",
)
@rerank_option
@expand_option
@min_score_option
@click.option(
    "--mmr",
    type=click.FloatRange(0, 1),
    callback=not_nan,
    help="1: by relevance alone; 0: by difference alone. Needs vectors.",
)
@click.option("--per-document", type=COUNT, help="Group by document: hits of each, at most.")
@click.option("--neighbours", type=COUNT, help="Chunks before and after each hit to show.")
@click.option("--section", is_flag=True, default=None, help="Show the section of each hit.")
@click.option("--explain", is_flag=True, help="Show why each hit was found.")
@json_option
@click.option(
    "--project",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder with argot.toml; default: this one, or the nearest above it. More than one: "
    "search all of them.",
)
def command(
    query: str,
    *,
    filters: tuple[str, ...],
    principals: tuple[str, ...],
    explain: bool,
    as_json: bool,
    folders: tuple[Path, ...],
    **options: Any,  # noqa: ANN401 - those of the search, under their own names
) -> None:
    """Search the index, or several."""
    where = parse_filters(filters)
    opening = {name: options.pop(name) for name in ("mode", "k", "rerank", "expand")}
    with _open(folders, opening) as session:
        hits = session.searcher.search(
            query, where=where, principals=list(principals) or None, **options
        )
    if as_json:
        print_json({"hits": [hit_json(hit) for hit in hits]})
        return
    if not hits:
        say("nothing found")
    for number, hit in enumerate(hits, start=1):
        show(describe(number, hit, explain=explain))


def _open(folders: tuple[Path, ...], options: dict[str, Any]) -> OpenSearch | FederatedSearch:
    if len(folders) <= 1:
        return find_project(folders[0] if folders else None).search_session(**options)
    return search_together([find_project(folder) for folder in folders], **options)
