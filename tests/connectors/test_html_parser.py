"""HTML to text, headings and tables."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.html import parse
from connectors.parsing.parsed import ParsedText


def parsed(html: str) -> ParsedText:
    return parse(html.encode(), name="page.html")


def text(html: str) -> str:
    return parsed(html).text


def test_blocks_are_separated_by_blank_lines_and_inline_text_flows() -> None:
    assert text("<p>One <b>bold</b>\n word</p><div>Two<br>lines</div>loose &amp; &eacute;") == (
        "One bold word\n\nTwo\nlines\n\nloose & é"
    )


def test_what_is_no_content_is_dropped() -> None:
    page = (
        "<head><style>s{}</style></head><nav>menu</nav><script>js()</script><p>kept</p>"
        "<template><p>t</p></template><noscript>n</noscript><svg><title>s</title></svg><!-- c -->"
    )
    assert text(page) == "kept"


def test_headings_have_levels_and_offsets_and_titles_without_markup() -> None:
    result = parsed(
        "<p>x</p><h1>The <em>first</em>\n<a>one</a></h1><p>y</p><h3><div>Third</div></h3>"
    )
    assert [(h.level, h.title) for h in result.headings] == [(1, "The first one"), (3, "Third")]
    assert [result.text[h.start :].split("\n")[0] for h in result.headings] == [
        "The first one", "Third",
    ]  # fmt: skip


def test_the_title_is_the_pages_and_else_the_first_heading() -> None:
    assert parsed("<title> A\n page </title><h1>H</h1>").title == "A page"
    assert parsed("<h2>small</h2><h1>H</h1>").title == "H"
    assert parsed("<svg><title>icon</title></svg><p>x</p>").title == ""


def test_tables_become_rows() -> None:
    table = (
        "<p>before</p><table><caption>Rates</caption><tr><th>City</th><th>Per day</th></tr>"
        "<tr><td>Bonn<br>Berlin</td><td><p>12</p><p>a|b</p></td></tr><tr><td></td></tr></table>after"
    )
    assert text(table) == (
        "before\n\nRates\n\n| City | Per day |\n| Bonn Berlin | 12 a\\|b |\n\nafter"
    )


def test_two_tables_in_a_row_stay_two() -> None:
    table = "<table><tr><td>a</td></tr></table>"
    assert text(table + table) == "| a |\n\n| a |"


def test_a_table_that_arranges_the_page_is_no_table() -> None:
    page = "<table><tr><td><h1>Head</h1><p>Text</p></td><td><table><tr><td>1</td></tr></table></td>"
    result = parsed(page)
    assert result.text == "Head\n\nText\n\n| 1 |"
    assert [h.title for h in result.headings] == ["Head"]
    assert text("<table role=presentation><tr><td>a</td><td>b</td></tr></table>") == "a\n\nb"


def test_a_table_inside_a_data_table_is_text_of_its_cell() -> None:
    inner = "<table><tr><td>x</td><td>y</td></tr></table>"
    assert text(
        f"<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>{inner}</td></tr></table>"
    ) == ("| A | B |\n| 1 | x y |")


def test_lists_are_marked_numbered_and_indented() -> None:
    page = "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul><ol><li>x</li><li><p>y</p></li></ol>"
    assert text(page) == "- a\n  - b\n- c\n\n1. x\n2. y"


def test_preformatted_text_keeps_its_lines_and_spaces() -> None:
    assert text("<pre>\ndef f():\n    <b>return</b> 1\n\n# no heading\n</pre>") == (
        "def f():\n    return 1\n\n# no heading"
    )
    assert parsed("<pre># no heading</pre>").headings == ()


def test_soft_hyphens_and_no_break_spaces_do_not_hide_words() -> None:
    assert text("<p>Donau&shy;dampf&nbsp;schiff</p>") == "Donaudampf schiff"


@pytest.mark.parametrize(
    "declaration",
    ['<meta charset="shift_jis">', '<meta content="text/html; charset=Shift_JIS">'],
)
def test_a_declared_encoding_is_used(declaration: str) -> None:
    result = parse(f"{declaration}<p>日本語</p>".encode("shift_jis"), name="page.html")
    assert result.text == "日本語"
    assert result.metadata == {"encoding": "shift_jis"}


@pytest.mark.parametrize("tag", ["div", "ul><li", "table><tr><td", "b", "blockquote", "h1", "pre"])
def test_deep_nesting_costs_no_more_than_its_length(tag: str) -> None:
    started = time.perf_counter()
    result = parsed(f"<{tag}>x" * 3000)
    assert result.text.count("x") == 3000
    assert len(result.text) < 100_000
    assert time.perf_counter() - started < 5


PIECES = (
    "<h1> </h1> <h3>t <p> </p> <table> </table> <tr> <td> </td> <th> <ul> </ul> <li> <pre> </pre>"
    " <br> a | &#0; <div> </div> <nav> </nav> <title> </title> <!-- -->"
)
FRAGMENTS = st.lists(st.sampled_from([*PIECES.split(), " b ", "\ufffe"]), max_size=30)


@given(FRAGMENTS)
def test_any_markup_gives_headings_at_their_lines(fragments: list[str]) -> None:
    result = parsed("".join(fragments))
    for heading in result.headings:
        line = result.text[heading.start :].split("\n")[0]
        assert line == heading.title
        assert heading.start == 0 or result.text[heading.start - 1] == "\n"
    assert "\n\n\n" not in result.text or "<pre>" in fragments
