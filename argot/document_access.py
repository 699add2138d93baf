"""Who may see a document that a program hands over, and whose it is.

What a write does not say does not change: a document that is there keeps its access list. Where
documents belong to tenants, each belongs to the one that it names, and no other tenant can replace
or delete it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Final

from argot.errors import DocumentRefusedError
from argot.settings import HANDED_OVER
from connectors.document import Document
from indexing.filters import And, Condition, Eq, Not
from indexing.stores.base import VectorStore
from retriever.access import PUBLIC
from retriever.errors import TenantError

EVERYBODY: Final = "everybody"
"""Says of documents that there is no access list: who asks may see them, whoever it is."""


class Unsaid(StrEnum):
    """What becomes of a document without an access list: one that is there may have one."""

    KEEP_OR_OPEN = "keep or open"
    """It keeps its list; a new one is for everybody."""

    KEEP_OR_REFUSE = "keep or refuse"
    """It keeps its list; a new one is for everybody, and refused where others of its tenant have
    lists."""

    OPEN = "open"
    """It is for everybody from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRules:
    """What documents are written and deleted by."""

    unsaid: Unsaid = Unsaid.KEEP_OR_OPEN
    are_protected: Callable[[Condition], bool] = lambda _: False
    """Tells whether any of the documents that match have access lists."""

    tenant_field: str = ""
    """Of the project; empty: there are no tenants."""

    tenant: str | None = None
    """The only one whose documents may be touched; None: any."""

    def settled(self, document: Document, stored: Document | None) -> Document:
        """Say who may see a document from now on.

        Args:
            document: To be written.
            stored: What is there under its id; None: nothing.

        Raises:
            DocumentRefusedError: it may not be written.
        """
        self._check_tenant(document, stored)
        if document.access is not None or self.unsaid is Unsaid.OPEN:
            return document
        if stored is not None:
            return replace(document, access=stored.access)
        if self.unsaid is Unsaid.KEEP_OR_REFUSE and self.are_protected(self._beside(document)):
            raise DocumentRefusedError(
                "other documents here have access lists, so a new one must say who may see it\n"
                'hint: give `access=["group:NAME"]`, or `access="everybody"`'
            )
        return document

    def may_delete(self, stored: Document) -> bool:
        """Tell whether a document is one of those that may be touched."""
        return not self.tenant_field or tenant_of(stored, self.tenant_field) == self.tenant

    def _beside(self, document: Document) -> Condition:
        """Choose the documents that are of the same tenant, whatever their source."""
        tenant = tenant_of(document, self.tenant_field) if self.tenant_field else None
        return And(() if tenant is None else (Eq(self.tenant_field, tenant),))

    def _check_tenant(self, document: Document, stored: Document | None) -> None:
        if not self.tenant_field:
            return
        own = tenant_of(document, self.tenant_field)
        if own is None:
            raise DocumentRefusedError(
                f"documents belong to tenants, by {self.tenant_field!r}, which must be a text that "
                "is not empty; this one has none"
            )
        if self.tenant not in (None, own):
            raise DocumentRefusedError(
                f"only documents of tenant {self.tenant!r} may be written; this one names {own!r}"
            )
        if stored is not None and tenant_of(stored, self.tenant_field) != own:
            raise DocumentRefusedError(
                f"its id is taken by a document that is not of tenant {own!r}\n"
                "hint: give each tenant ids of its own, such as `TENANT/ID`"
            )


def protection_of(store: VectorStore) -> Callable[[Condition], bool]:
    """Tell whether any document that matches has an access list; asked once for each condition."""

    @cache
    def are_protected(where: Condition) -> bool:
        return bool(store.payloads(And((where, Not(PUBLIC))), limit=1))

    return are_protected


def tenant_of(document: Document, field: str) -> str | None:
    """Read which tenant a document of a program belongs to, as a search would.

    Args:
        document: With its metadata.
        field: A path in what is stored of it, such as ``metadata.tenant``.

    Returns:
        Its name; None: the field is missing, empty, or no text.
    """
    found: object = {
        "source": HANDED_OVER,
        "document_id": document.id,
        "title": document.title,
        "uri": document.uri,
        "metadata": document.metadata,
    }
    for name in field.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) and found.strip() else None


def check_tenant(tenant: object, *, field: str) -> None:
    """Check the tenant that something is done for; None for none.

    Args:
        tenant: As a caller named it.
        field: Of the project; empty: there are no tenants.

    Raises:
        TypeError: it is no text.
        TenantError: it is empty, or there are no tenants.
    """
    if tenant is None:
        return
    if not isinstance(tenant, str):
        raise TypeError(f"`tenant` must be a name; got {tenant!r}")
    if not field:
        raise TenantError(
            f"documents here belong to no tenants; got tenant {tenant!r}\n"
            "hint: set `tenant_field` in [access] to the field that holds a document's tenant"
        )
    if not tenant:
        raise TenantError("`tenant` must be a name; got an empty one")


def check_deletes_for(tenant: str | None, *, field: str) -> None:
    """Refuse to delete where documents belong to tenants, and none is named.

    Raises:
        TenantError: none is named, or one that can't be.
        TypeError: it is no text.
    """
    check_tenant(tenant, field=field)
    if field and tenant is None:
        raise TenantError(
            f"documents belong to tenants, by {field!r}, so to delete must name one\n"
            'hint: give `tenant="NAME"`, to the call or to the store'
        )
