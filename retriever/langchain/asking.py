"""How a LangChain retriever is asked: by whom, and with which arguments."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, cast

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig, ensure_config

from retriever.access import TENANT, check_principals

WHO_ASKS = '\nhint: who asks is given as `config={"configurable": {"principals": [...]}}`'


class AskedByConfig(BaseRetriever, ABC):
    """A retriever that is told who asks by the configuration, and by nothing else.

    ``config["configurable"]`` has ``principals``, a list of names, and where documents belong to
    tenants ``tenant``, a name. Whatever else is passed to `invoke` must be an argument that the
    class knows: a dropped filter would leak documents.
    """

    def invoke(
        self,
        input: str,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: object,
    ) -> list[Document]:
        """Find documents for a query; see the class for `kwargs`."""
        check_known(kwargs, self._argument_names(), of="`invoke`", hint=WHO_ASKS)
        return super().invoke(input, config, **kwargs, principals=principals_of(config))

    async def ainvoke(
        self,
        input: str,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: object,
    ) -> list[Document]:
        """Find documents for a query without holding up the event loop."""
        check_known(kwargs, self._argument_names(), of="`invoke`", hint=WHO_ASKS)
        return await super().ainvoke(input, config, **kwargs, principals=principals_of(config))

    def bind(self, **kwargs: Any) -> Self:  # noqa: ANN401 - LangChain's signature
        """Make one that is asked with arguments of `invoke`; a filter narrows for good.

        LangChain's own would let `invoke` replace a filter that was bound.
        """
        check_known(kwargs, self._argument_names(), of="`invoke`", hint=WHO_ASKS)
        said = {
            name: kwargs[name] for name in self._argument_names() if kwargs.get(name) is not None
        }
        return self._bound(said)

    def with_config(
        self,
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> Runnable[str, list[Document]]:
        """Make one that is asked with a configuration; it can be bound as this one can."""
        given = cast("RunnableConfig", {**(config or {}), **kwargs})
        return _Configured(bound=self, config=given)

    @abstractmethod
    def _bound(self, said: dict[str, Any]) -> Self:
        """Make a copy with arguments of `invoke`: known ones, none of them None."""

    @abstractmethod
    def _argument_names(self) -> Iterable[str]:
        """Name what `invoke` takes besides the query and the configuration."""


class _Configured(RunnableBinding[str, list[Document]]):
    """A retriever with a configuration, whose bound filters only narrow."""

    def bind(self, **kwargs: Any) -> Runnable[str, list[Document]]:  # noqa: ANN401
        if isinstance(self.bound, AskedByConfig):
            return self.model_copy(update={"bound": self.bound.bind(**kwargs)})
        return super().bind(**kwargs)  # it is retried, say, and no retriever any more


def principals_of(config: RunnableConfig | None) -> Sequence[str] | None:
    """Read who asks; the tenant is one of the principals.

    To be called where a query comes in: further in, a direct call no longer shows `configurable`.

    Raises:
        TypeError: a tenant stands beside principals by index, or these are no list.
        ValueError: ``tenant`` is no name.
    """
    configurable = ensure_config(config).get("configurable", {})
    given, tenant = configurable.get("principals"), configurable.get("tenant")
    if tenant is None:
        return cast("Sequence[str] | None", given)  # the searcher checks it
    if not isinstance(tenant, str) or not tenant:
        raise ValueError(f"`tenant` must be a name; got {tenant!r}")
    if isinstance(given, Mapping):
        raise TypeError(
            "`principals` by index name tenants too; got `tenant` beside them\n"
            f'hint: {{"index": ["user:x", "{TENANT}{tenant}"]}}, where the index has tenants'
        )
    check_principals(given)
    return [*(given or ()), f"{TENANT}{tenant}"]


def check_known(arguments: Iterable[str], known: Iterable[str], *, of: str, hint: str = "") -> None:
    """Refuse an argument that would be dropped.

    Args:
        arguments: As given.
        known: Those that are not.
        of: What takes them, for the message.
        hint: What else to say.

    Raises:
        TypeError: naming those that are known.
    """
    names = tuple(known)
    # run_id is LangChain's own
    unknown = [name for name in arguments if name not in (*names, "run_id")]
    if unknown:
        takes = ", ".join(names) or "no more arguments"
        raise TypeError(f"{of} takes {takes}; got {', '.join(unknown)}{hint}")
