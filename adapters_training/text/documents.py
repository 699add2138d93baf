"""A document, or a part of one, as training reads it."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingText:
    """Text with what stands over it in its document."""

    text: str
    title: str = ""
    """Of the document."""

    headings: tuple[str, ...] = ()
    """From the outermost to the text's own; empty where there are none."""

    source: str = ""
    """Name of what it came from; pairs made from one source are learned together."""

    @property
    def whole(self) -> str:
        """What an encoder is given of it, as an index cuts it.

        Title and headings that the text does not begin with, on a line of their own, then the text.
        """
        above = dict.fromkeys(part for part in (self.title, *self.headings) if part)
        missing = [part for part in above if not opens_with(self.text, part)]
        return "\n".join(part for part in (" > ".join(missing), self.text) if part)

    def with_text(self, text: str) -> Self:
        """Put a part of the text under the same title and headings."""
        return replace(self, text=text)


def opens_with(text: str, heading: str) -> bool:
    """Tell whether a text begins with a heading, whatever marks it."""
    opening = text.lstrip("#= \n")[: len(heading) + 1].casefold()
    return opening[: len(heading)] == heading.casefold() and not opening[len(heading) :].isalnum()
