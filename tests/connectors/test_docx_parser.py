"""DOCX: what python-docx writes, and what Word writes that python-docx has no words for."""

import io
import zipfile
from collections.abc import Callable

import docx
import pytest
from docx.document import Document as DocxDocument
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import CONTENT_TYPE as CT
from docx.opc.constants import RELATIONSHIP_TYPE as RT
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml.ns import qn
from docx.oxml.parser import OxmlElement, parse_xml

from connectors.errors import DocumentError
from connectors.parsing.docx import parse
from connectors.parsing.formats import parse_file
from connectors.parsing.parsed import ParsedText

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def saved(document: DocxDocument) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def parsed(fill: Callable[[DocxDocument], object]) -> ParsedText:
    document = docx.Document()
    fill(document)
    return parse(saved(document), name="a.docx")


def add_xml(document: DocxDocument, body: str) -> None:
    """Append body XML that python-docx can't write itself."""
    section = document.element.body[-1]
    for element in parse_xml(f"<w:body {W}>{body}</w:body>"):
        section.addprevious(element)


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_paragraphs_headings_lists_and_tables_come_in_body_order() -> None:
    def fill(document: DocxDocument) -> None:
        document.add_heading("Travel policy", level=0)
        document.add_heading("Rates", level=1)
        document.add_paragraph("Per day and city:")
        table = document.add_table(rows=2, cols=2)
        for cell, text in zip(table._cells, ["City", "Euro", "Bonn", "a|b\nc"], strict=True):
            cell.text = text
        document.add_paragraph("receipts", style="List Bullet")
        document.add_paragraph("approval", style="List Number")
        document.add_heading("Exceptions", level=2)
        document.add_paragraph("None.")

    result = parsed(fill)
    assert result.text == (
        "Travel policy\n\nRates\n\nPer day and city:\n\n| City | Euro |\n| Bonn | a\\|b c |\n\n"
        "- receipts\n- approval\n\nExceptions\n\nNone."
    )
    assert result.title == "Travel policy"
    assert [(h.level, h.title) for h in result.headings] == [
        (1, "Travel policy"), (1, "Rates"), (2, "Exceptions"),
    ]  # fmt: skip
    assert [result.text[h.start :].split("\n")[0] for h in result.headings] == [
        "Travel policy", "Rates", "Exceptions",
    ]  # fmt: skip


def test_a_style_is_a_heading_by_outline_level_inheritance_or_name_in_any_language() -> None:
    def fill(document: DocxDocument) -> None:
        by_level = document.styles.add_style("Kapitel", WD_STYLE_TYPE.PARAGRAPH)
        outline = OxmlElement("w:outlineLvl")
        outline.set(qn("w:val"), "1")
        by_level.element.get_or_add_pPr().append(outline)
        inheriting = document.styles.add_style("Kapitel rot", WD_STYLE_TYPE.PARAGRAPH)
        inheriting.base_style = by_level
        document.styles.add_style("Überschrift 3", WD_STYLE_TYPE.PARAGRAPH)
        for style in ("Kapitel", "Kapitel rot", "Überschrift 3", "TOC Heading", "Normal"):
            document.add_paragraph(style, style=style)

    assert [(h.level, h.title) for h in parsed(fill).headings] == [
        (2, "Kapitel"), (2, "Kapitel rot"), (3, "Überschrift 3"),
    ]  # fmt: skip


def test_an_outline_level_of_the_paragraph_itself_counts_most() -> None:
    def fill(document: DocxDocument) -> None:
        add_xml(
            document,
            '<w:p><w:pPr><w:outlineLvl w:val="0"/></w:pPr><w:r><w:t>Direct</w:t></w:r></w:p>'
            '<w:p><w:pPr><w:pStyle w:val="Heading1"/><w:outlineLvl w:val="9"/></w:pPr>'
            "<w:r><w:t>Body</w:t></w:r></w:p>",
        )

    assert [h.title for h in parsed(fill).headings] == ["Direct"]


def test_content_controls_and_insertions_are_read_and_deletions_are_not() -> None:
    def fill(document: DocxDocument) -> None:
        add_xml(
            document,
            f"<w:sdt><w:sdtContent>{paragraph('controlled')}</w:sdtContent></w:sdt>"
            '<w:p><w:r><w:t xml:space="preserve">kept </w:t></w:r>'
            '<w:ins w:id="1" w:author="x"><w:r><w:t>inserted</w:t></w:r></w:ins>'
            '<w:del w:id="2" w:author="x"><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>',
        )

    assert parsed(fill).text == "controlled\n\nkept inserted"


def test_a_text_box_is_read_once() -> None:
    box = f"<w:txbxContent>{paragraph('boxed')}</w:txbxContent>"

    def fill(document: DocxDocument) -> None:
        add_xml(
            document,
            '<w:p xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:r>'
            f"<w:t>anchor</w:t></w:r><w:r><mc:AlternateContent><mc:Choice Requires='wps'>{box}"
            f"</mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent>"
            "</w:r></w:p>",
        )

    assert parsed(fill).text == "anchor\n\nboxed"


def test_a_table_of_one_cell_is_a_frame_and_may_hold_headings() -> None:
    def fill(document: DocxDocument) -> None:
        cell = document.add_table(rows=1, cols=1).cell(0, 0)
        cell.text = "Framed"
        cell.paragraphs[0].style = document.styles["Heading 2"]
        cell.add_paragraph("text")

    result = parsed(fill)
    assert result.text == "Framed\n\ntext"
    assert [h.title for h in result.headings] == ["Framed"]


def test_deeply_nested_tables_are_read_once() -> None:
    nested = paragraph("deep")
    for _ in range(40):
        nested = f"<w:tbl><w:tr><w:tc>{nested}</w:tc><w:tc>{paragraph('x')}</w:tc></w:tr></w:tbl>"

    result = parsed(lambda document: add_xml(document, nested))
    assert result.text.count("deep") == 1
    assert result.text.count("x") == 40


def test_a_style_based_on_itself_does_not_hang() -> None:
    def fill(document: DocxDocument) -> None:
        style = document.styles.add_style("Ouroboros", WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = style
        document.add_paragraph("text", style=style)

    assert parsed(fill).text == "text"


def test_footnotes_and_endnotes_come_last_without_their_separators() -> None:
    def fill(document: DocxDocument) -> None:
        document.add_paragraph("body")
        for kind in ("endnotes", "footnotes"):
            note = kind.removesuffix("s")
            notes = (
                f'<w:{kind} {W}><w:{note} w:type="separator">{paragraph("---")}</w:{note}>'
                f"<w:{note}>{paragraph(note)}</w:{note}></w:{kind}>"
            )
            name = PackURI(f"/word/{kind}.xml")
            part = Part(name, CT.WML_FOOTNOTES, notes.encode(), document.part.package)
            document.part.relate_to(part, f"{RT.FOOTNOTES.removesuffix('footnotes')}{kind}")

    assert parsed(fill).text == "body\n\nfootnote\n\nendnote"


def test_headers_and_footers_are_left_out() -> None:
    def fill(document: DocxDocument) -> None:
        document.sections[0].header.paragraphs[0].text = "Confidential"
        document.add_paragraph("body")

    assert parsed(fill).text == "body"


def test_the_title_comes_from_the_properties_where_no_paragraph_has_that_style() -> None:
    def fill(document: DocxDocument) -> None:
        document.core_properties.title = " Handbook "
        document.add_heading("Chapter", level=1)

    assert parsed(fill).title == "Handbook"


def refusal(content: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse_file(content, name="a.docx")
    return str(caught.value)


def test_an_encrypted_file_is_reported_as_such() -> None:
    assert "encrypted" in refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)


def test_broken_files_are_refused() -> None:
    document = docx.Document()
    document.add_paragraph("text")
    content = saved(document)
    assert "cut short" in refusal(content[:-100])
    assert refusal(b"") == "the file is empty"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("nothing.txt", "x")
    assert "not a readable .docx file" in refusal(stream.getvalue())


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * 70_000_000)
    assert "zip bomb" in refusal(stream.getvalue())


def test_xml_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    content = saved(docx.Document())
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for entry in old.namelist():
            text = "<w:p><w:r><w:t>&b;</w:t></w:r></w:p>"
            body = f"<w:document {W}><w:body>{text}</w:body></w:document>"
            is_document = entry == "word/document.xml"
            new.writestr(entry, bomb + body if is_document else old.read(entry))
    assert parse(stream.getvalue(), name="a.docx").text == ""
