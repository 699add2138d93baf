"""Front matter: the `---` block of fields at the head of a Markdown file.

Only plain `key: value` lines are read, which needs no YAML; lists, maps and block texts are not.
"""

import re

from connectors.document import JsonValue

_BLOCK = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*:(?:[ \t]+(.*))?")
_NUMBER = re.compile(r"[-+]?(?:0|[1-9]\d{0,15})(\.\d+)?")
_WORDS: dict[str, JsonValue] = {"true": True, "false": False}


def split_front_matter(text: str) -> tuple[dict[str, JsonValue], str]:
    """The simple fields of the front matter, none where there is none, and the text after it."""
    block = _BLOCK.match(text)
    if block is None or not _looks_like_fields(block[1]):
        return {}, text
    fields: dict[str, JsonValue] = {}
    for line in block[1].splitlines():
        matched = _FIELD.fullmatch(line.rstrip())
        if matched and (value := _scalar(matched[2] or "")) is not None:
            fields[matched[1]] = value
    return fields, text[block.end() :].lstrip("\n")


def _looks_like_fields(block: str) -> bool:
    # Otherwise it is prose between two rules.
    lines = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
    return all(line[0] in " \t-]}" or _FIELD.fullmatch(line.rstrip()) for line in lines)


def _scalar(written: str) -> JsonValue:
    """The value of a plain scalar; None for what is empty or not one."""
    written = written.strip()
    if len(written) >= 2 and written[0] == written[-1] and written[0] in "\"'":
        return written[1:-1]
    written = re.split(r"\s+#", written, maxsplit=1)[0]
    if not written or written in {"~", "null"} or written[0] in "[{|>&*!#":
        return None
    if number := _NUMBER.fullmatch(written):
        return float(written) if number[1] else int(written)
    return _WORDS.get(written.lower(), written)
