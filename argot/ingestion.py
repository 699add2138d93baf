"""Bring a project's index in step with its sources."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice

from argot.errors import SettingsError
from argot.paths import ProjectPaths
from argot.settings import ProjectSettings
from connectors.base import Connector, Upsert
from connectors.errors import DocumentError
from connectors.registry import SourceSettings, build_connector
from encoder.base import DenseEncoder, TextTokenizer
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.catalog import Catalog
from indexing.chunking import ChunkSettings, chunk_document
from indexing.collection import OpenIndex, create_index, open_index
from indexing.errors import WrongEncoderError
from indexing.lock import hold_lock
from indexing.pipeline import SyncOptions, sync
from indexing.preview import preview
from indexing.report import Progress, SyncReport, merge_reports
from indexing.tokens import WordTokenizer
from indexing.versions import IndexVersion, list_versions, live_version, set_live
from indexing.writing import Target

logger = logging.getLogger(__name__)

SAMPLE_DOCUMENTS = 500
"""Documents from which the mean length of a chunk is measured when a version is made."""


def ingest(
    paths: ProjectPaths,
    settings: ProjectSettings,
    *,
    dense: DenseEncoder | None,
    sources: Sequence[SourceSettings] | None = None,
    options: SyncOptions | None = None,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> SyncReport:
    """Sync sources into the live index version, made if there is none.

    Running it again completes a run that was interrupted.

    Args:
        paths: The project.
        settings: Its settings; those of an existing version win over changed ones.
        dense: The project's encoder; None: words only.
        sources: Some of the project's; None: all.
        options: How each source is synced.
        rebuild: Fill a new version with the current settings and encoder, and let it answer when
            it is complete; until then the old one does.
        progress: Told how far it has come.

    Returns:
        The sum over the sources.

    Raises:
        IndexLockedError: another process is at it.
        WrongEncoderError: the live version was built with another encoder.
        SettingsError: no source is configured.
    """
    chosen = settings.sources if sources is None else tuple(sources)
    if not chosen:
        raise SettingsError(
            "there must be a source to ingest; argot.toml names none\n"
            "hint: add [[sources]] with `name` and `path`, or give a path: `argot ingest DIR`"
        )
    connectors = [connect(source) for source in chosen]
    paths.state.mkdir(parents=True, exist_ok=True)
    with hold_lock(paths.ingest_lock, what="ingestion of this project"):
        index = _open_version(paths, settings, dense, connectors=connectors, rebuild=rebuild)
        with index, Catalog(settings.catalog.url or paths.catalog_url) as catalog:
            target = target_of(index, dense)
            reports = [
                sync(
                    connector,
                    catalog=catalog,
                    target=target,
                    options=replace(options or SyncOptions(), protected=source.protected),
                    progress=progress,
                )
                for source, connector in zip(chosen, connectors, strict=True)
            ]
        set_live(paths.indexes, index.version.name)
    return merge_reports(reports)


def preview_all(
    paths: ProjectPaths,
    settings: ProjectSettings,
    *,
    sources: Sequence[SourceSettings] | None = None,
    options: SyncOptions,
) -> SyncReport:
    """Say what `ingest` would do; only the catalog's own file is made where there is none."""
    chosen = settings.sources if sources is None else tuple(sources)
    paths.state.mkdir(parents=True, exist_ok=True)
    version = live_version(paths.indexes) or "none"
    with Catalog(settings.catalog.url or paths.catalog_url) as catalog:
        reports = [
            preview(
                connect(source),
                catalog=catalog,
                version=version,
                options=replace(options, protected=source.protected),
            )
            for source in chosen
        ]
    return merge_reports([report.report for report in reports])


def connect(source: SourceSettings) -> Connector:
    """Build a connector.

    Raises:
        SettingsError: a setting of the source is wrong.
    """
    try:
        return build_connector(source)
    except ValueError as exc:
        raise SettingsError(f"[[sources]]: {exc}") from exc


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


def _open_version(
    paths: ProjectPaths,
    settings: ProjectSettings,
    dense: DenseEncoder | None,
    *,
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
    bm25 = Bm25Settings(language=settings.index.language, k1=settings.index.k1, b=settings.index.b)
    length = average_length(
        connectors, chunks=settings.chunks, tokenizer=tokenizer_of(dense), bm25=bm25
    )
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
    *,
    chunks: ChunkSettings,
    tokenizer: TextTokenizer,
    bm25: Bm25Settings,
) -> float:
    """Measure the mean number of terms of a chunk on the first documents of the sources."""

    def texts() -> Iterator[str]:
        for connector in connectors:
            changes = (c for c in connector.changes(None) if isinstance(c, Upsert))
            for change in islice(changes, SAMPLE_DOCUMENTS):
                try:
                    document = change.load()
                except DocumentError:
                    continue  # the sync will report it
                for chunk in chunk_document(document, tokenizer=tokenizer, settings=chunks):
                    yield chunk.encoded_text

    return Bm25Encoder(bm25).average_length(texts()) or bm25.avg_len
