"""`argot.toml` and the environment to typed settings. No torch."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from argot.errors import NoProjectError, SettingsError
from argot.stage_settings import StageSettings, check_stage_names
from argot.typed import build, check_known, convert
from connectors.registry import SourceSettings
from encoder.bm25 import Bm25Settings
from indexing.chunks.chunking import ChunkSettings
from indexing.reduction.settings import (
    ProjectionKind,
    Quantization,
    ReductionSettings,
    Storage,
)
from indexing.stores.server_settings import ServerSettings
from retriever.access import AccessSettings
from retriever.answering.settings import AnswerSettings
from retriever.settings import SearchSettings

FILE = "argot.toml"
PREFIX = "ARGOT_"
TABLES = (
    *("encoder", "sources", "chunks", "index", "search", "stages", "ask"),
    *("access", "catalog", "adapt"),
)
HANDED_OVER = "langchain"
"""Source of the documents that programs put into the index; none in argot.toml has its name."""

SOURCE_KEYS = ("name", "path", "type", "protected")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """Table ``[encoder]``: which model encodes, and how. None keeps what the encoder says."""

    model: str = ""
    """Name in ``.argot/encoders``, or folder of a decoder or encoder; empty: search by words
    only."""

    base: str = ""
    """Folder of the decoder that ``argot adapt`` starts from; empty: ``model``."""

    pooling: str | None = None
    query_instruction: str | None = None
    document_instruction: str | None = None
    max_tokens: int | None = None
    causal: bool | None = None
    dtype: str | None = None
    """``float32``, ``bfloat16`` or ``float16``; None: what the hardware does best."""

    device: str | None = None
    """A torch device such as ``cuda:1``; None: the first GPU, else the CPU."""

    attention: str | None = None
    """``sdpa``, ``eager`` or ``flash_attention_2``; None: what hardware and model do best."""

    token_budget: int | None = None
    """Padded tokens of one batch, at most; None: what suits the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexChoice:
    """Table ``[index]``: what is stored. It takes effect in the next index version."""

    dimensions: int | None = None
    """Keep that many of each vector; None keeps all."""

    projection: ProjectionKind = "none"
    """``svd``, ``pca`` or ``whitening``, fitted on the corpus: the first dimensions hold most."""

    storage: Storage = "f32"
    """Bytes of a stored dimension: 4, 2 with ``f16`` or ``turbo16``, 1 with ``turbo8``."""

    quantization: Quantization = "none"
    """Smaller codes that a search begins with: ``int8``, ``tq4``, ``tq2``, ``tq1``, ``binary`` or
    ``product``."""

    two_stage: int | None = None
    """A search begins with the first so many dimensions; None: with all."""

    oversampling: float = 3.0
    """Candidates of codes or of the first stage for each one wanted."""

    language: str = "english"
    """For stop words and stems; ``none`` where it is unknown or mixed."""

    k1: float = 0.9
    """BM25: how fast repeating a term stops helping."""

    b: float = 0.4
    """BM25: share of length normalisation."""

    max_delete_fraction: float = 0.2
    """A run that would remove a larger share of a source is refused, in [0, 1]."""

    def __post_init__(self) -> None:
        # The same checks as when the index is made, but before anything is read.
        _ = self.reduction
        Bm25Settings(language=self.language, k1=self.k1, b=self.b)
        if not 0 <= self.max_delete_fraction <= 1:
            raise ValueError(
                f"`max_delete_fraction` must be in [0, 1]; got {self.max_delete_fraction}"
            )

    @property
    def reduction(self) -> ReductionSettings:
        """How vectors are made smaller."""
        return ReductionSettings(
            **{field.name: getattr(self, field.name) for field in fields(ReductionSettings)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogChoice:
    """Table ``[catalog]``."""

    url: str = field(default="", repr=False)  # it may hold a password
    """A SQLAlchemy URL; empty: SQLite in ``.argot/catalog.sqlite``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSettings:
    """Everything a project says, checked."""

    encoder: EncoderChoice = field(default_factory=EncoderChoice)
    sources: tuple[SourceSettings, ...] = ()
    chunks: ChunkSettings = field(default_factory=ChunkSettings)
    index: IndexChoice = field(default_factory=IndexChoice)
    server: ServerSettings = field(default_factory=ServerSettings)
    """The part of table ``[index]`` that says where the index is."""

    search: SearchSettings = field(default_factory=SearchSettings)
    stages: StageSettings = field(default_factory=StageSettings)
    ask: AnswerSettings = field(default_factory=AnswerSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    catalog: CatalogChoice = field(default_factory=CatalogChoice)
    adapt: Mapping[str, Any] = field(default_factory=dict)
    """Table ``[adapt]`` as written; the training package checks it."""


def load_settings(root: Path, *, environment: Mapping[str, str] = os.environ) -> ProjectSettings:
    """Read a project's settings; a variable such as ``ARGOT_SEARCH__K=5`` overrides the file.

    Args:
        root: Folder with argot.toml.
        environment: Variables.

    Raises:
        NoProjectError: there is no argot.toml.
        SettingsError: it can't be read, or a setting is unknown or wrong.
    """
    path = root / FILE
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise NoProjectError(
            f"a project is a folder with {FILE}; {root} has none\nhint: `argot init` makes one"
        ) from exc
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SettingsError(f"{path}: {exc}") from exc
    check_known(tables, TABLES, where=str(path))
    for name, value in tables.items():
        if not isinstance(value, list if name == "sources" else dict):
            shape = "a list of tables `[[sources]]`" if name == "sources" else f"a table `[{name}]`"
            # Not the value: it may be a URL with a password.
            raise SettingsError(f"{path}: `{name}` must be {shape}; got {type(value).__name__}")
    return parse_settings(with_environment(tables, environment), root=root)


def parse_settings(tables: Mapping[str, Any], *, root: Path) -> ProjectSettings:
    """Check every table.

    Raises:
        SettingsError: a setting is unknown or wrong.
    """
    sources = tuple(parse_source(entry, root=root) for entry in tables.get("sources", []))
    names = [source.name for source in sources]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SettingsError(f"[[sources]] names must be unique; {repeated[0]!r} is there twice")
    index, server = _split_index(tables.get("index", {}), root=root)
    search = build(SearchSettings, tables.get("search", {}), where="[search]")
    check_stage_names(search)
    return ProjectSettings(
        encoder=build(EncoderChoice, tables.get("encoder", {}), where="[encoder]"),
        sources=sources,
        chunks=build(ChunkSettings, tables.get("chunks", {}), where="[chunks]"),
        index=build(IndexChoice, index, where="[index]"),
        server=build(ServerSettings, server, where="[index]"),
        search=search,
        stages=build(StageSettings, tables.get("stages", {}), where="[stages]"),
        ask=build(AnswerSettings, tables.get("ask", {}), where="[ask]"),
        access=build(AccessSettings, tables.get("access", {}), where="[access]"),
        catalog=build(CatalogChoice, tables.get("catalog", {}), where="[catalog]"),
        adapt=tables.get("adapt", {}),
    )


def _split_index(table: Mapping[str, Any], *, root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part what is stored from where it is; a relative path is one from the project."""
    of_server = [field.name for field in fields(ServerSettings)]
    check_known(
        table, [*(field.name for field in fields(IndexChoice)), *of_server], where="[index]"
    )
    server = {name: value for name, value in table.items() if name in of_server}
    if isinstance(server.get("ca_file"), str) and server["ca_file"]:
        server["ca_file"] = str(root / Path(server["ca_file"]).expanduser())
    return {name: value for name, value in table.items() if name not in server}, server


def parse_source(entry: Any, *, root: Path) -> SourceSettings:  # noqa: ANN401 - TOML gives any value
    """Check one entry of ``[[sources]]``; its path is relative to the project.

    Raises:
        SettingsError: the name or the path is missing or wrong.
    """
    if not isinstance(entry, dict):
        raise SettingsError(f"[[sources]] must be tables; got {entry!r}")
    for key in ("name", "path"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise SettingsError(f"[[sources]] needs `{key}`, a text; got {entry.get(key)!r}")
    if entry["name"] == HANDED_OVER:
        raise SettingsError(
            f"[[sources]] `name` must not be {HANDED_OVER!r}: that is the source of documents that "
            "programs put into the index, which a sync would delete"
        )
    protected = convert(entry.get("protected", False), bool, where="[[sources]] protected")
    kind = entry.get("type")
    if kind is not None and not isinstance(kind, str):
        raise SettingsError(f"[[sources]] `type` must be a text; got {kind!r}")
    return SourceSettings(
        name=entry["name"],
        path=root / Path(entry["path"]).expanduser(),
        type=kind,
        protected=protected,
        options={key: value for key, value in entry.items() if key not in SOURCE_KEYS},
    )


def with_environment(tables: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Lay variables ``ARGOT_TABLE__KEY`` over the tables of the file.

    Raises:
        SettingsError: a variable names no table.
    """
    merged: dict[str, Any] = {
        name: dict(table) if isinstance(table, dict) else table for name, table in tables.items()
    }
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        table, *path = variable.removeprefix(PREFIX).lower().split("__")
        check_known([table], [name for name in TABLES if name != "sources"], where=variable)
        place = merged.setdefault(table, {})
        for key in path[:-1]:
            place[key] = dict(place.get(key, {}))
            place = place[key]
        # A key of digits only is text all the same.
        text = environment[variable]
        place[path[-1]] = text if path[-1] == "api_key" else toml_value(text)
    return merged


def toml_value(text: str) -> Any:  # noqa: ANN401 - that is what TOML gives
    """Read a variable as TOML would; what is no TOML value is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
