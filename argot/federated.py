"""Several projects searched as one."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from argot.errors import SettingsError
from argot.project import Project
from argot.searching import OpenSearch
from retriever.federation import Federation
from retriever.settings import Mode


class FederatedSearch:
    """The live indexes of several projects; ``close`` it, or use it in a ``with``."""

    def __init__(
        self, searcher: Federation, *, sessions: Sequence[OpenSearch], opened: ExitStack
    ) -> None:
        self.searcher = searcher
        self._sessions = sessions
        self._opened = opened

    def refresh(self) -> bool:
        """Move each index to what is newest, as `OpenSearch.refresh` does.

        An error says why one can't be moved; those after it stay where they are.

        Returns:
            Whether there was anything newer in any.
        """
        newer = [session.refresh() for session in self._sessions]
        return any(newer)

    def close(self) -> None:
        """Let all indexes go."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def search_together(
    projects: Sequence[Project],
    *,
    mode: Mode | None = None,
    k: int | None = None,
    rerank: str | None = None,
    expand: str | None = None,
    follow: bool = True,
) -> FederatedSearch:
    """Open the live indexes of projects, each named by its folder, to search them as one.

    Args:
        projects: Each at most once.
        mode: As for `Project.search_session`.
        k: Hits of a search that does not say.
        rerank: As for `Project.search_session`.
        expand: As for `Project.search_session`.
        follow: As for `Project.search_session`.

    Raises:
        SettingsError: a project is there twice.
        ValueError: there is none.
    """
    roots = [project.paths.root for project in projects]
    if len(set(roots)) < len(roots):
        raise SettingsError(f"each project may be searched once; got {', '.join(map(str, roots))}")
    short = [root.name for root in roots]
    names = short if len(set(short)) == len(short) else [str(root) for root in roots]
    with ExitStack() as opened:
        sessions = [
            opened.enter_context(
                project.search_session(mode=mode, k=k, rerank=rerank, expand=expand, follow=follow)
            )
            for project in projects
        ]
        searchers = {name: session.searcher for name, session in zip(names, sessions, strict=True)}
        federation = Federation(searchers)
        return FederatedSearch(federation, sessions=sessions, opened=opened.pop_all())
