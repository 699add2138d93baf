"""Bytes to text."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import DocumentError
from connectors.parsing.decoding import clean_text, decode
from connectors.parsing.plain import parse


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("Grüße".encode(), "utf-8"),
        (codecs.BOM_UTF8 + "Grüße".encode(), "utf-8"),
        (codecs.BOM_UTF16_LE + "Grüße".encode("utf-16-le"), "utf-16"),
        (codecs.BOM_UTF16_BE + "Grüße".encode("utf-16-be"), "utf-16"),
        (codecs.BOM_UTF32_LE + "Grüße".encode("utf-32-le"), "utf-32"),
        ("Grüße".encode("utf-16-le"), "utf-16-le"),
        ("Grüße".encode("utf-16-be"), "utf-16-be"),
        ("Grüße".encode("cp1252"), "cp1252"),
    ],
)
def test_the_encoding_is_recognised(content: bytes, encoding: str) -> None:
    decoded = decode(content)
    assert decoded.text == "Grüße"
    assert decoded.encoding == encoding


def test_bytes_that_windows_does_not_know_are_latin_1() -> None:
    assert decode(b"caf\xe9 \x81").encoding == "latin-1"


def test_an_encoding_other_than_utf8_is_noted() -> None:
    assert parse(b"caf\xe9", name="a.txt").metadata == {"encoding": "cp1252"}
    assert parse(b"cafe", name="a.txt").metadata == {}


def test_a_declared_encoding_is_used_unless_the_bytes_are_utf8() -> None:
    assert decode("日本".encode("shift_jis"), declared="Shift_JIS").text == "日本"
    assert decode("日本".encode("iso2022_jp"), declared="iso-2022-jp").text == "日本"
    assert decode("日本".encode(), declared="Shift_JIS").text == "日本"
    assert decode("“x”".encode("cp1252"), declared="iso-8859-1").text == "“x”"
    assert decode(b"caf\xe9", declared="no-such-thing").text == "café"


@pytest.mark.parametrize("content", [b"\x7fELF\x00\x01", b"\x00" * 64, b"text\x00"])
def test_binary_content_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentError, match="NUL byte at offset"):
        decode(content)


def test_a_broken_promise_of_the_byte_order_mark_is_refused() -> None:
    with pytest.raises(DocumentError, match="begins like utf-16"):
        decode(codecs.BOM_UTF16_LE + b"abc")


def test_line_ends_control_characters_and_ligatures_are_normalised() -> None:
    assert clean_text("a\r\nb\rc\x00\x1bd\x0be e\ufb01ne\ud800") == "a\nb\ncd\ne e" + "fine\ufffd"


@given(st.binary(max_size=200))
def test_any_bytes_give_clean_text_or_a_document_error(content: bytes) -> None:
    try:
        text = decode(content).text
    except DocumentError:
        return
    text.encode("utf-8")
    assert "\0" not in text
    assert "\r" not in text
