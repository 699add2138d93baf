"""What a project holds: versions, documents by source, failures, last runs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from argot.project import Project
from indexing.catalog.catalog import Catalog
from indexing.records import FailedDocument, Run, SourceSummary
from indexing.versions.description import list_versions, live_version

VersionLine = tuple[str, str | None, int | None]
"""Name, encoder's fingerprint, stored dimensions."""


@dataclass(frozen=True, slots=True)
class Status:
    """A project at one moment."""

    live: str | None
    versions: tuple[VersionLine, ...]
    sources: tuple[SourceSummary, ...]
    failures: tuple[FailedDocument, ...]
    runs: tuple[Run, ...]
    """The last of each source."""

    configured: tuple[str, ...] = ()
    """Names of the sources in argot.toml; what other sources hold stays indexed."""

    def to_json(self) -> dict[str, Any]:
        """The form of `argot status --json`."""
        return {
            "live": self.live,
            "versions": [
                {"name": name, "encoder": encoder, "dimensions": dimensions}
                for name, encoder, dimensions in self.versions
            ],
            "sources": [asdict(source) for source in self.sources],
            "failed": [
                {"source": f.source, "document": f.document_id, "reason": f.reason}
                for f in self.failures
            ],
            "runs": [{**asdict(run), "counts": dict(run.counts)} for run in self.runs],
        }


def read_status(project: Project) -> Status:
    """Read the state of a project; nothing is made that is not there."""
    live = live_version(project.paths.indexes)
    versions = tuple(
        (version.name, version.encoder, version.dimensions)
        for version in list_versions(project.paths.indexes)
    )
    configured = tuple(source.name for source in project.settings.sources)
    url = project.settings.catalog.url
    own_catalog = Path(project.paths.state / "catalog.sqlite")
    if live is None or (not url and not own_catalog.is_file()):
        return Status(live, versions, (), (), (), configured)
    with Catalog(project.paths.catalog_url(url)) as catalog:
        sources = tuple(catalog.summary(version=live))
        runs: dict[str, Run] = {}
        for run in catalog.last_runs(version=live, limit=20 * max(len(sources), 1)):
            runs.setdefault(run.source, run)
        failures = tuple(catalog.failures(version=live))
        return Status(live, versions, sources, failures, tuple(runs.values()), configured)
