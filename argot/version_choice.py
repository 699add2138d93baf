"""Which index version an ingestion fills, and with what."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace

from argot.errors import SettingsError
from argot.paths import ProjectPaths
from argot.settings import ProjectSettings
from argot.version_encoder import vector_settings
from connectors.base import Connector
from connectors.errors import SourceError
from encoder.base import DenseEncoder, TextTokenizer
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.catalog.catalog import Catalog
from indexing.chunks.chunking import ChunkSettings
from indexing.chunks.tokens import WordTokenizer
from indexing.errors import CatalogError, WrongEncoderError
from indexing.reduction.settings import ReductionSettings
from indexing.sync.preview import sample_chunks
from indexing.sync.target import Target
from indexing.versions.collection import KEEP_EVERYTHING, OpenIndex, create_index, open_index
from indexing.versions.description import IndexVersion, list_versions, live_version
from indexing.versions.switching import go_live

logger = logging.getLogger(__name__)

SAMPLE_CHUNKS = 2000
"""Chunks of each source from which their mean length is measured when a version is made."""

CHUNKS_PER_DIMENSION = 4
"""A projection is fitted on so many chunks for each dimension it keeps; at least SAMPLE_CHUNKS."""


def target_of(index: OpenIndex, dense: DenseEncoder | None) -> Target:
    """What a version is filled with: the settings it was made with, not today's."""
    return Target(
        version=index.version.name,
        store=index.store,
        tokenizer=tokenizer_of(dense),
        sparse=Bm25Encoder(Bm25Settings(**index.version.bm25)),
        dense=None if dense is None else index.encoder_for(dense),
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
    if not rebuild and (lost := lost_version(paths, settings)) is not None:
        raise CatalogError(
            f"what the catalog knows must be below {paths.indexes}; index {lost} is gone\n"
            "hint: bring the folder back, or run `argot ingest --rebuild`"
        )
    known = _known(paths, settings)
    unfinished = next(
        (
            version
            for version in reversed(list_versions(paths.indexes))
            if version.name != live
            # What a lost catalog knew can't be gone on with, only be replaced.
            and (not rebuild or version.name in known)
            # One that was built from stored chunks was not cut anew.
            and version.built_from is None
            and fits(version, settings, dense)
        ),
        None,
    )
    if unfinished is not None and (live is None or unfinished.name > live):
        logger.info("going on with index version %s", unfinished.name)
        index = open_index(paths.indexes, version=unfinished.name, server=settings.server)
    else:
        index = _make(paths, settings, dense=dense, connectors=connectors)
    if live is None and not rebuild:
        # Nothing else could answer, and a killed run is resumed in this version.
        go_live(paths.indexes, index.version.name, server=settings.server)
    return index


def lost_version(paths: ProjectPaths, settings: ProjectSettings) -> str | None:
    """Name the version that answered, where none is live and its folder is gone."""
    if live_version(paths.indexes) is not None:
        return None
    there = {version.name for version in list_versions(paths.indexes)}
    lost = _known(paths, settings) - there
    with Catalog(paths.catalog_url(settings.catalog.url)) as catalog:
        last = catalog.last_live()
    # Not the newest: that may be one which was being filled.
    return last if last in lost else max(lost, default=None)


def _known(paths: ProjectPaths, settings: ProjectSettings) -> set[str]:
    with Catalog(paths.catalog_url(settings.catalog.url)) as catalog:
        return catalog.versions()


def _make(
    paths: ProjectPaths,
    settings: ProjectSettings,
    *,
    dense: DenseEncoder | None,
    connectors: Sequence[Connector],
) -> OpenIndex:
    _check_chunks_fit(settings, dense)
    check_reduction_fits(settings, dense)
    if dense is None:
        logger.warning("no model in [encoder]: the index holds words only, no vectors")
    bm25 = Bm25Settings(language=settings.index.language, k1=settings.index.k1, b=settings.index.b)
    reduction = settings.index.reduction
    sample = sample_texts(
        connectors,
        settings,
        tokenizer=tokenizer_of(dense),
        limit=max(SAMPLE_CHUNKS, chunks_to_fit(reduction, dense)),
    )
    length = Bm25Encoder(bm25).average_length(sample) or bm25.avg_len
    return create_index(
        paths.indexes,
        dense=dense,
        reduction=reduction,
        sample=evenly(sample, count=chunks_to_fit(reduction, dense)),
        chunker=asdict(settings.chunks),
        bm25=asdict(replace(bm25, avg_len=length)),
        encoder_settings=vector_settings(settings.encoder),
        known=_known(paths, settings),
        server=settings.server,
    )


def _open_live(
    paths: ProjectPaths, settings: ProjectSettings, dense: DenseEncoder | None
) -> OpenIndex:
    index = open_index(paths.indexes, server=settings.server)
    try:
        _check_same_encoder(index, dense)
    except BaseException:
        index.close()
        raise
    if settings.server.url and not index.version.collection:
        logger.warning(
            "[index] names a server, but the live index %s is embedded: `argot index grow --to %s` "
            "moves it",
            index.version.name,
            settings.server.url,
        )
    if not fits(index.version, settings, dense):
        logger.warning(
            "settings in [chunks] or [index] have changed since index %s was made and do not apply "
            "to it; `argot index build` makes a new one of the stored chunks, "
            "`argot ingest --rebuild` one of the sources",
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


def check_reduction_fits(settings: ProjectSettings, dense: DenseEncoder | None) -> None:
    """Refuse a reduction that the encoder has too few dimensions for, with SettingsError."""
    try:
        if dense is not None:
            settings.index.reduction.width(dense.dimensions)
    except ValueError as exc:
        raise SettingsError(f"[index]: {exc}") from exc


def chunks_to_fit(reduction: ReductionSettings, dense: DenseEncoder | None) -> int:
    """Tell how many chunks a projection is to be fitted on; 0 where there is none."""
    if dense is None or reduction.projection == "none":
        return 0
    return max(SAMPLE_CHUNKS, CHUNKS_PER_DIMENSION * reduction.width(dense.dimensions))


def _check_same_encoder(index: OpenIndex, dense: DenseEncoder | None) -> None:
    if index.version.encoder is None and dense is not None:
        raise WrongEncoderError(
            f"index {index.version.name} was built without an encoder; the project has one\n"
            "hint: run `argot index build`, then `argot index promote`"
        )
    index.check_encoder(dense)


def fits(version: IndexVersion, settings: ProjectSettings, dense: DenseEncoder | None) -> bool:
    """Tell whether a version was made with today's settings."""
    bm25 = {name: getattr(settings.index, name) for name in ("language", "k1", "b")}
    reduction = settings.index.reduction if dense is not None else KEEP_EVERYTHING
    return (
        version.encoder == (dense.fingerprint if dense is not None else None)
        and version.reduction == reduction
        and dict(version.chunker) == asdict(settings.chunks)
        and {name: version.bm25[name] for name in bm25} == bm25
    )


def sample_texts(
    connectors: Sequence[Connector],
    settings: ProjectSettings,
    *,
    tokenizer: TextTokenizer,
    limit: int,
) -> list[str]:
    """Cut the first documents of the sources: the texts of up to ``limit`` chunks of each."""
    texts: list[str] = []
    for connector in connectors:
        with suppress(SourceError):  # the sync will report it
            chunks = sample_chunks(
                connector, tokenizer=tokenizer, settings=settings.chunks, limit=limit
            )
            texts += [chunk.encoded_text for chunk in chunks]
    return texts


def evenly(texts: Sequence[str], *, count: int) -> list[str]:
    """Take ``count`` texts at even distances; all of them where there are fewer."""
    if len(texts) <= count:
        return list(texts)
    return [texts[i * len(texts) // count] for i in range(count)]
