"""DOCX: headings, paragraphs, list items, tables, text boxes and notes in reading order.

python-docx opens the package. The body is walked as XML, because python-docx's own paragraphs leave
out content controls, tracked insertions and text boxes. Headers and footers are left out.
"""

import io
import zipfile
from collections.abc import Iterator

import docx
from docx.document import Document as DocxDocument
from docx.oxml.parser import parse_xml
from docx.oxml.xmlchemy import BaseOxmlElement

from connectors.errors import DocumentError
from connectors.parsing.docx_styles import word
from connectors.parsing.docx_writer import DocxWriter, blocks_of
from connectors.parsing.parsed import ParsedText

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAX_RATIO = 200
_HARMLESS_BYTES = 64_000_000


def parse(content: bytes, *, name: str) -> ParsedText:
    """Read a DOCX file.

    `DocumentError` when it is encrypted, an old ``.doc``, no zip archive, or a zip bomb.
    """
    _check_archive(content, name=name)
    document = docx.Document(io.BytesIO(content))
    writer = DocxWriter(styles=document.styles.element)
    for block in blocks_of(document.element.body):
        writer.add(block)
    for note in _notes(document):
        for block in blocks_of(note):
            writer.add(block)
    headings = writer.builder.headings
    first_heading = next((h.title for h in headings if h.level == 1), "")
    return ParsedText(
        text=writer.builder.text(),
        title=writer.title or document.core_properties.title.strip() or first_heading,
        headings=headings,
    )


def _check_archive(content: bytes, *, name: str) -> None:
    if content.startswith(_OLE):
        raise DocumentError(
            f"{name} is encrypted, or an old .doc under a new name; "
            "save it as .docx without a password"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as exc:
        raise DocumentError(f"not a DOCX file, or cut short: {exc}") from exc
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max(_HARMLESS_BYTES, _MAX_RATIO * len(content)):
        raise DocumentError(f"refused as a zip bomb: {len(content)} bytes unpack to {unpacked}")


def _notes(document: DocxDocument) -> Iterator[BaseOxmlElement]:
    """The footnotes, then the endnotes; not the separators Word keeps among them."""
    for kind in ("footnotes", "endnotes"):
        for relation in document.part.rels.values():
            if relation.reltype.endswith(f"/{kind}") and not relation.is_external:
                for note in parse_xml(relation.target_part.blob):
                    if note.get(word("type")) is None:
                        yield note
