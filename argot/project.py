"""A project: a folder with argot.toml, and everything that can be done with it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from argot.encoders import load_encoder, load_encoder_with_generator
from argot.errors import SettingsError
from argot.paths import ProjectPaths
from argot.searching import OpenSearch, open_search
from argot.settings import ProjectSettings, load_settings
from connectors.registry import SourceSettings
from encoder.base import DenseEncoder
from retriever.settings import Mode

if TYPE_CHECKING:
    from argot.ingest_progress import Progress
    from argot.langchain import ArgotRetriever
    from encoder.shared_weights import EncoderWithGenerator
    from indexing.pipeline import SyncOptions
    from indexing.report import SyncReport


class Project:
    """An open project. Opening reads settings only; torch is loaded when something encodes."""

    def __init__(self, root: Path, settings: ProjectSettings) -> None:
        self.paths = ProjectPaths(root)
        self.settings = settings

    @classmethod
    def open(cls, path: str | Path = ".") -> Self:
        """Read a project's settings.

        Args:
            path: Folder with argot.toml.

        Raises:
            NoProjectError: there is no argot.toml.
            SettingsError: a setting is unknown or wrong.
        """
        root = Path(path).expanduser().resolve()
        return cls(root, load_settings(root))

    @cached_property
    def encoder(self) -> DenseEncoder | None:
        """The project's encoder, loaded once; None for a project that searches by words."""
        return load_encoder(self.settings.encoder, self.paths)

    def load_with_generator(self) -> "EncoderWithGenerator":
        """Load encoder and base model over one copy of the weights; the project encodes with it.

        Raises:
            SettingsError: no model is chosen.
        """
        pair = load_encoder_with_generator(self.settings.encoder, self.paths)
        self.encoder = pair.encoder
        return pair

    def ingest(
        self,
        sources: Sequence[str] | None = None,
        *,
        retry_failed: bool = False,
        rebuild: bool = False,
        max_delete_fraction: float | None = None,
        progress: "Progress | None" = None,
    ) -> "SyncReport":
        """Bring the index in step with the sources.

        Args:
            sources: Names of configured sources, or paths; None: all configured ones.
            retry_failed: Try again what failed before, even if it has not changed.
            rebuild: Fill a new index version with the current encoder and settings, then switch
                to it.
            max_delete_fraction: Refuse a run that would remove more of a source; None: as
                configured.
            progress: Told how far it has come.

        Returns:
            What was done, partial failures included.

        Raises:
            IndexLockedError: another process is at it.
            DeleteGuardError: it would delete too much; everything else is done.
            WrongEncoderError: the index was built with another encoder.
        """
        from argot.ingestion import ingest

        return ingest(
            self.paths,
            self.settings,
            dense=self.encoder,
            sources=self._chosen(sources),
            options=self._options(retry_failed, max_delete_fraction),
            rebuild=rebuild,
            progress=progress,
        )

    def preview(
        self,
        sources: Sequence[str] | None = None,
        *,
        retry_failed: bool = False,
        max_delete_fraction: float | None = None,
    ) -> "SyncReport":
        """Say what `ingest` would do, by reading what it would read; no model is loaded."""
        from argot.ingestion import preview_all

        return preview_all(
            self.paths,
            self.settings,
            sources=self._chosen(sources),
            options=self._options(retry_failed, max_delete_fraction),
        )

    def _chosen(self, sources: Sequence[str] | None) -> list[SourceSettings] | None:
        return None if sources is None else [self.source(name) for name in sources]

    def _options(self, retry_failed: bool, max_delete_fraction: float | None) -> "SyncOptions":
        from indexing.pipeline import SyncOptions

        fraction = self.settings.index.max_delete_fraction
        return SyncOptions(
            retry_failed=retry_failed,
            max_delete_fraction=fraction if max_delete_fraction is None else max_delete_fraction,
        )

    def source(self, name: str) -> SourceSettings:
        """Find a source by its configured name, or take a path as one under its real path.

        Raises:
            SettingsError: it is neither.
        """
        for source in self.settings.sources:
            if source.name == name:
                return source
        path = Path(name).expanduser()
        if path.exists():
            return self._source_at(path.resolve())
        known = ", ".join(source.name for source in self.settings.sources) or "none"
        raise SettingsError(
            f"a source must be a configured name or a path that exists; got {name!r}; "
            f"configured: {known}"
        )

    def _source_at(self, path: Path) -> SourceSettings:
        """Take a path as the configured source it is, or as one of its own."""
        for source in self.settings.sources:
            place = source.path.resolve()
            if place == path:
                return source
            if source.protected and (path.is_relative_to(place) or place.is_relative_to(path)):
                raise SettingsError(
                    f"{path} holds documents of the protected source {source.name!r}, which would "
                    f"become public\nhint: run `argot ingest {source.name}`"
                )
        return SourceSettings(name=str(path), path=path)

    def search_session(self, *, mode: Mode | None = None, k: int | None = None) -> OpenSearch:
        """Open the live index for searching; close it, or use it in a ``with``.

        Args:
            mode: ``sparse`` loads no model; None: as configured.
            k: Hits of a search that does not say; None: as configured.
        """
        settings = self.settings.search
        return open_search(
            self.paths,
            settings=settings if k is None else replace(settings, k=k),
            load_dense=lambda: self.encoder,
            mode=mode,
        )

    def retriever(self, **options: Any) -> "ArgotRetriever":  # noqa: ANN401 - as from_project
        """Make a LangChain retriever over the live index; see `ArgotRetriever.from_project`."""
        from argot.langchain import ArgotRetriever

        return ArgotRetriever.over(self.search_session(mode=options.get("mode")), **options)
