"""What `argot doctor` looks at: one function for each subject, each giving findings."""

import importlib.util
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np

from argot import __version__
from argot.encoders import find_encoder
from argot.errors import ArgotError, NoProjectError
from argot.project import Project
from connectors.errors import ConnectorError
from encoder.base import SparseVector
from encoder.errors import EncoderError
from indexing.errors import IndexingError
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.edge import EdgeStore
from indexing.stores.server_settings import ServerSettings
from indexing.versions.description import live_version
from indexing.versions.placement import connect_to

State = Literal["ok", "absent", "wrong"]

REQUIRED = (
    "qdrant-edge-py",
    "safetensors",
    "sqlalchemy",
    "langchain-core",
    "pypdfium2",
    "python-docx",
    "selectolax",
)
OPTIONAL = {
    "torch": "encode",
    "transformers": "encode",
    "peft": "train",
    "gguf": "train",
    "matplotlib": "plots",
    "qdrant-client": "server",
    "flash-attn": "flash",
}
"""Package to the extra that brings it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: State
    detail: str

    def to_json(self) -> dict[str, str]:
        """The form of `argot doctor --json`."""
        return asdict(self)


def diagnose(folder: Path) -> list[Finding]:
    """Look at the installation, and at the project in a folder where there is one."""
    findings = [*look_at_packages(), *look_at_hardware(), look_at_engine()]
    try:
        project = Project.open(folder)
    except NoProjectError:
        return [*findings, Finding("project", "absent", f"no argot.toml in {folder.resolve()}")]
    except ArgotError as error:
        return [*findings, Finding("project", "wrong", str(error))]
    return [*findings, *look_at_project(project)]


def look_at_packages() -> Iterator[Finding]:
    """Versions of what Argot runs on."""
    yield Finding("argot", "ok", f"{__version__}, Python {platform.python_version()}")
    for package in REQUIRED:
        found = installed(package)
        yield Finding(package, "ok" if found else "wrong", found or "missing; install Argot again")
    for package, extra in OPTIONAL.items():
        found = installed(package)
        hint = f"not installed; pip install 'argot-search[{extra}]'"
        yield Finding(package, "ok" if found else "absent", found or hint)


def installed(package: str) -> str | None:
    """Version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def look_at_hardware() -> Iterator[Finding]:
    """What the model would compute on; torch is loaded when it is there."""
    yield Finding("processors", "ok", str(os.cpu_count()))
    if importlib.util.find_spec("torch") is None or installed("transformers") is None:
        yield Finding("device", "absent", "no torch: search by words only")
        return
    from encoder.hardware import choose_attention, choose_device, choose_dtype

    device = choose_device()
    dtype = str(choose_dtype(device)).removeprefix("torch.")
    attention = (
        choose_attention(device, dtype=choose_dtype(device))
        or "sdpa where the model has it, else eager"
    )
    yield Finding("device", "ok", f"{device}, computes in {dtype}, attention: {attention}")


def look_at_engine() -> Finding:
    """Make a collection, write a point and find it."""
    try:
        with tempfile.TemporaryDirectory(prefix="argot-doctor-") as name:
            store = EdgeStore.create(Path(name) / "engine", spec=CollectionSpec(dimensions=4))
            vector = np.eye(1, 4, dtype=np.float32)[0]
            point = Point(
                id="00000000-0000-4000-8000-000000000001",
                dense=vector,
                sparse=SparseVector((1,), (1.0,)),
                payload={"document_id": "probe"},
            )
            store.upsert([point])
            found = store.search_dense(vector, limit=1)
            store.close()
    except (IndexingError, OSError) as error:
        return Finding("engine", "wrong", str(error))
    if [hit.id for hit in found] != [point.id]:
        return Finding("engine", "wrong", "a point that was written was not found again")
    return Finding("engine", "ok", "Qdrant Edge writes and finds a point")


def look_at_project(project: Project) -> Iterator[Finding]:
    """Settings, folders, model and index of a project."""
    yield Finding("project", "ok", str(project.paths.root))
    yield look_at_folder(project.paths.root)
    for source in project.settings.sources:
        state: State = "ok" if source.path.exists() else "wrong"
        missing = "" if state == "ok" else " does not exist"
        yield Finding(f"source {source.name}", state, f"{source.path}{missing}")
    yield look_at_model(project)
    yield look_at_server(project.settings.server)
    try:
        live = live_version(project.paths.indexes)
        detail = live or "nothing is indexed yet; `argot ingest`"
        yield Finding("index", "ok" if live else "absent", detail)
    except (IndexingError, ConnectorError) as error:
        yield Finding("index", "wrong", str(error))


def look_at_server(server: ServerSettings) -> Finding:
    """Ask the server for its version, with the key."""
    if not server.url:
        return Finding("server", "absent", "[index] names none: the index is embedded")
    try:
        with connect_to(server, purpose="look at the server") as connection:
            from indexing.stores.server_connection import check_server

            version = check_server(connection)
    except IndexingError as error:
        return Finding("server", "wrong", str(error))
    open_to_all = "" if server.api_key else "; it asks for no key, so whoever reaches it can write"
    return Finding("server", "ok", f"Qdrant {version} at {server.url}{open_to_all}")


def look_at_folder(folder: Path) -> Finding:
    """Whether the project's folder can be written to."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".argot-doctor-"):
            return Finding("folder", "ok", f"{folder} can be written to")
    except OSError as error:
        return Finding("folder", "wrong", f"{folder} must be writable: {error}")


def look_at_model(project: Project) -> Finding:
    """Load the encoder, which proves that its attention is bidirectional, and encode a word."""
    choice = project.settings.encoder
    if not choice.model:
        return Finding("model", "absent", "[encoder] names none: the index is searched by words")
    try:
        folder = find_encoder(choice.model, project.paths)
        if installed("torch") is None:
            return Finding(
                "model", "wrong", f"{folder} needs torch: pip install 'argot-search[encode]'"
            )
        encoder = project.encoder
        vector = encoder.encode_queries(["word"]) if encoder is not None else np.zeros(1)
    except (ArgotError, EncoderError) as error:
        return Finding("model", "wrong", str(error))
    if encoder is None or not np.isfinite(vector).all():
        return Finding("model", "wrong", f"{folder} gives vectors that are not finite")
    computes = getattr(encoder, "compute", "")
    return Finding(
        "model",
        "ok",
        f"{folder}, {encoder.dimensions} dimensions, {encoder.fingerprint[:12]}, {computes}",
    )
