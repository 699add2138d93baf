"""Bring a project's index in step with its sources."""

from collections.abc import Sequence
from dataclasses import replace

from argot.errors import SettingsError
from argot.ingest_progress import Progress, ProgressSum
from argot.paths import ProjectPaths
from argot.settings import ProjectSettings
from argot.version_choice import open_version, target_of
from connectors.base import Connector
from connectors.registry import SourceSettings, build_connector
from encoder.base import DenseEncoder
from indexing.catalog import Catalog
from indexing.errors import DeleteGuardError
from indexing.lock import hold_lock
from indexing.pipeline import SyncOptions, sync
from indexing.preview import preview
from indexing.report import SyncReport, merge_reports
from indexing.versions import live_version, set_live


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
        index = open_version(paths, settings, dense, connectors=connectors, rebuild=rebuild)
        with index, Catalog(settings.catalog.url or paths.catalog_url) as catalog:
            target = target_of(index, dense)
            count = ProgressSum(connectors, progress) if progress else None
            reports = [
                sync(
                    connector,
                    catalog=catalog,
                    target=target,
                    options=replace(options or SyncOptions(), protected=source.protected),
                    progress=count.start(connector.name) if count else None,
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
    """Say what `ingest` would do; only the catalog's own file is made where there is none.

    Raises:
        DeleteGuardError: it would refuse to delete so much.
    """
    chosen = settings.sources if sources is None else tuple(sources)
    paths.state.mkdir(parents=True, exist_ok=True)
    version = live_version(paths.indexes) or "none"
    with Catalog(settings.catalog.url or paths.catalog_url) as catalog:
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
