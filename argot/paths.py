"""Where a project keeps things."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProjectPaths:
    """The folders of a project; none of them needs to exist."""

    root: Path
    """Folder with argot.toml."""

    @property
    def state(self) -> Path:
        """Everything Argot makes."""
        return self.root / ".argot"

    @property
    def encoders(self) -> Path:
        """One folder for each encoder, by name."""
        return self.state / "encoders"

    @property
    def indexes(self) -> Path:
        """One folder for each index version, by name."""
        return self.state / "indexes"

    @property
    def runs(self) -> Path:
        """One folder for each training run."""
        return self.state / "runs"

    @property
    def ingest_lock(self) -> Path:
        """Held while a project is ingested."""
        return self.state / "ingest.lock"

    @property
    def build_lock(self) -> Path:
        """Held while index versions are built or removed."""
        return self.state / "build.lock"

    def catalog_url(self, configured: str) -> str:
        """SQLAlchemy URL of the catalog: as configured, relative SQLite files from the project."""
        file = configured.removeprefix("sqlite:///")
        if not configured:
            return f"sqlite:///{self.state / 'catalog.sqlite'}"
        if file != configured and file != ":memory:" and not file.startswith("/"):
            return f"sqlite:///{self.root / file}"
        return configured

    def make_state(self) -> None:
        """Make the folder of everything Argot makes, for its owner alone: it holds texts."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
