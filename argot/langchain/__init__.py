"""The LangChain classes as users build them: from a project or a model folder."""

from pathlib import Path
from typing import Any, Self

from argot.project import Project
from encoder.base import DenseEncoder
from retriever.langchain import retriever as base
from retriever.settings import Mode


class ArgotRetriever(base.ArgotRetriever):
    """Finds chunks of a project as LangChain documents; see `from_project`."""

    __doc__ = base.ArgotRetriever.__doc__

    @classmethod
    def from_project(
        cls,
        path: str | Path,
        *,
        mode: Mode | None = None,
        follow: bool = True,
        **options: Any,  # noqa: ANN401
    ) -> Self:
        """Open a project's live index; ``close`` the retriever, or use it in a ``with``.

        Args:
            path: Folder with argot.toml.
            mode: ``dense``, ``sparse`` (loads no model) or ``hybrid``; None: as the project says.
            follow: Find what is ingested from now on; False: answer from the present state until
                `refresh`.
            options: ``k`` and ``filter``, and what every LangChain retriever takes.

        Raises:
            NoProjectError: the folder is no project.
            NoIndexError: nothing is indexed yet.
            WrongEncoderError: the project's encoder is not the one the index was built with.
        """
        search = Project.open(path).search_session(mode=mode, follow=follow)
        return cls.over(search, mode=mode, **options)


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
