"""Chunks hold all of a document, each small enough to encode and whole enough to read."""

import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.document import Document, Heading
from indexing.chunks.chunking import Chunk, ChunkSettings, chunk_document
from indexing.chunks.tokens import WordTokenizer

SMALL = ChunkSettings(chunk_tokens=32, overlap_tokens=8)
WORDS = WordTokenizer()


def cut(document: Document, settings: ChunkSettings = SMALL) -> list[Chunk]:
    return chunk_document(document, tokenizer=WORDS, settings=settings)


def markdown(text: str, **fields: object) -> Document:
    """A document whose headings are its lines that begin with ``#``."""
    headings = []
    position = 0
    for line in text.splitlines(keepends=True):
        if line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            headings.append(Heading(level=level, title=line.strip("# \n"), start=position))
        position += len(line)
    return Document(id="d", text=text, headings=tuple(headings), **fields)


class ByteTokenizer:
    """One token per UTF-8 byte: several of them share one character, as in byte-level models."""

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return [(n, n + 1) for n, character in enumerate(text) for _ in character.encode()]


class SpaceTokenizer:
    """Tokens begin with the space before them, as in SentencePiece."""

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        spans = WORDS.token_spans(text)
        return [(start - (start > 0 and text[start - 1] == " "), end) for start, end in spans]


fragments = st.one_of(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60),
    st.sampled_from(
        [
            "# One\n",
            "## Two\n",
            "### Three\n\n",
            "\n\n",
            "One sentence. And another! A third?\n",
            "word " * 50,
            "汉字没有空格" * 12,
            "x" * 300,
            "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 12,
            "```\ncode()\n\nmore()\n```\n",
            "```\n",
            "- item\n- item two\n  goes on\n",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 ",
        ]
    ),
)
documents = st.builds(
    markdown,
    st.lists(fragments, max_size=12).map("".join),
    title=st.sampled_from(["", "A title", "One", "long " * 30]),
)
budgets = st.sampled_from(
    [
        SMALL,
        ChunkSettings(chunk_tokens=32, overlap_tokens=0),
        ChunkSettings(chunk_tokens=100, overlap_tokens=25),
    ]
)


@settings(max_examples=200)
@given(document=documents, budget=budgets)
def test_chunks_are_ranges_of_the_text_that_together_hold_all_of_it(
    document: Document, budget: ChunkSettings
) -> None:
    chunks = cut(document, budget)
    covered = set()
    for chunk in chunks:
        assert chunk.text == document.text[chunk.start : chunk.end]
        covered.update(range(chunk.start, chunk.end))
    assert all(n in covered or character.isspace() for n, character in enumerate(document.text))
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert all(a.start < b.start and a.end < b.end for a, b in pairwise(chunks))


@settings(max_examples=200)
@given(document=documents, budget=budgets)
def test_no_chunk_is_over_the_budget(document: Document, budget: ChunkSettings) -> None:
    for chunk in cut(document, budget):
        assert chunk.token_count == len(WORDS.token_spans(chunk.encoded_text))
        assert chunk.token_count <= budget.chunk_tokens
        assert len(WORDS.token_spans(chunk.context)) <= budget.chunk_tokens // 4 or not chunk.text


@settings(max_examples=50)
@given(document=documents, tokenizer=st.sampled_from([ByteTokenizer(), SpaceTokenizer()]))
def test_the_tokens_of_any_tokenizer_are_respected(
    document: Document, tokenizer: ByteTokenizer | SpaceTokenizer
) -> None:
    chunks = chunk_document(document, tokenizer=tokenizer, settings=SMALL)
    for chunk in chunks:
        assert len(tokenizer.token_spans(chunk.encoded_text)) <= SMALL.chunk_tokens
    covered = {n for chunk in chunks for n in range(chunk.start, chunk.end)}
    assert all(n in covered or character.isspace() for n, character in enumerate(document.text))


def test_a_title_and_an_abstract_are_one_chunk() -> None:
    (chunk,) = cut(Document(id="d", title="On wings", text="Wings lift. They also drag."))
    assert chunk.encoded_text == "On wings\nWings lift. They also drag."
    assert chunk.context == "On wings"


def test_a_real_abstract_is_one_chunk(shared_data: Path) -> None:
    with (shared_data / "cranfield" / "corpus.jsonl").open() as lines:
        records = [json.loads(line) for line in lines]
    for record in records[:200]:
        document = Document(id=record["_id"], title=record["title"], text=record["text"].strip())
        if len(WORDS.token_spans(f"{document.title}\n{document.text}")) <= 256 and document.text:
            (chunk,) = cut(document, ChunkSettings())
            assert chunk.encoded_text.endswith(document.text)


def test_a_title_that_the_text_begins_with_is_not_repeated() -> None:
    (chunk,) = cut(markdown("# On wings\n\nThey lift.", title="On Wings"))
    assert chunk.encoded_text == "# On wings\n\nThey lift."
    assert chunk.heading_path == ("On wings",)


def test_a_document_without_text_is_its_title() -> None:
    (chunk,) = cut(Document(id="d", title="On wings", text=" \n"))
    assert (chunk.text, chunk.encoded_text, chunk.start, chunk.end) == ("", "On wings", 0, 0)


def test_a_document_without_text_and_title_has_no_chunks() -> None:
    assert cut(Document(id="d", text="\n\n")) == []


def test_a_section_is_a_chunk_with_the_headings_above_it() -> None:
    body = "word " * 20
    chunks = cut(
        markdown(f"# Leave\n\n## Paid\n\n{body}\n\n## Unpaid\n\n{body}", title="Handbook"),
        ChunkSettings(chunk_tokens=64, overlap_tokens=0),
    )
    assert [chunk.heading_path for chunk in chunks] == [("Leave", "Paid"), ("Leave", "Unpaid")]
    assert [chunk.context for chunk in chunks] == ["Handbook", "Handbook > Leave"]
    assert chunks[0].text.startswith("# Leave\n\n## Paid")
    assert chunks[1].text.startswith("## Unpaid")


def test_small_sections_of_one_parent_share_a_chunk() -> None:
    chunks = cut(
        markdown("# A\n\n## B\n\nOne.\n\n## C\n\nTwo.\n\n## D\n\nThree.\n\n# E\n\nFour."),
        ChunkSettings(chunk_tokens=64, overlap_tokens=0),
    )
    assert [chunk.heading_path for chunk in chunks] == [()]
    chunks = cut(markdown("# A\n\n## B\n\nOne.\n\n## C\n\nTwo.\n\n# E\n\n" + "four " * 20))
    assert [chunk.heading_path for chunk in chunks] == [("A",), ("E",)]


def test_small_sections_of_different_parents_stay_apart() -> None:
    body = "word " * 12
    chunks = cut(markdown(f"# A\n\n{body}\n\n## B\n\nOne.\n\n# C\n\n{body}\n\n## D\n\nTwo."))
    assert [chunk.heading_path for chunk in chunks] == [("A",), ("C",)]
    assert "Two" not in chunks[0].text


def test_a_long_section_names_its_headings_in_every_later_chunk() -> None:
    chunks = cut(markdown("# Leave\n\n" + "Some words here. " * 40))
    assert len(chunks) > 3
    assert [chunk.context for chunk in chunks] == ["", *["Leave"] * (len(chunks) - 1)]


def test_a_heading_stays_with_the_prose_below_it() -> None:
    body = "Some words. " * 9
    chunks = cut(markdown(f"# A\n\n## B\n\n### C\n\n{body}\n\n{body}"))
    assert chunks[0].text.startswith("# A\n\n## B\n\n### C\n\nSome words.")


def test_paragraphs_that_fit_are_never_cut() -> None:
    paragraphs = [f"Paragraph {n} is here. " + "It goes on. " * (n % 5) for n in range(30)]
    text = "\n\n".join(paragraphs)
    for chunk in cut(Document(id="d", text=text)):
        parts = [part.strip() for part in chunk.text.split("\n\n")]
        assert all(part in [paragraph.strip() for paragraph in paragraphs] for part in parts)


def test_prose_is_cut_between_sentences_and_repeats_one() -> None:
    sentences = [f"Sentence {n} stays whole." for n in range(30)]
    chunks = cut(Document(id="d", text=" ".join(sentences)))
    assert all(chunk.text.startswith("Sentence") for chunk in chunks)
    assert all(chunk.text.endswith("whole.") for chunk in chunks)
    for before, after in pairwise(chunks):
        assert before.text[-len(sentences[0]) :].strip() in after.text


def test_chunks_of_a_long_paragraph_are_of_about_one_size() -> None:
    sizes = [chunk.token_count for chunk in cut(Document(id="d", text="A few words more. " * 33))]
    assert max(sizes) - min(sizes) <= 10


def test_a_code_fence_that_fits_is_whole() -> None:
    code = "```python\ndef f():\n\n    return 1\n```"
    text = "word " * 25 + f"\n\n{code}\n\n" + "word " * 25
    assert any(code in chunk.text for chunk in cut(Document(id="d", text=text)))


def test_a_long_code_fence_is_cut_between_lines() -> None:
    code = "\n".join(f"call_{n}(a, b)" for n in range(40))
    chunks = cut(Document(id="d", text=f"```\n{code}\n```"))
    assert len(chunks) > 5
    assert all(line in (*code.split("\n"), "```") for c in chunks for line in c.text.split("\n"))


def test_a_table_that_fits_is_whole() -> None:
    table = "| day | open |\n|---|---|\n| Monday | yes |"
    text = "word " * 25 + f"\n\n{table}\n\n" + "word " * 25
    assert any(table in chunk.text for chunk in cut(Document(id="d", text=text)))


def test_a_long_table_is_cut_between_rows_under_its_header() -> None:
    rows = [f"| day {n} | {n} |" for n in range(40)]
    text = "Hours:\n\n" + "\n".join(["| day | open |", "|---|---|", *rows])
    chunks = cut(
        Document(id="d", text=text, title="Shop"), ChunkSettings(chunk_tokens=64, overlap_tokens=0)
    )
    assert len(chunks) > 3
    assert chunks[0].context == "Shop"
    assert {chunk.context for chunk in chunks[1:]} == {"Shop\n| day | open |"}
    assert all(line in rows for chunk in chunks[1:] for line in chunk.text.split("\n"))


def test_a_list_is_cut_between_items() -> None:
    items = [f"- item {n} is\n  on two lines" for n in range(20)]
    for chunk in cut(Document(id="d", text="\n".join(items))):
        assert chunk.text.startswith("- item")
        assert chunk.text.endswith("lines")


def test_text_without_blanks_is_cut_between_tokens() -> None:
    text = "休假政策适用于所有员工" * 20
    chunks = cut(Document(id="d", text=text))
    assert len(chunks) > 5
    assert max(chunk.token_count for chunk in chunks) <= 32


def test_the_page_of_a_chunk_is_that_of_its_first_character() -> None:
    first, second = "word " * 25, "more " * 25
    text = f"{first}\n\n{second}"
    chunks = cut(Document(id="d", text=text, page_starts=(0, text.index("more"))))
    assert [chunk.page for chunk in chunks] == [1, 2]
    assert [chunk.page for chunk in cut(Document(id="d", text=text))] == [None, None]


def test_a_long_context_keeps_title_and_nearest_heading() -> None:
    text = "# Outer\n\n## Middle of very many words\n\n### Inner\n\n" + "Some words. " * 60
    chunks = cut(markdown(text, title="Book"))
    assert chunks[-1].context == "Book > Inner"
    assert chunks[-1].heading_path == ("Outer", "Middle of very many words", "Inner")


@pytest.mark.parametrize("starts", [(5, 2), (0, 99), (-1,)])
def test_headings_outside_the_text_or_out_of_order_are_refused(starts: tuple[int, ...]) -> None:
    headings = tuple(Heading(level=1, title="H", start=start) for start in starts)
    with pytest.raises(ValueError, match="must be in order of `start` and within"):
        cut(Document(id="d", text="0123456789", headings=headings))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"chunk_tokens": 31}, "`chunk_tokens` must be at least 32; got 31"),
        ({"chunk_tokens": 64, "overlap_tokens": 17}, "`overlap_tokens` must be in"),
        ({"overlap_tokens": -1}, "`overlap_tokens` must be in"),
    ],
)
def test_settings_are_checked(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChunkSettings(**fields)


@pytest.mark.parametrize(
    "text",
    [
        "One sentence here. " * 8000,
        "." * 150_000,
        " \n" * 75_000 + "x",
        "汉" * 150_000,
        "| a | b |\n" * 15_000,
        "```\n" * 37_500,
        "- a\n\n" * 30_000,
    ],
    ids=["prose", "dots", "blanks", "unspaced", "table", "fences", "items"],
)
def test_cutting_takes_time_in_proportion_to_the_text(text: str) -> None:
    began = time.process_time()
    cut(Document(id="d", text=text), ChunkSettings())
    # Well under a second where this was written; minutes, were it quadratic.
    assert time.process_time() - began < 5
