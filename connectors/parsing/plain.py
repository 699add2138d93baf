"""Plain text: taken as it is."""

from connectors.parsing.decoding import decode
from connectors.parsing.parsed import ParsedText


def parse(content: bytes, *, name: str) -> ParsedText:
    """Decode a text file; ``name`` is not used."""
    del name
    decoded = decode(content)
    return ParsedText(text=decoded.text, metadata=decoded.metadata())
