"""`argot index verify`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argot.cli.main import DONE, FAILED
from argot.cli.output import find_project, json_option, print_json, project_option, say

if TYPE_CHECKING:
    from indexing.sync.verification import Finding, Verification

SHOWN = 20


@click.command("verify")
@click.argument("name", required=False)
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Encode so many chunks again and compare their vectors.",
)
@click.option("--repair", is_flag=True, help="Write again, or delete, what is wrong.")
@json_option
@project_option
def command(
    name: str | None, *, sample: int, repair: bool, as_json: bool, folder: Path | None
) -> int:
    """Compare a version with the catalog, point by point; NAME: the live one.

    Counts, names, texts and metadata of all points, and the vectors of a sample. Exit code 1 if
    something is wrong.
    """
    from argot.index.versions import check_version

    found, mended = check_version(find_project(folder), name=name, sample=sample, mend=repair)
    if as_json:
        print_json({**content(found), "repaired": mended})
    else:
        say(describe(found, mended=mended))
    return FAILED if found.findings else DONE


def content(found: "Verification") -> dict[str, Any]:
    """A check as the JSON output has it."""
    return {
        "version": found.version,
        "chunks": found.chunks,
        "points": found.points,
        "sampled": found.sampled,
        "problems": [
            {
                "problem": finding.problem.name.lower(),
                "point": finding.point,
                "source": finding.source,
                "document": finding.document_id,
                "cosine": finding.cosine,
            }
            for finding in found.findings
        ],
    }


def describe(found: "Verification", *, mended: int) -> str:
    """A check as a person reads it."""
    lines = [f"repaired {mended} points"] if mended else []
    lines.append(
        f"{found.version}: {found.chunks} chunks in the catalog, {found.points} points in the "
        f"store, {found.sampled} vectors computed again"
    )
    if not found.findings:
        return "\n".join([*lines, "all is as it must be"])
    for problem, count in Counter(finding.problem for finding in found.findings).items():
        lines.append(f"{count} x {problem}")
        shown = [finding for finding in found.findings if finding.problem is problem][:SHOWN]
        lines += [f"  {described(finding)}" for finding in shown]
        lines += [f"  and {count - SHOWN} more"] * (count > SHOWN)
    hint = f"argot index verify {found.version} --repair"
    lines.append(
        f"hint: `{hint}` writes these points again from the catalog"
        if any(finding.mendable for finding in found.findings)
        else "hint: the catalog itself is damaged; `argot ingest --rebuild` reads the sources again"
    )
    return "\n".join(lines)


def described(finding: "Finding") -> str:
    """One finding as a person reads it."""
    where = f"{finding.source}: {finding.document_id}" if finding.document_id else "no document"
    cosine = "" if finding.cosine is None else f", cosine {finding.cosine:.4f}"
    return f"{finding.point} ({where}{cosine})"
