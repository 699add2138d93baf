"""Options that several commands share, and the values they take."""

import math

import click

from indexing.identity import printable
from retriever.settings import MAX_COUNT

COUNT = click.IntRange(0, MAX_COUNT)
AT_LEAST_ONE = click.IntRange(1, MAX_COUNT)

FILTER_HELP = (
    "Narrow the search; repeatable. FIELD=VALUE, FIELD!=VALUE, FIELD>=NUMBER-OR-DATE (also > <= "
    "<), FIELD~WORDS, or JSON with and, or, not. A VALUE such as 7 or -12 is a number, true and "
    "false are truth values, and all else is text: 01234, 1e5, +49. JSON says it outright: "
    '{"metadata.code": "7"}.'
)

filter_option = click.option(
    "--filter", "filters", multiple=True, metavar="FILTER", help=FILTER_HELP
)


def not_nan(_ctx: click.Context, _option: click.Parameter, number: float | None) -> float | None:
    """Refuse ``nan``, which passes for a number within any bounds; a callback of options."""
    if number is not None and math.isnan(number):
        raise click.BadParameter("it must be a number; got nan")
    return number


def _checked(
    _ctx: click.Context, _option: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    for name in names:
        if not name.strip() or printable(name) != name:
            raise click.BadParameter(f"it must be a name such as user:x or group:y; got {name!r}")
    return names


principals_option = click.option(
    "--as",
    "principals",
    multiple=True,
    metavar="PRINCIPAL",
    callback=_checked,
    help="Who asks: user:x, group:y; repeatable.",
)

rerank_option = click.option(
    "--rerank", metavar="NAME", help="Rerank the best candidates; none: do not."
)

expand_option = click.option(
    "--expand", metavar="NAME", help="Widen the query first; none: do not."
)

min_score_option = click.option(
    "--min-score",
    type=float,
    callback=not_nan,
    help="Leave out hits with a lower cosine, in mode dense, with rescoring and without --expand; "
    "-inf: none.",
)
