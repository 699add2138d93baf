"""A project: a folder with argot.toml, and everything that can be done with it."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from argot.errors import SettingsError
from argot.loaded_models import LoadedModels
from argot.paths import ProjectPaths
from argot.searching import OpenSearch, Searched, open_search
from argot.settings import EncoderChoice, ProjectSettings, load_settings
from argot.stage_settings import asks_language_model
from argot.stages import StageModels, Stages
from argot.version_encoder import encoder_choice, with_model
from connectors.registry import SourceSettings
from encoder.base import DenseEncoder
from indexing.versions.description import IndexVersion, live_version, read_version
from retriever.settings import Mode

if TYPE_CHECKING:
    from argot.ingest_progress import Progress
    from encoder.loading import Decoder
    from encoder.shared_weights import EncoderWithGenerator
    from indexing.sync.options import SyncOptions
    from indexing.sync.report import SyncReport
    from retriever.langchain.retriever import ArgotRetriever


class Project:
    """An open project. Opening reads settings only; torch is loaded when something encodes."""

    def __init__(self, root: Path, settings: ProjectSettings) -> None:
        self.paths = ProjectPaths(root)
        self.settings = settings
        self._models = LoadedModels(self.paths)
        self._stage_models = StageModels(
            settings.stages, paths=self.paths, hardware=settings.encoder
        )

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

    @property
    def encoder(self) -> DenseEncoder | None:
        """The project's encoder, loaded once; None for a project that searches by words."""
        return self.load(self.settings.encoder)

    @encoder.setter
    def encoder(self, dense: DenseEncoder | None) -> None:
        self._models.give(self.settings.encoder, dense)

    def with_encoder(self, dense: DenseEncoder) -> Self:
        """Return the same project with another encoder; this one keeps its own."""
        other = copy(self)
        other._models = LoadedModels(self.paths)  # noqa: SLF001 - of its own class
        other.encoder = dense
        return other

    def choose_encoder(self, model: str | None) -> EncoderChoice:
        """Choose an encoder by name or folder, on the project's hardware; None: the project's."""
        configured = self.settings.encoder
        return configured if model is None else with_model(configured, model)

    def load(self, choice: EncoderChoice, *, with_generator: bool = False) -> DenseEncoder | None:
        """Load an encoder; it is kept until another one is loaded, so memory holds one."""
        return self._models.encoder(choice, with_generator=with_generator)

    def _choice_of(self, version: IndexVersion) -> EncoderChoice:
        # What argot.toml says now: a search that is open may meet an encoder that was set since.
        configured = load_settings(self.paths.root).encoder
        return encoder_choice(version, configured=configured, indexes=self.paths.indexes)

    def encoder_of(
        self, version: IndexVersion, *, with_generator: bool = False
    ) -> DenseEncoder | None:
        """Load the encoder to open an index version with; see `argot.version_encoder`."""
        return self.load(self._choice_of(version), with_generator=with_generator)

    def generator_of(self, version: IndexVersion) -> "Decoder":
        """Load the language model that a version's encoder was made of."""
        return self._models.generator(self._choice_of(version))

    def language_model_of(self, version: IndexVersion) -> "Decoder":
        """Load the language model that `[stages]` names, else what `generator_of` gives."""
        return self._stage_models.language_model(partial(self.generator_of, version))

    def stages_for(self, searched: Callable[[], Searched]) -> Stages:
        """Name the second stages of searches; each is loaded when it is first used."""

        def encoder() -> DenseEncoder | None:
            version, loaded = searched()
            return self.encoder_of(version) if loaded is None else loaded

        return self._stage_models.stages(
            encoder=encoder, base=lambda: self.generator_of(searched()[0])
        )

    def encoder_of_live(self) -> DenseEncoder | None:
        """Load the encoder of the live version; before there is one, the project's."""
        name = live_version(self.paths.indexes)
        if name is None:
            return self.encoder
        return self.encoder_of(read_version(self.paths.indexes, name))

    def load_with_generator(self) -> "EncoderWithGenerator":
        """Load encoder and base model over one copy of the weights; the project encodes with it.

        Raises SettingsError where no model is chosen.
        """
        return self._models.with_generator(self.settings.encoder)

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
            dense=self.encoder if rebuild else self.encoder_of_live(),
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
        from indexing.sync.options import SyncOptions

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

    def search_session(
        self,
        *,
        mode: Mode | None = None,
        k: int | None = None,
        rerank: str | None = None,
        expand: str | None = None,
        follow: bool = True,
    ) -> OpenSearch:
        """Open the live index for searching; close it, or use it in a ``with``.

        Args:
            mode: ``sparse`` loads no model; None: as configured.
            k: Hits of a search that does not say; None: as configured.
            rerank: Second stage of a search that does not say; None: as configured.
            expand: Stage that widens the query of a search that does not say. A language model
                that every search asks shares the encoder's weights in memory.
            follow: Find what is newest before each search; False: stay with the present state, its
                access lists included, until `OpenSearch.refresh`.
        """
        configured = self.settings.search
        settings = replace(
            configured,
            k=configured.k if k is None else k,
            rerank=configured.rerank if rerank is None else rerank,
            expand=configured.expand if expand is None else expand,
        )
        shares = asks_language_model(settings) and not self.settings.stages.language_model
        return open_search(
            self.paths,
            settings=settings,
            access=self.settings.access,
            load_dense=partial(self.encoder_of, with_generator=shares),
            stages_for=self.stages_for,
            mode=mode,
            server=self.settings.server,
            follow=follow,
        )

    def retriever(self, **options: Any) -> "ArgotRetriever":  # noqa: ANN401 - as from_project
        """Make a LangChain retriever over the live index; see `ArgotRetriever.from_project`."""
        from retriever.langchain.retriever import ArgotRetriever

        follow = options.pop("follow", True)
        session = self.search_session(mode=options.pop("mode", None), follow=follow)
        return ArgotRetriever.over(session, **options)


def project_at(given: Project | str | Path) -> Project:
    """Give a project, or open the one in a folder.

    Raises:
        NoProjectError: the folder is no project.
    """
    return given if isinstance(given, Project) else Project.open(given)
