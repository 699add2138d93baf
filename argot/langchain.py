"""The LangChain classes as users build them: from a project or a model folder."""

from functools import partial
from pathlib import Path
from typing import Any, Self

from argot.encoders import load_encoder
from argot.paths import ProjectPaths
from argot.searching import OpenSearch, open_search
from argot.settings import load_settings
from argot.version_encoder import encoder_choice
from encoder.base import DenseEncoder
from indexing.versions import IndexVersion
from retriever import langchain as base
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
        paths = ProjectPaths(Path(path).expanduser().resolve())
        settings = load_settings(paths.root)
        search = open_search(
            paths,
            settings=settings.search,
            load_dense=partial(_load_encoder, paths),
            mode=mode,
            server=settings.server,
            follow=follow,
        )
        return cls.over(search, mode=mode, **options)

    @classmethod
    def over(cls, search: OpenSearch, **options: Any) -> Self:  # noqa: ANN401
        """Make a retriever of an open search; closing it, or a wrong option, closes the search."""
        try:
            return cls(
                searcher=search.searcher,
                on_close=search.close,
                on_refresh=search.refresh,
                **options,
            )
        except BaseException:
            search.close()
            raise


def _load_encoder(paths: ProjectPaths, version: IndexVersion) -> DenseEncoder | None:
    # What argot.toml says now, not when the retriever was made: a refresh may need another one.
    configured = load_settings(paths.root).encoder
    choice = encoder_choice(version, configured=configured, indexes=paths.indexes)
    return load_encoder(choice, paths)


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
