"""The LangChain classes as users build them: from a project or a model folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from argot.federated import search_together
from argot.project import Project, project_at
from encoder.base import DenseEncoder
from retriever.langchain import retriever as base
from retriever.settings import Mode


class ArgotRetriever(base.ArgotRetriever):
    """Finds chunks of a project as LangChain documents; see `from_project`."""

    __doc__ = base.ArgotRetriever.__doc__

    @classmethod
    def from_project(
        cls,
        path: Project | str | Path,
        *,
        mode: Mode | None = None,
        follow: bool = True,
        **options: Any,  # noqa: ANN401
    ) -> Self:
        """Open a project's live index; ``close`` the retriever, or use it in a ``with``.

        Args:
            path: A project, or its folder.
            mode: ``dense``, ``sparse`` (loads no model) or ``hybrid``; None: as the project says.
            follow: Find what is newest before each search; False: answer from the present state,
                its access lists included, until `refresh`.
            options: ``k`` and ``filter``, and what every LangChain retriever takes.

        Raises:
            NoProjectError: the folder is no project.
            NoIndexError: nothing is indexed yet.
            WrongEncoderError: the project's encoder is not the one the index was built with.
        """
        search = project_at(path).search_session(mode=mode, follow=follow)
        return cls.over(search, **options)

    @classmethod
    def from_projects(
        cls,
        paths: Sequence[Project | str | Path],
        *,
        mode: Mode | None = None,
        follow: bool = True,
        **options: Any,  # noqa: ANN401
    ) -> Self:
        """Open the live indexes of several projects, to search them as one.

        Each is searched with its own encoder, settings and access rules, at the same time when
        awaited; what they find is fused by rank. Where one of them is protected and nobody is said
        to ask, the whole search fails.

        Args:
            paths: Projects, or their folders, each once; the index of each is named by its folder.
            mode: As for `from_project`; None: each as its project says.
            follow: As for `from_project`.
            options: As for `from_project`.

        Raises:
            SettingsError: a project is there twice.
            ValueError: there is none.
        """
        projects = [project_at(path) for path in paths]
        search = search_together(projects, mode=mode, follow=follow)
        return cls.over(search, **options)


class ArgotEmbeddings(base.ArgotEmbeddings):
    """A dense encoder as LangChain embeddings.

    Args:
        encoder: An encoder, or the folder of one.
        dimensions: Width to truncate to; None for the full width.
    """

    def __init__(
        self, encoder: DenseEncoder | str | Path, *, dimensions: int | None = None
    ) -> None:
        if isinstance(encoder, (str, Path)):
            from encoder.llm2vec import LLM2VecEncoder

            encoder = LLM2VecEncoder.load(encoder)
        super().__init__(encoder, dimensions=dimensions)
