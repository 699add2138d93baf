"""What an encoder is: `encoder.json` and the fingerprint that binds an index to it. No torch."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from encoder.errors import ModelFolderError

SPEC_FILE = "encoder.json"
SCHEMA_VERSION = 1
POOLINGS = ("mean", "weighted_mean", "last_token")
FORMS = ("checkpoint", "adapter", "merged")
VOCABULARY_FILES = (
    "tokenizer.json",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
TOKENIZER_FILES = (
    *VOCABULARY_FILES,
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingSettings:
    """How a decoder's states become one vector."""

    pooling: str = "mean"
    """``mean``, ``weighted_mean`` or ``last_token``."""

    query_instruction: str = ""
    """Read before each query and not pooled."""

    document_instruction: str = ""
    """Read before each document and not pooled."""

    max_tokens: int = 512
    """Tokens of instruction and text together; longer texts are cut and the cut is reported."""

    causal: bool = False
    """True leaves the decoder's attention as it was trained, for comparison."""

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(
                f"`pooling` must be one of {', '.join(POOLINGS)}; got {self.pooling!r}"
            )
        if self.max_tokens < 1:
            raise ValueError(f"`max_tokens` must be at least 1; got {self.max_tokens}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterEntry:
    """One adapter of the stack."""

    name: str
    """The stage that trained it."""

    digest: str
    """SHA-256 of its weights and its configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """Everything that decides a vector, the compute dtype excepted."""

    settings: EncodingSettings
    dimensions: int
    model_type: str
    base_digest: str
    """SHA-256 of the base model's weights and configuration."""

    tokenizer_digest: str
    form: str = "checkpoint"
    """``checkpoint``: a plain decoder folder; ``adapter``: base model by path, plus adapters;
    ``merged``: one model folder."""

    base_path: str = ""
    """Of the base model, absolute or relative to the encoder's folder; adapter form only."""

    adapters: tuple[AdapterEntry, ...] = ()
    """In the order they were trained; the same in both forms."""

    weights_digest: str = ""
    """SHA-256 of the folder's own weights: the merged form's, or those of the one adapter that a
    stack was summed into."""

    lineage: Mapping[str, Any] = field(default_factory=dict)
    """How it was made: stages with their settings, texts and losses."""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"`form` must be one of {', '.join(FORMS)}; got {self.form!r}")

    @property
    def fingerprint(self) -> str:
        """Hex digest that is equal for both forms of one encoder, and for nothing else."""
        identity = {
            "base": self.base_digest,
            "adapters": [adapter.digest for adapter in self.adapters],
            "tokenizer": self.tokenizer_digest,
            "settings": dataclasses.asdict(self.settings),
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def write_spec(folder: Path, spec: EncoderSpec) -> None:
    """Write ``encoder.json``."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": spec.fingerprint,
        **dataclasses.asdict(spec),
    }
    content["checksum"] = _checksum(content)
    (folder / SPEC_FILE).write_text(
        json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def read_spec(folder: Path) -> EncoderSpec:
    """Read ``encoder.json``.

    Raises:
        ModelFolderError: it is missing, of a later version, or was changed since it was written.
    """
    path = folder / SPEC_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("schema_version")
        recorded = content.pop("checksum")
        if version != SCHEMA_VERSION:
            raise ModelFolderError(
                f"{path} must have schema_version {SCHEMA_VERSION}; got {version}"
            )
        unchanged = recorded == _checksum({"schema_version": version, **content})
        content.pop("fingerprint")
        content["settings"] = EncodingSettings(**content["settings"])
        content["adapters"] = tuple(AdapterEntry(**entry) for entry in content["adapters"])
        spec = EncoderSpec(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ModelFolderError(f"{path} can't be read: {exc!r}") from exc
    if not unchanged:
        raise ModelFolderError(
            f"{path} must be as it was written, and its checksum says that it was changed since\n"
            "hint: encoder directories are immutable; make a new one"
        )
    return spec


def _checksum(content: Mapping[str, Any]) -> str:
    """Hash everything in ``encoder.json`` but the hash itself."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def digest_weights(folder: Path) -> str:
    """Hash a checkpoint's weights and its ``config.json``; about a second for each gigabyte."""
    return digest_files([*folder.glob("*.safetensors"), folder / "config.json"])


def digest_tokenizer(folder: Path) -> str:
    """Hash what decides how text becomes token ids."""
    return digest_files([folder / name for name in TOKENIZER_FILES if (folder / name).is_file()])


def digest_files(paths: list[Path]) -> str:
    """Hash files by name and content, whatever their order.

    Raises:
        ModelFolderError: a file can't be read.
    """
    total = hashlib.sha256()
    try:
        for path in sorted(paths, key=lambda path: path.name):
            with path.open("rb") as file:
                total.update(
                    f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
                )
    except OSError as exc:
        raise ModelFolderError(f"a model folder's files must be readable: {exc}") from exc
    return total.hexdigest()
