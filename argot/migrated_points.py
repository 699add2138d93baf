"""Points of a collection that `langchain-qdrant` filled, to documents."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argot.document_access import EVERYBODY
from connectors.document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection as `QdrantVectorStore` lays it out, and who may see its documents."""

    name: str
    path: Path | None = None
    """Folder of a local client; None: it is on a server."""

    url: str = ""
    """Of the server."""

    api_key: str = field(default="", repr=False)
    content_key: str = "page_content"
    """Its ``content_payload_key``."""

    metadata_key: str = "metadata"
    """Its ``metadata_payload_key``."""

    access: tuple[str, ...] = ()
    """Who may see all of it, such as ``group:staff``; ``everybody`` alone: no access lists."""

    access_key: str = ""
    """Path in the payload to each document's own list of names, such as ``metadata.groups``. A
    document that has no such list is for nobody."""

    def __post_init__(self) -> None:
        if (self.path is None) == (not self.url):
            raise ValueError("a collection must have a `path` or a `url`, one of them")
        if self.access and self.access_key:
            raise ValueError("give `access` for all documents or `access_key` for each; got both")
        if not _are_names(self.access):
            raise ValueError(
                "`access` must hold names such as group:staff, none of them empty; "
                f"got {self.access!r}"
            )
        if EVERYBODY in self.access and len(self.access) > 1:
            raise ValueError(f"{EVERYBODY!r} must stand alone in `access`; got {self.access!r}")
        if self.access_key and not all(self.access_key.split(".")):
            raise ValueError(
                f"`access_key` must be a path such as metadata.groups; got {self.access_key!r}"
            )

    @property
    def says_who(self) -> bool:
        """Whether it is said who may see the documents."""
        return bool(self.access or self.access_key)


class PointReader:
    """Makes documents of a collection's points, and counts what is not as one may expect.

    Args:
        collection: How the points are laid out.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.hidden: Counter[str] = Counter()
        """Documents that nobody may see, by what is wrong with their list."""

        self.carried: Counter[str] = Counter()
        """Payload fields beside text and metadata that became metadata, with their points."""

        self.left_out: Counter[str] = Counter()
        """Such fields that did not: the metadata have another value of the same name."""

    def read(self, id_: str, payload: Mapping[str, Any]) -> Document:
        """Make a document of a point.

        Raises:
            ValueError: it has no text, or its metadata are no mapping.
        """
        layout = self._collection
        text, metadata = payload.get(layout.content_key), payload.get(layout.metadata_key)
        if not isinstance(text, str):
            raise ValueError(  # noqa: TRY004 - one point's misfortune
                f"`{layout.content_key}` must be its text; got {type(text).__name__}; "
                f"it has {', '.join(payload) or 'nothing'}"
            )
        if not isinstance(metadata, dict | None):
            raise ValueError(  # noqa: TRY004
                f"`{layout.metadata_key}` must be a mapping; got {type(metadata).__name__}"
            )
        return Document(
            id=id_,
            text=text,
            metadata=self._with_others(metadata or {}, payload),
            access=self._access(payload),
        )

    def _with_others(self, metadata: dict[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
        """Add the fields of the payload that are neither text nor metadata."""
        together = dict(metadata)
        for name, value in payload.items():
            if name in (self._collection.content_key, self._collection.metadata_key):
                continue
            if name not in metadata:
                together[name] = value
                self.carried[name] += 1
            elif metadata[name] != value:
                self.left_out[name] += 1
        return together

    def _access(self, payload: Mapping[str, Any]) -> tuple[str, ...] | None:
        if not self._collection.access_key:
            return tuple(name for name in self._collection.access if name != EVERYBODY) or None
        found: object = payload
        for name in self._collection.access_key.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, list) and found and _are_names(found):
            return tuple(dict.fromkeys(found))
        self.hidden[_wrong_with(found)] += 1
        return ()


def _are_names(given: object) -> bool:
    return isinstance(given, list | tuple) and all(
        isinstance(name, str) and name.strip() for name in given
    )


def _wrong_with(found: object) -> str:
    if found is None:
        return "missing"
    return "empty" if found == [] else "no list of names"
