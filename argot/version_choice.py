"""Which index version an ingestion fills, and with what."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace

from argot.errors import SettingsError
from argot.paths import ProjectPaths
from argot.settings import ProjectSettings
from connectors.base import Connector
from connectors.errors import SourceError
from encoder.base import DenseEncoder, TextTokenizer
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.chunking import ChunkSettings
from indexing.collection import OpenIndex, create_index, open_index
from indexing.errors import WrongEncoderError
from indexing.preview import sample_chunks
from indexing.tokens import WordTokenizer
from indexing.versions import IndexVersion, list_versions, live_version, set_live
from indexing.writing import Target

logger = logging.getLogger(__name__)

SAMPLE_CHUNKS = 2000
"""Chunks of each source from which their mean length is measured when a version is made."""


def target_of(index: OpenIndex, dense: DenseEncoder | None) -> Target:
    """What a version is filled with: the settings it was made with, not today's."""
    return Target(
        version=index.version.name,
        store=index.store,
        tokenizer=tokenizer_of(dense),
        sparse=Bm25Encoder(Bm25Settings(**index.version.bm25)),
        dense=dense,
        chunks=ChunkSettings(**index.version.chunker),
    )


def tokenizer_of(dense: DenseEncoder | None) -> TextTokenizer:
    """Count in the model's own tokens where there is a model with a tokenizer, else in words."""
    spans: Callable[[str], list[tuple[int, int]]] | None = getattr(dense, "token_spans", None)
    return WordTokenizer() if spans is None else _Tokenizer(spans)


class _Tokenizer:
    def __init__(self, spans: Callable[[str], list[tuple[int, int]]]) -> None:
        self.token_spans = spans


def open_version(
    paths: ProjectPaths,
    settings: ProjectSettings,
    *,
    dense: DenseEncoder | None,
    connectors: Sequence[Connector],
    rebuild: bool,
) -> OpenIndex:
    """Open the version to fill: the live one, an unfinished rebuild, or a new one."""
    live = live_version(paths.indexes)
    if live is not None and not rebuild:
        return _open_live(paths, settings, dense)
    unfinished = next(
        (
            version
            for version in reversed(list_versions(paths.indexes))
            if version.name != live and _fits(version, settings, dense)
        ),
        None,
    )
    if unfinished is not None and (live is None or unfinished.name > live):
        logger.info("going on with index version %s", unfinished.name)
        return open_index(paths.indexes, version=unfinished.name)
    _check_chunks_fit(settings, dense)
    if dense is None:
        logger.warning("no model in [encoder]: the index holds words only, no vectors")
    bm25 = Bm25Settings(language=settings.index.language, k1=settings.index.k1, b=settings.index.b)
    length = average_length(connectors, settings, bm25=bm25, tokenizer=tokenizer_of(dense))
    index = create_index(
        paths.indexes,
        dense=dense,
        dimensions=settings.index.dimensions if dense is not None else None,
        chunker=asdict(settings.chunks),
        bm25=asdict(replace(bm25, avg_len=length)),
    )
    if live is None:
        # Nothing else could answer, and a killed run is resumed in this version.
        set_live(paths.indexes, index.version.name)
    return index


def _open_live(
    paths: ProjectPaths, settings: ProjectSettings, dense: DenseEncoder | None
) -> OpenIndex:
    index = open_index(paths.indexes)
    try:
        _check_same_encoder(index, dense)
    except BaseException:
        index.close()
        raise
    if not _fits(index.version, settings, dense):
        logger.warning(
            "settings in [chunks] or [index] have changed since index %s was made and do not apply "
            "to it; `argot ingest --rebuild` makes a new one",
            index.version.name,
        )
    return index


def _check_chunks_fit(settings: ProjectSettings, dense: DenseEncoder | None) -> None:
    limit: int | None = getattr(dense, "max_tokens", None)
    if limit is not None and settings.chunks.chunk_tokens > limit:
        raise SettingsError(
            f"`chunk_tokens` in [chunks] must be at most {limit}, what the encoder reads; got "
            f"{settings.chunks.chunk_tokens}\nhint: lower it, or raise `max_tokens` in [encoder]"
        )


def _check_same_encoder(index: OpenIndex, dense: DenseEncoder | None) -> None:
    if index.version.encoder is None and dense is not None:
        raise WrongEncoderError(
            f"index {index.version.name} was built without an encoder; the project has one\n"
            "hint: run `argot ingest --rebuild`"
        )
    index.check_encoder(dense)


def _fits(version: IndexVersion, settings: ProjectSettings, dense: DenseEncoder | None) -> bool:
    """Tell whether a version was made with today's settings."""
    bm25 = {name: getattr(settings.index, name) for name in ("language", "k1", "b")}
    width = (settings.index.dimensions or dense.dimensions) if dense is not None else None
    return (
        version.encoder == (dense.fingerprint if dense is not None else None)
        and version.dimensions == width
        and dict(version.chunker) == asdict(settings.chunks)
        and {name: version.bm25[name] for name in bm25} == bm25
    )


def average_length(
    connectors: Sequence[Connector],
    settings: ProjectSettings,
    *,
    bm25: Bm25Settings,
    tokenizer: TextTokenizer,
) -> float:
    """Measure the mean number of terms of a chunk on the first documents of the sources."""
    texts: list[str] = []
    for connector in connectors:
        with suppress(SourceError):  # the sync will report it
            chunks = sample_chunks(
                connector, tokenizer=tokenizer, settings=settings.chunks, limit=SAMPLE_CHUNKS
            )
            texts += [chunk.encoded_text for chunk in chunks]
    return Bm25Encoder(bm25).average_length(texts) or bm25.avg_len
