"""Checks in front of every engine, since an engine keeps what it should refuse.

Measured with Qdrant Edge 0.9: NaN is stored, a repeated id overwrites silently, a payload nested
deeper than 127 levels is written and can never be read again, and an update that the engine itself
rejects is half applied and comes back at the next load.
"""

import math
import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from sys import float_info

import numpy as np

from encoder.base import FloatArray, SparseVector
from indexing.errors import InvalidPointError
from indexing.filters import And, AnyOf, Condition, Eq, HasWords, Not, Or, Range
from indexing.stores.base import Payload, Point

MAX_PAYLOAD_DEPTH = 64

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_INT64 = range(-(2**63), 2**63)
_FIELD = re.compile(r'(?:[\w-]+|"[^"]+")(?:\[\d*\])*(?:\.(?:[\w-]+|"[^"]+")(?:\[\d*\])*)*')


def check_points(points: Sequence[Point], *, dimensions: int | None) -> int:
    """Refuse what would be stored wrongly, naming the point; return their size in bytes."""
    check_ids([point.id for point in points])
    size = check_payloads({point.id: point.payload for point in points})
    for point in points:
        try:
            check_dense(point.dense, dimensions=dimensions)
            check_sparse(point.sparse)
        except InvalidPointError as exc:
            raise InvalidPointError(f"point {point.id}: {exc}") from None
        size += 4 * (dimensions or 0) + 8 * len(point.sparse.indices)
    return size


def check_payloads(payloads: Mapping[str, Payload]) -> int:
    """Refuse what is not plain JSON, by point id; return the size of all in bytes."""
    check_ids(list(payloads))
    size = 0
    for point_id, payload in payloads.items():
        where = f"point {point_id}: payload"
        size += json_bytes(dict(payload), where=where, depth=0)
    return size


def check_ids(ids: Sequence[str]) -> None:
    """Refuse an id that is no UUID in its usual form, and an id given twice."""
    for point_id in ids:
        if not _is_uuid(point_id):
            raise InvalidPointError(
                f"an id must be a UUID in lower case with hyphens; got {point_id!r}"
            )
    point_id, times = Counter(ids).most_common(1)[0] if ids else ("", 0)
    if times > 1:
        raise InvalidPointError(f"the ids of one call must be unique; got {point_id} twice or more")


def check_dense(vector: FloatArray | None, *, dimensions: int | None) -> None:
    """Refuse a vector of the wrong width, and one that is not finite."""
    if dimensions is None:
        if vector is not None:
            raise InvalidPointError("`dense` must be None: the collection has no dense vectors")
        return
    got = None if vector is None else np.shape(vector)
    if vector is None or got != (dimensions,):
        raise InvalidPointError(f"`dense` must have the shape ({dimensions},); got {got}")
    if not np.isfinite(np.asarray(vector, dtype=np.float32)).all():
        raise InvalidPointError("`dense` must hold finite numbers; got NaN or infinity")


def check_sparse(vector: SparseVector) -> None:
    """Refuse term ids and weights that do not fit the engine's types."""
    for index, value in zip(vector.indices, vector.values, strict=True):
        if not 0 <= index < 2**32:
            raise InvalidPointError(f"a term id must be in [0, 2**32); got {index}")
        if not abs(value) <= _FLOAT32_MAX:  # NaN too
            raise InvalidPointError(f"a term weight must be finite in float32; got {value}")


def check_limit(limit: int) -> None:
    """Refuse a search for no points."""
    if limit < 1:
        raise ValueError(f"`limit` must be at least 1; got {limit}")


def check_condition(condition: Condition) -> None:
    """Refuse a filter that an engine would misread."""
    match condition:
        case And(conditions) | Or(conditions):
            for part in conditions:
                check_condition(part)
        case Not(part):
            check_condition(part)
        case Eq(field, value):
            _check_field(field)
            _check_scalar(value)
        case AnyOf(field, values):
            _check_field(field)
            for value in values:
                _check_scalar(value)
            if {type(value) for value in values} not in (set(), {str}, {int}):
                raise ValueError(f"`values` of {field!r} must be all str or all int; got {values}")
        case Range(field):
            _check_field(field)
            _check_bounds(condition)
        case HasWords(field, words):
            _check_field(field)
            _check_words(words)
        case _:
            raise ValueError(f"a filter must be one of indexing.filters; got {condition!r}")


def _check_field(field: str) -> None:
    if not _FIELD.fullmatch(field):
        raise ValueError(
            f"a filter's field must be a path such as metadata.language; got {field!r}\n"
            'hint: put a name with other characters in quotes: metadata."due date"'
        )


def _check_bounds(condition: Range) -> None:
    bounds = condition.bounds.values()
    dates = [bound for bound in bounds if isinstance(bound, date)]
    if dates and len(dates) < len(bounds):
        raise ValueError(f"bounds must be all numbers or all dates; got {condition}")
    for bound in bounds:
        if not _is_bound(bound):
            raise ValueError(f"a bound must be a finite number or a date; got {bound!r}")


def _is_bound(value: object) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return -float_info.max <= value <= float_info.max  # a whole number may be any size
    return isinstance(value, date)


def _check_words(words: object) -> None:
    if not isinstance(words, str) or not any(map(str.isalnum, words)):
        raise ValueError(f"`words` must be text with a word in it; got {words!r}")
    _utf8_bytes(words, where="a filter's words")


def _check_scalar(value: str | int | bool) -> None:
    if isinstance(value, str):
        _utf8_bytes(value, where="a filter's value")
    elif type(value) not in (int, bool) or value not in _INT64:
        raise ValueError(f"a filter's value must be str, bool or a 64-bit int; got {value!r}")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except (ValueError, AttributeError, TypeError):
        return False


def json_bytes(value: object, *, where: str, depth: int) -> int:
    """Measure a value as JSON, in bytes, refusing what does not come back as it went in.

    Args:
        value: Any.
        where: What it is, for the message.
        depth: How deep it lies in a payload.

    Raises:
        InvalidPointError: it is no plain JSON, or too deep.
    """
    if depth > MAX_PAYLOAD_DEPTH:
        raise InvalidPointError(f"{where} must be nested at most {MAX_PAYLOAD_DEPTH} deep")
    if isinstance(value, str):
        return _utf8_bytes(value, where=where)
    if _is_plain_scalar(value):
        return 24
    if isinstance(value, list):
        return 2 + sum(json_bytes(v, where=f"{where}[]", depth=depth + 1) for v in value)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return 2 + sum(
            _utf8_bytes(key, where=where) + json_bytes(v, where=f"{where}.{key}", depth=depth + 1)
            for key, v in value.items()
        )
    raise InvalidPointError(
        f"{where} must be plain JSON: str keys, lists, 64-bit ints, finite floats; "
        f"got {type(value).__name__} {value!r:.80}"
    )


def _is_plain_scalar(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    # comparing, as a range takes ages to say whether it holds an enum's member
    return value is None or (isinstance(value, int) and _INT64.start <= value < _INT64.stop)


def _utf8_bytes(text: str, *, where: str) -> int:
    try:
        return 4 + len(text.encode())
    except UnicodeEncodeError as exc:
        raise InvalidPointError(f"{where} must be encodable as UTF-8; got: {exc}") from None
