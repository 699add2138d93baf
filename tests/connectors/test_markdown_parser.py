"""Markdown: headings with their offsets, and front matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.document import Document
from connectors.parsing.markdown import find_headings, parse


def outline(text: str) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in find_headings(text)]


def test_atx_and_setext_headings_are_found_with_their_levels() -> None:
    text = "# One\n\ntext\n\n## Two ##\n\nThree\n=====\n\nFour\n---\n\n   ###### Six\n"
    assert outline(text) == [(1, "One"), (2, "Two"), (1, "Three"), (2, "Four"), (6, "Six")]


@pytest.mark.parametrize(
    "text",
    [
        "```\n# code\n```",
        "~~~sh\n# code\n```\n# code\n~~~",
        "````\n```\n# code\n````",
        "- item\n\n  ```sh\n  # code\n  ```",
        "1. ```\n   # code\n   ```",
        "> ```\n# quoted code\n> ```",
        "    # indented code",
        "<!--\n# comment\n-->",
        "<pre>\n# raw\n</pre>",
        "<script>\n# raw\n</script>",
        "#hashtag",
        "####### seven",
        "#",
        "text\n\n---\n\ntext",
        "- item\n---",
        "two lines of\nprose\n---",
        "| a |\n---",
        "```\nnever closed\n# code",
    ],
)
def test_what_only_looks_like_a_heading_is_none(text: str) -> None:
    assert outline(text) == []


def test_headings_after_code_comments_and_raw_html_are_found_again() -> None:
    text = "```\n# no\n```\n# A\n<!-- one line -->\n# B\n<pre>x</pre>\n# C\n<!--\n-->\n# D"
    assert [title for _, title in outline(text)] == ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        ("**Bold** and _thin_", "Bold and thin"),
        ("The `__init__` method", "The __init__ method"),
        ("snake_case_name", "snake_case_name"),
        ("[Link](http://x.org/a_(b)) text", "Link text"),
        ("[Ref][1] ![logo](l.png)", "Ref logo"),
        ("Title {#anchor}", "Title"),
        ("Title {: .class }", "Title {: .class }".replace(" {: .class }", "")),
        ("A &amp; B<br/>", "A & B"),
        (r"5 \* 3", "5 * 3"),
        ("C# and F#", "C# and F#"),
    ],
)
def test_a_title_is_what_a_reader_sees(markup: str, title: str) -> None:
    assert outline(f"# {markup}") == [(1, title)]


def test_front_matter_becomes_metadata_and_leaves_the_text() -> None:
    content = (
        b"---\n# comment\ntitle: 'Annual leave'\nsort_rank: 3\nratio: 0.5\ndraft: false\n"
        b"owner: People Ops # team\ntags: [a, b]\nlist:\n  - x\nempty:\n---\n\n# Heading\n"
    )
    parsed = parse(content, name="a.md")
    assert parsed.title == "Annual leave"
    assert parsed.metadata == {
        "sort_rank": 3, "ratio": 0.5, "draft": False, "owner": "People Ops",
    }  # fmt: skip
    assert parsed.text == "# Heading\n"
    assert parsed.headings[0].start == 0


def test_prose_between_two_rules_is_no_front_matter() -> None:
    content = b"---\nJust a sentence.\n---\nMore."
    parsed = parse(content, name="a.md")
    assert parsed.text == content.decode()
    assert parsed.metadata == {}


def test_without_front_matter_the_first_top_heading_is_the_title() -> None:
    assert parse(b"## Small\n# Big\n# Bigger\n", name="a.md").title == "Big"
    assert parse(b"## Small\n", name="a.md").title == ""


def test_the_text_stays_as_it_was_written() -> None:
    text = "# Título\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n* x\n"
    assert parse(text.encode(), name="a.md").text == text


WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
BLOCKS = st.one_of(
    st.tuples(st.integers(1, 6), WORDS).map(lambda made: ("#" * made[0] + " " + made[1], made)),
    WORDS.map(lambda word: (f"{word}\n===", (1, word))),
    WORDS.map(lambda word: (f"{word} {word}.", None)),
    WORDS.map(lambda word: (f"```\n# {word}\n```", None)),
    WORDS.map(lambda word: (f"<!--\n# {word}\n-->", None)),
)


@given(st.lists(BLOCKS, max_size=12))
def test_every_heading_is_found_where_it_stands(
    blocks: list[tuple[str, tuple[int, str] | None]],
) -> None:
    text = "\n\n".join(block for block, _ in blocks)
    expected: list[tuple[int, str, int]] = []
    offset = 0
    for block, heading in blocks:
        if heading is not None:
            expected.append((*heading, offset))
        offset += len(block) + 2
    assert [(found.level, found.title, found.start) for found in find_headings(text)] == expected


@given(st.text("# \n`~-=<!>*ab\\[]{}", max_size=80))
def test_any_text_gives_headings_in_order_at_line_starts(text: str) -> None:
    starts = [heading.start for heading in find_headings(text)]
    assert starts == sorted(set(starts))
    assert all(start == 0 or text[start - 1] == "\n" for start in starts)
    assert all(start < len(text) for start in starts)
    assert Document(id="a", text=text, headings=tuple(find_headings(text))).headings is not None
