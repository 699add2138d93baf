"""Dispatch by extension, and foreign errors turned into ours."""

import pytest

from connectors.errors import DocumentError
from connectors.parsing import formats
from connectors.parsing.formats import parse_file


def test_the_parser_is_chosen_by_extension_in_any_case() -> None:
    assert parse_file(b"# Title", name="README.MD").title == "Title"
    assert parse_file(b"# Title", name="README.txt").title == ""
    assert parse_file(b"<h1>Title</h1>", name="index.HTM").text == "Title"


@pytest.mark.parametrize(
    "error", [KeyError("x"), RecursionError("deep"), MemoryError(), ValueError()]
)
def test_whatever_a_library_raises_is_a_document_error_with_its_cause(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: bytes, **__: str) -> None:
        raise error

    monkeypatch.setattr(formats, "PARSERS", {".txt": failing})
    with pytest.raises(
        DocumentError, match=rf"not a readable \.txt file: {type(error).__name__}"
    ) as caught:
        parse_file(b"x", name="a.txt")
    assert caught.value.__cause__ is error


def test_a_long_foreign_message_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: bytes, **__: str) -> None:
        raise ValueError("word\n" * 1000)

    monkeypatch.setattr(formats, "PARSERS", {".txt": failing})
    with pytest.raises(DocumentError) as caught:
        parse_file(b"x", name="a.txt")
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)
