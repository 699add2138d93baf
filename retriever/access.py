"""Who may see a chunk.

A payload says ``protected: false`` for what everybody may see. Anything else is seen only by the
principals in its ``access`` list: a chunk that says nothing is hidden, not shown.

Where documents belong to tenants, every query names one, as the principal ``tenant:NAME``, and
nothing of another tenant, or of none, is searched for it: no filter and no access list widens that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from indexing.filters import And, AnyOf, Condition, Eq, Not, Or
from indexing.stores.base import VectorStore
from retriever.conditions import check_fields
from retriever.errors import MissingPrincipalError, TenantError

PUBLIC = Eq("protected", False)
TENANT = "tenant:"
"""Begins the principal that is the tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """What narrows every query, whoever asks."""

    tenant_field: str = ""
    """Field with the tenant a document belongs to, such as ``metadata.tenant``: a query must name
    one tenant, and finds nothing of others. Empty: there are no tenants."""

    def __post_init__(self) -> None:
        if self.tenant_field:
            check_fields(Eq(self.tenant_field, ""))


NO_TENANTS = AccessSettings()


def visible_where(
    store: VectorStore,
    *,
    where: Condition | None,
    principals: Sequence[str] | None,
    access: AccessSettings = NO_TENANTS,
) -> Condition | None:
    """Narrow `where` to what `principals` may see.

    The store is asked at every query that names nobody, so a document that is protected in it is
    protected at once. Whoever keeps a searcher open has it search the version that is live.

    Args:
        store: The index.
        where: The caller's own filter; None for no filter.
        principals: Names the asker goes by, such as ``user:x`` and ``group:y``; None or empty for
            nobody.
        access: Of the project.

    Returns:
        A condition that never admits more than `where` does.

    Raises:
        MissingPrincipalError: nobody asks, and the index holds a chunk that is not public.
        TenantError: not one tenant is named where there are tenants, or one where there are none.
    """
    tenant = _tenant_of(principals or (), access)
    if tenant is not None:
        where = tenant if where is None else And((tenant, where))
    if principals:
        allowed = Or((PUBLIC, AnyOf("access", tuple(principals))))
        return allowed if where is None else And((allowed, where))
    protected = store.count(Not(PUBLIC))
    if protected:
        raise MissingPrincipalError(
            "chunks of this index have access lists, so a query must say who asks\n"
            "hint: pass `principals`, on the command line `--as user:NAME`, in LangChain "
            '`config={"configurable": {"principals": ["user:NAME"]}}`'
        )
    # The filter stays: a live index may change between the count and the search.
    return PUBLIC if where is None else And((PUBLIC, where))


def _tenant_of(principals: Sequence[str], access: AccessSettings) -> Condition | None:
    named = {name for name in principals if name.startswith(TENANT)}
    if not access.tenant_field:
        if named:
            raise TenantError(
                f"a query names the tenant {min(named)!r}, but this index has no tenants\n"
                "hint: set `tenant_field` in [access] to the field that holds a document's tenant"
            )
        return None
    if len(named) != 1 or TENANT in named:
        got = ", ".join(sorted(named)) or "none"
        raise TenantError(
            f"documents belong to tenants, by {access.tenant_field!r}, so a query must name "
            f"exactly one; got {got}\n"
            "hint: pass the principal `tenant:NAME`, on the command line `--as tenant:NAME`, in "
            'LangChain `config={"configurable": {"tenant": "NAME"}}`'
        )
    return Eq(access.tenant_field, next(iter(named)).removeprefix(TENANT))


def check_principals(principals: object) -> None:
    """Refuse what is no list of names; a lone string would be read letter by letter."""
    if principals is None:
        return
    if not isinstance(principals, list | tuple | set | frozenset):
        raise TypeError(f"`principals` must be a list of strings; got {principals!r}")
    for name in principals:
        if not isinstance(name, str) or not name:
            raise ValueError(f"`principals` must hold non-empty strings; got {name!r}")
