"""Inline Markdown to what a reader sees of it, for titles."""

import html
import re

_MAX_TITLE_CHARS = 500  # also bounds the time of the patterns below

_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_PLACEHOLDER = re.compile(r"\ue000(\d+)\ue001")
_MARKUP = (
    (re.compile(r"\s*\{:?\s*[#.][^{}]*\}\s*$"), ""),  # {#anchor .class}
    (re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])"), r"\1"),
    (re.compile(r"</?[A-Za-z][\w-]*(?:\s[^<>]*)?/?>|<!--.*?-->"), ""),
    (re.compile(r"(?<!\\)(\*{1,3}|~~)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w\\])(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),
)


def plain_title(markup: str) -> str:
    """A heading's text without links, emphasis, code marks, tags, anchors and entities."""
    spans: list[str] = []

    def keep_code(match: re.Match[str]) -> str:
        spans.append(match[2].strip())
        return f"\ue000{len(spans) - 1}\ue001"

    title = _CODE.sub(keep_code, markup[:_MAX_TITLE_CHARS].replace("\ue000", ""))
    for pattern, replacement in _MARKUP:
        title = pattern.sub(replacement, title)
    title = _PLACEHOLDER.sub(lambda match: spans[int(match[1])], html.unescape(title))
    return " ".join(title.split())
