"""What the paragraph styles of a DOCX file say: heading level, list item, document title."""

import re
from dataclasses import dataclass

from docx.oxml.xmlchemy import BaseOxmlElement

_NAMESPACE = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_BODY_TEXT = 9  # outline levels 0-8 are headings
_HEADING_NAME = re.compile(
    # Word writes the English name into every file; other writers use their own language's.
    r"(?:heading|überschrift|titre|título|titolo|rubrik|overskrift|kop|nagłówek|nadpis|заголовок|标题|見出し"
    r"|제목)\s*([1-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What a style says itself or inherits."""

    name: str = ""
    heading_level: int | None = None
    is_list_item: bool = False

    @property
    def is_title(self) -> bool:
        """The style of the document's title."""
        return self.name.casefold() == "title"


def word(name: str) -> str:
    """A WordprocessingML element or attribute name as lxml spells it."""
    return _NAMESPACE + name


def read_styles(styles: BaseOxmlElement) -> dict[str, ParagraphStyle]:
    """Every paragraph style of ``word/styles.xml`` by its id, inheritance resolved."""
    elements = {
        style.get(word("styleId"), ""): style
        for style in styles.iterchildren(word("style"))
        if style.get(word("type")) == "paragraph"
    }
    return {style_id: _resolve(style_id, elements) for style_id in elements}


def own_outline_level(element: BaseOxmlElement) -> int | None:
    """The ``outlineLvl`` of a paragraph or style itself, 0 outermost; None where it has none."""
    return _number(element.find(f"{word('pPr')}/{word('outlineLvl')}"))


def own_list_id(element: BaseOxmlElement) -> int | None:
    """The ``numId`` of a paragraph or style itself; 0 switches a list off."""
    return _number(element.find(f"{word('pPr')}/{word('numPr')}/{word('numId')}"))


def heading_level(outline_level: int) -> int | None:
    """Outline level to heading level; None for body text."""
    return outline_level + 1 if 0 <= outline_level < _BODY_TEXT else None


def _resolve(style_id: str, elements: dict[str, BaseOxmlElement]) -> ParagraphStyle:
    level: int | None = None
    level_known = False
    list_id: int | None = None
    for element in _inheritance(style_id, elements):
        outline = own_outline_level(element)
        named = _HEADING_NAME.fullmatch(_name(element)) or _HEADING_NAME.fullmatch(
            element.get(word("styleId"), "")
        )
        if not level_known and outline is not None:
            level, level_known = heading_level(outline), True
        elif not level_known and named:
            level, level_known = int(named[1]), True
        list_id = own_list_id(element) if list_id is None else list_id
    name = _name(elements[style_id])
    if name.casefold() == "title" and level is None:
        level = 1
    return ParagraphStyle(name=name, heading_level=level, is_list_item=bool(list_id))


def _inheritance(style_id: str, elements: dict[str, BaseOxmlElement]) -> list[BaseOxmlElement]:
    """The style and those it is based on, nearest first; a cycle is cut."""
    chain: dict[str, BaseOxmlElement] = {}
    current: str | None = style_id
    while current in elements and current not in chain:
        chain[current] = elements[current]
        current = _value(elements[current].find(word("basedOn")))
    return list(chain.values())


def _name(style: BaseOxmlElement) -> str:
    return _value(style.find(word("name"))) or ""


def _number(element: BaseOxmlElement | None) -> int | None:
    value = _value(element)
    return int(value) if value is not None and value.isdecimal() else None


def _value(element: BaseOxmlElement | None) -> str | None:
    return None if element is None else element.get(word("val"))
