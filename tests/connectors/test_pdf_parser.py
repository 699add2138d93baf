"""PDF: small files written here, byte by byte where that is what is tested."""

import io
from collections.abc import Sequence

import pytest
from pypdf import PdfReader, PdfWriter

from connectors.errors import DocumentError
from connectors.parsing.formats import parse_file
from connectors.parsing.outline import PageText, locate_bookmark
from connectors.parsing.pdf import parse

Line = tuple[float, float, str]
"""Font size and distance from the page's foot in points, text."""


def pdf(*pages: Sequence[Line]) -> bytes:
    """A PDF with one Helvetica line per `Line`."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, lines in enumerate(pages):
        drawn = "".join(f"BT /F {size} Tf 50 {y} Td ({text}) Tj ET\n" for size, y, text in lines)
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {5 + 2 * number} 0 R"
            "/Resources<</Font<</F 3 0 R>>>>>>"
        )
        objects.append(f"<</Length {len(drawn)}>>stream\n{drawn}endstream")
    content = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += f"{number} 0 obj{body}endobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    start = len(content)
    content += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode()
    return content + (
        f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode()
    )


def lines(*texts: str, size: float = 10, top: float = 700, pitch: float = 12) -> list[Line]:
    return [(size, top - pitch * number, text) for number, text in enumerate(texts)]


def rewritten(
    content: bytes,
    *,
    outline: Sequence[tuple[str, int]] = (),
    title: str | None = None,
    encrypted: bool = False,
) -> bytes:
    """Add an outline, each entry below the one before, or a title, or a password."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    parent = None
    for entry, page in outline:
        parent = writer.add_outline_item(title=entry, page_number=page, parent=parent)
    if title is not None:
        writer.add_metadata({"/Title": title})
    if encrypted:
        writer.encrypt(user_password=content[:8].hex(), algorithm="RC4-128")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def refusal(content: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse_file(content, name="a.pdf")
    return str(caught.value)


def test_pages_are_joined_and_their_starts_are_kept() -> None:
    result = parse(pdf(lines("First page."), [], lines("Third page.")), name="a.pdf")
    assert result.text == "First page.\n\nThird page."
    assert result.page_starts == (0, 11, 13)
    assert result.metadata == {}


def test_a_wider_gap_or_another_size_begins_a_paragraph() -> None:
    page = [
        (16, 730, "Annual leave"),
        *lines("Everyone has thirty", "days of leave.", top=700),
        *lines("Ask in time,", "and in writing.", top=660),
    ]
    assert parse(pdf(page), name="a.pdf").text == (
        "Annual leave\n\nEveryone has thirty\ndays of leave.\n\nAsk in time,\nand in writing."
    )


def test_a_word_broken_at_the_end_of_a_line_is_joined() -> None:
    result = parse(pdf(lines("The reimburse-", "ment is paid", "in the next month.")), name="a.pdf")
    assert result.text == "The reimbursement is paid\nin the next month."


def test_the_outline_becomes_headings_where_its_lines_are() -> None:
    content = pdf(
        [*lines("Contents: Leave, Travel"), (16, 600, "1 Leave"), *lines("Thirty days.", top=570)],
        [(16, 700, "Travel and"), (16, 680, "expenses"), *lines("By train.", top=650)],
    )
    outline = [("Leave", 0), ("2. TRAVEL AND EXPENSES", 1), ("Not on the page", 1)]
    result = parse(rewritten(content, outline=outline), name="a.pdf")
    assert [(h.level, h.title) for h in result.headings] == [
        (1, "Leave"), (2, "2. TRAVEL AND EXPENSES"),
    ]  # fmt: skip
    assert [result.text[h.start :].split("\n")[0] for h in result.headings] == [
        "1 Leave", "Travel and",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("title", "text", "start"),
    [
        ("Leave", "On leave and more\nLeave\nmore", 18),
        ("Leave", "Leave it to us", None),
        ("3.2 Leave", "x\n3.2 Leave", 2),
        ("3.2 Leave", "x\nLeave", 2),
        ("Leave", "x\n§ 7 Leave", 2),
        ("Paid leave", "x\nPaid\nleave\ny", 2),
        ("Straße", "x\nSTRASSE", 2),
        ("", "x", None),
    ],
)
def test_a_bookmark_is_found_on_a_line_of_its_own(title: str, text: str, start: int | None) -> None:
    assert locate_bookmark(title, PageText.of(text, start=0, end=len(text))) == start


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Travel policy", "Travel policy"),
        ("Microsoft Word - Travel policy", "Travel policy"),
        ("Microsoft Word - travel_v3.doc", ""),
        ("untitled", ""),
    ],
)
def test_a_title_left_by_a_program_is_none(written: str, title: str) -> None:
    content = rewritten(pdf(lines("Text.")), title=written)
    assert parse(content, name="a.pdf").title == title


def test_an_encrypted_file_is_reported_as_such() -> None:
    assert "a.pdf is encrypted" in refusal(rewritten(pdf(lines("Text.")), encrypted=True))


def test_a_file_without_text_is_reported_as_scanned() -> None:
    assert "no text layer on any of its pages, 2 in all (scanned" in refusal(pdf([], []))


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"not a pdf", pdf(lines("Text."))[60:]])
def test_broken_files_are_refused(content: bytes) -> None:
    assert refusal(content)


def test_every_cut_of_a_file_gives_text_or_a_document_error() -> None:
    content = rewritten(pdf(lines("Some text."), lines("More text.")), outline=[("Some text", 0)])
    outcomes = set()
    for length in range(0, len(content), 41):
        try:
            outcomes.add(parse_file(content[:length], name="a.pdf").text)
        except DocumentError:
            outcomes.add("refused")
    assert "refused" in outcomes
    assert outcomes <= {"refused", "Some text.", "Some text.\n\nMore text."}
