"""Bring a project's index in step with its sources."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from argot.carrying import carry_over
from argot.errors import SettingsError
from argot.ingest_progress import Progress, ProgressSum
from argot.paths import ProjectPaths
from argot.settings import ProjectSettings
from argot.version_choice import lost_version, open_version, target_of
from connectors.base import Connector
from connectors.errors import SourceError
from connectors.registry import SourceSettings, build_connector
from encoder.base import DenseEncoder
from indexing.catalog.catalog import Catalog
from indexing.catalog.leases import Lease, Leases
from indexing.errors import CatalogError, DeleteGuardError
from indexing.files.lock import hold_lock
from indexing.filters import AnyOf, Not
from indexing.sync.options import SyncOptions
from indexing.sync.pipeline import sync
from indexing.sync.preview import preview
from indexing.sync.report import SyncReport, merge_reports
from indexing.sync.target import Chunker, Target
from indexing.versions.collection import OpenIndex, open_index
from indexing.versions.description import list_versions, live_version
from indexing.versions.switching import go_live

logger = logging.getLogger(__name__)

INGESTION = "ingestion of this project"


def ingest(
    paths: ProjectPaths,
    settings: ProjectSettings,
    *,
    dense: DenseEncoder | None,
    sources: Sequence[SourceSettings] | None = None,
    connectors: Sequence[Connector] | None = None,
    chunker: Chunker | None = None,
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
        connectors: What reads each of `sources`; None: what they are configured as.
        chunker: Cuts the documents in place of ours.
        options: How each source is synced.
        rebuild: Fill a new version with the current settings and encoder, and let it answer when
            it is complete; until then the old one does.
        progress: Told how far it has come.

    Returns:
        The sum over the sources.

    Raises:
        IndexLockedError: another process is at it.
        WrongEncoderError: the live version was built with another encoder.
        SettingsError: no source is configured, or a rebuild of only some.
        CatalogError: the catalog that knows the index was lost, or the index that it knows.
        DeleteGuardError: a source, or a rebuilt index, would lose too many documents.
        SourceError: a source can't be listed; the others are synced.
    """
    if rebuild and sources is not None:
        raise SettingsError(
            "a rebuild must take all configured sources, or the index would lose the others\n"
            "hint: run `argot ingest --rebuild`, then `argot ingest PATH`"
        )
    chosen = settings.sources if sources is None else tuple(sources)
    if not chosen:
        raise SettingsError(
            "there must be a source to ingest; argot.toml names none\n"
            "hint: add [[sources]] with `name` and `path`, or give a path: `argot ingest DIR`"
        )
    options = options or SyncOptions()
    connectors = connectors or [connect(source) for source in chosen]
    paths.make_state()
    workers = bool(settings.server.url) and not rebuild
    if workers and live_version(paths.indexes) is None:
        with hold_lock(paths.ingest_lock, what=INGESTION):
            open_version(paths, settings, dense=dense, connectors=connectors, rebuild=False).close()
    with hold_lock(paths.ingest_lock, what=INGESTION, shared=workers):
        lost = lost_version(paths, settings) if rebuild else None
        before = live_version(paths.indexes) or lost
        if rebuild and lost is None:
            check_orphans(paths, settings, before=before, options=options)
        index = open_version(paths, settings, dense=dense, connectors=connectors, rebuild=rebuild)
        with index, Catalog(paths.catalog_url(settings.catalog.url)) as catalog:
            check_catalog(catalog, index)
            if not rebuild:
                catalog.note_live(index.version.name)
            target = replace(target_of(index, dense), chunker=chunker)
            reports = sync_all(
                list(zip(chosen, connectors, strict=True)),
                catalog=catalog,
                target=target,
                options=options,
                progress=progress,
                leases=catalog.leases() if workers else None,
            )
            if rebuild and before is not None:
                carry_over(catalog, before=before, target=target)
                check_losses(catalog, before=before, after=index.version.name, options=options)
                if lost is not None:
                    catalog.forget_version(lost)
        if rebuild:
            go_live(paths.indexes, index.version.name, server=settings.server)
            with Catalog(paths.catalog_url(settings.catalog.url)) as catalog:
                catalog.note_live(index.version.name)
    return merge_reports(reports)


def sync_all(
    sources: Sequence[tuple[SourceSettings, Connector]],
    *,
    catalog: Catalog,
    target: Target,
    options: SyncOptions,
    progress: Progress | None,
    leases: Leases | None = None,
) -> list[SyncReport]:
    """Sync one source after the other; one that fails as a whole does not stop the others.

    With ``leases`` other workers may be at it too: what one of them has, or has done since this one
    began, is left to it.

    Raises:
        DeleteGuardError: a source would lose too much; the first such error, after all sources.
        SourceError: a source can't be listed; likewise.
    """
    count = ProgressSum([connector for _, connector in sources], progress) if progress else None
    reports: list[SyncReport] = []
    problems: list[DeleteGuardError | SourceError] = []
    for source, connector, lease in _taken(sources, catalog, leases, version=target.version):
        try:
            report = sync(
                connector,
                catalog=catalog,
                target=target,
                options=replace(options, protected=source.protected),
                progress=count.start(connector.name) if count else None,
                lease=lease,
            )
            reports.append(report)
        except (DeleteGuardError, SourceError) as error:
            if len(sources) > 1:
                logger.error("source %s: %s", source.name, error)  # noqa: TRY400 - no defect
            problems.append(error)
    refused = [problem for problem in problems if isinstance(problem, DeleteGuardError)]
    if problems:
        raise (refused or problems)[0]
    return reports


def _taken(
    sources: Sequence[tuple[SourceSettings, Connector]],
    catalog: Catalog,
    leases: Leases | None,
    *,
    version: str,
) -> Iterator[tuple[SourceSettings, Connector, Lease | None]]:
    """Take one source after the other, and hold its lease while it is worked on."""
    began = catalog.newest_run()
    for source, connector in sources:
        if leases is None:
            yield source, connector, None
            continue
        lease = leases.take(connector.name, version=version)
        if lease is None:
            logger.info("source %s is left to the worker that has it", source.name)
            continue
        with lease:
            if catalog.synced_since(began, connector.name, version=version):
                logger.info("source %s was synced by another worker meanwhile", source.name)
            else:
                yield source, connector, lease


def check_catalog(catalog: Catalog, index: OpenIndex) -> None:
    """Refuse to go on where the catalog that knows the index was lost.

    Raises:
        CatalogError: the index holds chunks that the catalog knows nothing of.
    """
    name = index.version.name
    if catalog.summary(version=name) or catalog.source("", version=name).loose_points():
        return
    held = index.store.count()
    if held:
        raise CatalogError(
            f"the catalog must know what index {name} holds; it knows none of its {held} chunks\n"
            "hint: bring the catalog back, or run `argot ingest --rebuild`"
        )


def check_orphans(
    paths: ProjectPaths, settings: ProjectSettings, *, before: str | None, options: SyncOptions
) -> None:
    """Refuse to replace an index of which only the lost catalog could tell all that it holds.

    Args:
        paths: Of the project.
        settings: Of the project.
        before: The live version; None: which one it was is lost too, and the newest stands for it.
        options: How much may be lost.

    Raises:
        DeleteGuardError: it holds chunks of no configured source, and no catalog knows them.
    """
    before = before or max((one.name for one in list_versions(paths.indexes)), default=None)
    with Catalog(paths.catalog_url(settings.catalog.url)) as catalog:
        if before is None or catalog.summary(version=before):
            return
    configured = tuple(source.name for source in settings.sources)
    with open_index(paths.indexes, version=before, server=settings.server) as index:
        orphans = index.store.count(Not(AnyOf("source", configured)))
    if orphans and options.max_delete_fraction < 1:
        raise DeleteGuardError(
            f"index {before} holds {orphans} chunks of no source in argot.toml, which programs "
            "handed over, and the catalog that knew them was lost: a rebuild would lose them\n"
            "hint: bring the catalog back, or rebuild all the same with --max-delete-fraction 1 "
            "and hand them over again, with their access lists"
        )


def check_losses(catalog: Catalog, *, before: str, after: str, options: SyncOptions) -> None:
    """Refuse to switch to a rebuilt version that lacks too many documents of the live one.

    Raises:
        DeleteGuardError: naming the source; the rebuilt version stays, and is completed by the next
            rebuild.
    """
    now = {source.source: source.documents for source in catalog.summary(version=after)}
    for source in catalog.summary(version=before):
        lost = source.documents - now.get(source.source, 0)
        if lost > options.max_delete_fraction * source.documents:
            raise DeleteGuardError(
                f"of source {source.source!r}, index {before} has {source.documents} documents and "
                f"{after} only {now.get(source.source, 0)}, so {after} does not go live\n"
                "hint: make the source complete and run `argot ingest --rebuild` again, or switch "
                "all the same with --max-delete-fraction 1"
            )


def preview_all(
    paths: ProjectPaths,
    settings: ProjectSettings,
    *,
    sources: Sequence[SourceSettings] | None = None,
    options: SyncOptions,
) -> SyncReport:
    """Say what `ingest` would do; only the catalog's own file is made where there is none.

    Raises:
        DeleteGuardError: it would refuse to delete so much.
    """
    chosen = settings.sources if sources is None else tuple(sources)
    paths.make_state()
    version = live_version(paths.indexes) or "none"
    with Catalog(paths.catalog_url(settings.catalog.url)) as catalog:
        previews = [
            preview(
                connect(source),
                catalog=catalog,
                version=version,
                options=replace(options, protected=source.protected),
            )
            for source in chosen
        ]
    refusal = next((found.refusal for found in previews if found.refusal), None)
    if refusal:
        raise DeleteGuardError(refusal)
    return merge_reports([found.report for found in previews])


def connect(source: SourceSettings) -> Connector:
    """Build a connector.

    Raises:
        SettingsError: a setting of the source is wrong.
    """
    try:
        return build_connector(source)
    except ValueError as exc:
        raise SettingsError(f"[[sources]]: {exc}") from exc
