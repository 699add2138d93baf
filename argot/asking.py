"""Answer questions from a project's documents, with the weights that encode its queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from argot.project import Project
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.errors import NoIndexError
from indexing.versions.description import IndexVersion, live_version, read_version
from retriever.answering.answering import Answerer
from retriever.settings import Mode

if TYPE_CHECKING:
    from encoder.chat import ChatModel


@contextmanager
def open_answerer(
    project: Project,
    *,
    mode: Mode | None = None,
    rerank: str | None = None,
    expand: str | None = None,
) -> Iterator[Answerer]:
    """Open the live index for questions; its state stays the same until it is closed.

    The model that answers is the one that the index's encoder was made of, its adapters left aside:
    one copy of the weights is in memory. Where `[stages]` names a `language_model`, that one
    answers. In mode ``sparse`` none is loaded before there is something to answer from.

    Args:
        project: The project.
        mode: How it will be searched; None: as the settings say.
        rerank: Second stage of its searches; None: as the settings say.
        expand: Stage that widens the question; None: as the settings say.

    Yields:
        What answers. It raises SettingsError where no model is configured to answer with.

    Raises:
        NoIndexError: nothing is indexed yet.
        WrongEncoderError: the project's encoder is not the one the live version was built with.
        ModelFolderError: the encoder's weights can't write, as adapters are merged into them.
    """
    _share_weights(project, mode or project.settings.search.mode)
    opened = project.search_session(mode=mode, rerank=rerank, expand=expand, follow=False)
    with opened as session:
        version = read_version(project.paths.indexes, session.searcher.version_name)
        yield Answerer(
            session.searcher,
            sparse=Bm25Encoder(Bm25Settings(**version.bm25)),
            load_model=cache(lambda: load_chat_model(project, version)),
            settings=project.settings.ask,
        )


def load_chat_model(project: Project, version: IndexVersion | None = None) -> "ChatModel":
    """Load the language model below an index's encoder, over the same weights. Loads torch.

    Load it before a retriever: what encodes is then loaded together with it. Raises SettingsError
    where no model is configured.

    Args:
        project: The project; it keeps the model and its encoder.
        version: Of the index; None: the live one.

    Raises:
        NoIndexError: nothing is indexed yet.
        ModelFolderError: the encoder's weights can't write, as adapters are merged into them.
    """
    decoder = project.language_model_of(version or _live(project))
    from encoder.chat import ChatModel

    return ChatModel(decoder)


def _share_weights(project: Project, mode: Mode) -> None:
    """Load the encoder together with the model that answers, before the search loads it alone."""
    if mode == "sparse" or project.settings.stages.language_model:
        return
    version = _live(project)
    if version.encoder is not None:
        project.encoder_of(version, with_generator=True)


def _live(project: Project) -> IndexVersion:
    indexes = project.paths.indexes
    name = live_version(indexes)
    if name is None:
        raise NoIndexError(f"nothing is indexed yet in {indexes}\nhint: run `argot ingest`")
    return read_version(indexes, name)
