"""Encoder directories on disk: read either form, write the adapter form. No torch.

An encoder directory is immutable: it is written aside and renamed into place, and never over
another.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from encoder.errors import ModelFolderError
from encoder.spec import (
    SPEC_FILE,
    TOKENIZER_FILES,
    AdapterEntry,
    EncoderSpec,
    EncodingSettings,
    digest_files,
    digest_tokenizer,
    digest_weights,
    read_spec,
    write_spec,
)

ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")
WIDTH_NAMES = ("word_embed_proj_dim", "hidden_size", "n_embd", "d_model")
"""What architectures call the width of their states."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Where an encoder's parts lie."""

    model: Path
    adapters: tuple[Path, ...]
    tokenizer: Path


def check_checkpoint(folder: Path) -> None:
    """Refuse what is no checkpoint folder, and weights that could run code.

    Raises:
        ModelFolderError: with what is missing.
    """
    if folder.is_file() and folder.suffix == ".gguf":
        raise ModelFolderError(
            f"a model must be a checkpoint folder; got the GGUF file {folder}\n"
            "hint: `argot init --model FILE.gguf` imports it once"
        )
    if not folder.is_dir():
        raise ModelFolderError(f"a model must be a folder; {folder} is not one")
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise ModelFolderError(
                f"a model folder must hold config.json; {folder} is an adapter without its base"
            )
        raise ModelFolderError(f"a model folder must hold config.json; {folder} has none")
    if not any(folder.glob("*.safetensors")):
        pickles = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]
        found = "only pickled weights, which can run code" if pickles else "none"
        raise ModelFolderError(f"a model folder must hold *.safetensors; {folder} has {found}")


def read_any_spec(folder: Path) -> EncoderSpec:
    """Read the spec of an encoder directory, or make that of a plain checkpoint.

    Raises:
        ModelFolderError: the folder is neither.
    """
    if (folder / SPEC_FILE).is_file():
        return read_spec(folder)
    return checkpoint_spec(folder)


def checkpoint_spec(folder: Path) -> EncoderSpec:
    """Describe a plain decoder checkpoint as an encoder with mean pooling and no adapters.

    Raises:
        ModelFolderError: it is no checkpoint, or its config.json can't be read.
    """
    check_checkpoint(folder)
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        text_config = config.get("text_config", config)
        width = next(text_config[name] for name in WIDTH_NAMES if name in text_config)
        model_type = config["model_type"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError, StopIteration) as exc:
        raise ModelFolderError(f"{path} must describe a decoder; it does not: {exc!r}") from exc
    return EncoderSpec(
        settings=EncodingSettings(),
        dimensions=int(width),
        model_type=str(model_type),
        base_digest=digest_weights(folder),
        tokenizer_digest=digest_tokenizer(folder),
    )


def weights_folder(folder: Path, spec: EncoderSpec, *, base: Path | None = None) -> Weights:
    """Find an encoder's parts, and check that they are those the spec was made of.

    Args:
        folder: The encoder.
        spec: What it is.
        base: Where its base model lies now; None: where the spec says. Adapter form only.

    Raises:
        ModelFolderError: a part is missing or was changed since, or there is no base to name.
    """
    if base is not None and spec.form != "adapter":
        raise ModelFolderError(
            f"a base model is named for an encoder in adapter form; {folder} is {spec.form}"
        )
    if spec.form == "checkpoint":
        return Weights(model=folder, adapters=(), tokenizer=folder)
    _expect(digest_tokenizer(folder), spec.tokenizer_digest, what=f"the tokenizer in {folder}")
    if spec.form == "merged":
        _expect(digest_weights(folder), spec.weights_digest, what=f"the weights in {folder}")
        return Weights(model=folder, adapters=(), tokenizer=folder)
    base = (base or folder / spec.base_path).resolve()
    if not base.is_dir():
        raise ModelFolderError(
            f"the base model of {folder} must be at {base}, where there is no folder\n"
            "hint: move it back, or say where it is: "
            f"`argot encoders export {folder} --adapter DIR --base FOLDER`"
        )
    _expect(digest_weights(base), spec.base_digest, what=f"the base model {base}")
    if is_summed(spec):
        _expect(digest_adapter(folder), spec.weights_digest, what=f"the adapter {folder}")
        return Weights(model=base, adapters=(folder,), tokenizer=folder)
    adapters = tuple(
        adapter_folder(folder, position, entry.name) for position, entry in enumerate(spec.adapters)
    )
    for path, entry in zip(adapters, spec.adapters, strict=True):
        _expect(digest_adapter(path), entry.digest, what=f"the adapter {path}")
    return Weights(model=base, adapters=adapters, tokenizer=folder)


def write_adapter_encoder(
    target: Path,
    *,
    base: Path,
    adapters: Sequence[tuple[str, Path]],
    settings: EncodingSettings,
    lineage: Mapping[str, Any],
) -> EncoderSpec:
    """Write an encoder directory in adapter form, bound to its base model by path and digest.

    Args:
        target: Must not exist.
        base: The checkpoint the first adapter was trained on, or an encoder directory whose stack
            is continued.
        adapters: Stage name and adapter directory, in the order they were trained.
        settings: How its states become a vector.
        lineage: How it was made; plain JSON values.

    Returns:
        The spec that was written.

    Raises:
        ModelFolderError: the target exists, or a part can't be read.
    """
    base_spec = read_any_spec(base)
    base_weights = weights_folder(base, base_spec)
    stack = [*zip(adapter_names(base_spec), base_weights.adapters, strict=True), *adapters]
    entries = tuple(
        AdapterEntry(name=name, digest=digest_adapter(folder)) for name, folder in stack
    )
    spec = replace(
        base_spec,
        settings=settings,
        form="adapter",
        base_path=relative_path(base_weights.model, target),
        base_digest=(
            base_spec.weights_digest if base_spec.form == "merged" else base_spec.base_digest
        ),
        adapters=entries,
        weights_digest="",
        lineage=lineage,
    )

    def fill(folder: Path) -> None:
        for position, (name, adapter) in enumerate(stack):
            place = adapter_folder(folder, position, name)
            place.mkdir(parents=True)
            for file in ADAPTER_FILES:
                shutil.copyfile(adapter / file, place / file)
        copy_tokenizer(base_weights.tokenizer, folder)
        write_spec(folder, spec)

    write_directory(target, fill)
    return spec


def is_summed(spec: EncoderSpec) -> bool:
    """Tell whether an encoder in adapter form holds its stack as one adapter, beside the spec."""
    return spec.form == "adapter" and bool(spec.weights_digest)


def adapter_names(spec: EncoderSpec) -> list[str]:
    """Name the adapters that an encoder's directory holds; merged ones are in its weights."""
    names = [entry.name for entry in spec.adapters]
    if is_summed(spec):
        return ["-".join(names)]
    return names if spec.form == "adapter" else []


def write_directory(target: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write a directory aside, then rename it to ``target``.

    Raises:
        ModelFolderError: the target exists.
    """
    if target.exists():
        raise ModelFolderError(f"an encoder is never overwritten; {target} exists already")
    aside = target.with_name(f".{target.name}.writing-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        fill(aside)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy a tokenizer's files."""
    for name in (*TOKENIZER_FILES, "chat_template.jinja"):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def adapter_folder(folder: Path, position: int, name: str) -> Path:
    """Where the adapter at a position of the stack lies in an encoder directory."""
    return folder / "adapters" / f"{position + 1}-{name}"


def digest_adapter(folder: Path) -> str:
    """Hash an adapter's weights and configuration.

    Raises:
        ModelFolderError: the folder is no adapter.
    """
    if not all((folder / name).is_file() for name in ADAPTER_FILES):
        raise ModelFolderError(
            f"an adapter must hold {', '.join(ADAPTER_FILES)}; {folder} does not"
        )
    return digest_files([folder / name for name in ADAPTER_FILES])


def relative_path(path: Path, start: Path) -> str:
    """Write a path so that a project that is moved whole still finds it."""
    return os.path.relpath(path.resolve(), start.resolve())


def _expect(found: str, recorded: str, *, what: str) -> None:
    if found != recorded:
        raise ModelFolderError(
            f"{what} must be what the encoder was made with ({recorded[:12]}); it is {found[:12]}\n"
            "hint: an encoder's parts are immutable; adapt again to make a new encoder"
        )
