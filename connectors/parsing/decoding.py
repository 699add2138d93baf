"""Bytes to text that every later stage can hold: tokenizer, catalog and store.

Source: the order is that of the WHATWG encoding sniffing algorithm: byte order mark, declaration,
fallback. We differ in trying strict UTF-8 before a declaration: pages that are valid UTF-8
and declare something else are common, the reverse is rare.
"""

import codecs
import re
import unicodedata
from dataclasses import dataclass

from connectors.document import JsonValue
from connectors.errors import DocumentError

# UTF-32 first: its little-endian mark begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLED_BYTES = 4096
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffe\uffff]")
_LIGATURE = re.compile(r"[\ufb00-\ufb06]")  # PDF text is full of them, no query is
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text after `clean_text`, and what its bytes were."""

    text: str

    encoding: str
    """Python's name of the encoding the bytes were in."""

    def metadata(self) -> dict[str, JsonValue]:
        """The encoding, where it is not UTF-8 and so may have been guessed wrong."""
        return {} if self.encoding == "utf-8" else {"encoding": self.encoding}


def decode(content: bytes, *, declared: str | None = None) -> Decoded:
    """Decode a text file.

    Args:
        content: The whole file.
        declared: Encoding the file names for itself; used when known and the bytes are not UTF-8.

    Returns:
        The text and the encoding it was in.

    Raises:
        DocumentError: the bytes are binary, or not in the encoding their byte order mark promises.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return Decoded(
                _decode_marked(content, encoding=encoding), encoding.removesuffix("-sig")
            )
    if (zero := content.find(b"\0")) >= 0:
        utf16 = _unmarked_utf16(content)
        if utf16 is None:
            raise DocumentError(f"not a text file: NUL byte at offset {zero}")
        return Decoded(_decode_marked(content, encoding=utf16), utf16)
    for encoding in _candidates(content, declared=declared):
        try:
            return Decoded(clean_text(content.decode(encoding)), encoding)
        except UnicodeDecodeError:
            continue
    return Decoded(clean_text(content.decode("latin-1")), "latin-1")


def clean_text(text: str) -> str:
    """Make text that tokenizer, catalog and store can hold and a query can match.

    Line ends become line feeds, control characters go, lone surrogates become U+FFFD, and the
    ligatures U+FB00 to U+FB06 their letters. Lengths may change: count offsets afterwards.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\v", "\n")
    text = _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))
    return _LIGATURE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)


def _unmarked_utf16(content: bytes) -> str | None:
    """The byte order, where every second byte of a sample tends to be NUL and no other one is."""
    first, second = content[:_SAMPLED_BYTES:2], content[1:_SAMPLED_BYTES:2]
    for empty, full, encoding in ((first, second, "utf-16-be"), (second, first, "utf-16-le")):
        if empty.count(0) > len(empty) // 3 and not full.count(0):
            return encoding
    return None


def _decode_marked(content: bytes, *, encoding: str) -> str:
    try:
        return clean_text(content.decode(encoding))
    except UnicodeDecodeError as exc:
        shown = encoding.removesuffix("-sig")
        raise DocumentError(
            f"begins like {shown} but is not valid in it: {exc.reason} at byte {exc.start}"
        ) from exc


def _candidates(content: bytes, *, declared: str | None) -> list[str]:
    known = _known_encoding(declared)
    if known is None:
        return ["utf-8", "cp1252"]
    # ISO-2022-JP and its like are pure ASCII bytes, so UTF-8 would take them as they stand.
    return [known, "utf-8", "cp1252"] if content.isascii() else ["utf-8", known, "cp1252"]


def _known_encoding(label: str | None) -> str | None:
    if label is None:
        return None
    try:
        codec = codecs.lookup(label.strip())
    except LookupError:
        return None
    if codec.name in {"utf-7", "utf-16", "utf-32", "iso8859-1", "ascii"}:
        # As browsers do: the first three can't be what a readable declaration says,
        # and who declares the last two means Windows-1252.
        return None
    return codec.name if getattr(codec, "_is_text_encoding", True) else None
