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
    def catalog_url(self) -> str:
        """SQLAlchemy URL of the project's own catalog."""
        return f"sqlite:///{self.state / 'catalog.sqlite'}"
