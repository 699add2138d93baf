"""One line of a JSONL corpus to a document.

Source: BEIR's ``corpus.jsonl`` (Thakur et al. 2021, arXiv:2104.08663): ``_id``, ``title``,
``text``, ``metadata``. We also read ``id``, ``uri`` or ``url``, ``access``; others are metadata.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from connectors.document import Document, JsonValue
from connectors.errors import DocumentError
from connectors.parsing.decoding import clean_text

_MAX_DEPTH = 20
_OWN_KEYS = frozenset(("_id", "id", "title", "text", "metadata", "access", "uri", "url"))


def read_record(line: bytes) -> dict[str, Any]:
    """Parse a line; `DocumentError` when it is not UTF-8, not JSON, or not an object."""
    try:
        record = json.loads(
            line.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite
        )
    except UnicodeDecodeError as exc:
        raise DocumentError(f"not UTF-8: {exc.reason} at byte {exc.start + 1} of the line") from exc
    except json.JSONDecodeError as exc:
        raise DocumentError(f"not valid JSON: {exc.msg} at column {exc.colno}") from exc
    except (ValueError, RecursionError) as exc:
        raise DocumentError(f"not plain JSON: {exc}") from exc
    if not isinstance(record, dict):
        raise DocumentError(f"a line must be a JSON object; got {_kind(record)}")
    return record


def document_id_of(record: Mapping[str, Any]) -> str:
    """The document's id, from ``_id`` or ``id``; a whole number counts as its digits.

    Raises:
        DocumentError: there is none, or what is there can't serve as one.
    """
    written = record.get("_id", record.get("id"))
    if isinstance(written, int) and not isinstance(written, bool):
        return str(written)
    if not isinstance(written, str):
        raise DocumentError(f'"_id" must be a string; got {_kind(written)}')
    if not written or clean_text(written) != written:
        raise DocumentError(f'"_id" must be text without control characters; got {written!a}')
    return written


def read_document(line: bytes) -> Document:
    """Make a document of a line; `DocumentError` when a field has the wrong kind of value."""
    record = read_record(line)
    metadata = _object(record, "metadata") | {
        key: value for key, value in record.items() if key not in _OWN_KEYS
    }
    uri = record.get("uri") or record.get("url") or metadata.get("url")
    return Document(
        id=document_id_of(record),
        text=_text(record, "text"),
        title=_text(record, "title") if record.get("title") is not None else "",
        uri=uri if isinstance(uri, str) else "",
        metadata={clean_text(key): _clean(value, depth=1) for key, value in metadata.items()},
        access=_access(record),
    )


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise DocumentError(f'"{key}" must be a string; got {_kind(value)}')
    return clean_text(value)


def _object(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DocumentError(f'"{key}" must be an object; got {_kind(value)}')
    return value


def _access(record: Mapping[str, Any]) -> tuple[str, ...] | None:
    value = record.get("access")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(who, str) for who in value):
        raise DocumentError(f'"access" must be a list of strings such as "group:x"; got {value!r}')
    return tuple(value)


def _clean(value: JsonValue, *, depth: int) -> JsonValue:
    if depth > _MAX_DEPTH:
        raise DocumentError(f"metadata must not be nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean(item, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): _clean(item, depth=depth + 1) for key, item in value.items()}
    return value


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written[:20]} is too large for a number")
    return number


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return "nothing" if value is None else kinds.get(type(value), "a number")
