"""Who may see a chunk.

A payload says ``protected: false`` for what everybody may see. Anything else is seen only by the
principals in its ``access`` list: a chunk that says nothing is hidden, not shown.
"""

from collections.abc import Sequence

from indexing.filters import And, AnyOf, Condition, Eq, Not, Or
from indexing.stores.base import VectorStore
from retriever.errors import MissingPrincipalError

PUBLIC = Eq("protected", False)


def visible_where(
    store: VectorStore, *, where: Condition | None, principals: Sequence[str] | None
) -> Condition | None:
    """Narrow `where` to what `principals` may see.

    The store is asked at every query that names nobody, so a document protected a moment ago is
    protected now.

    Args:
        store: The index.
        where: The caller's own filter; None for no filter.
        principals: Names the asker goes by, such as ``user:x`` and ``group:y``; None or empty for
            nobody.

    Returns:
        A condition that never admits more than `where` does.

    Raises:
        MissingPrincipalError: nobody asks, and the index holds a chunk that is not public.
    """
    if principals:
        access = Or((PUBLIC, AnyOf("access", tuple(principals))))
        return access if where is None else And((access, where))
    protected = store.count(Not(PUBLIC))
    if protected:
        raise MissingPrincipalError(
            f"{protected} chunks of this index have access lists, so a query must say who asks\n"
            "hint: pass `principals`, on the command line `--as user:NAME`, in LangChain "
            '`config={"configurable": {"principals": ["user:NAME"]}}`'
        )
    return where


def check_principals(principals: object) -> None:
    """Refuse what is no list of names; a lone string would be read letter by letter."""
    if principals is None:
        return
    if not isinstance(principals, list | tuple | set | frozenset):
        raise TypeError(f"`principals` must be a list of strings; got {principals!r}")
    for name in principals:
        if not isinstance(name, str) or not name:
            raise ValueError(f"`principals` must hold non-empty strings; got {name!r}")
