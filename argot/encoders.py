"""Encoders by name or path, and the loading of the one a project uses."""

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argot.errors import SettingsError
from argot.paths import ProjectPaths
from argot.settings import EncoderChoice
from encoder.directory import read_any_spec
from encoder.spec import EncoderSpec

if TYPE_CHECKING:
    from encoder.llm2vec import LLM2VecEncoder
    from encoder.shared_weights import EncoderWithGenerator

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class NamedEncoder:
    """An encoder of the project."""

    name: str
    folder: Path
    spec: EncoderSpec


def check_name(name: str) -> str:
    """Refuse a name that is no plain folder name.

    Raises:
        SettingsError: it has other characters, or could lead out of the folder of encoders.
    """
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"an encoder's name must be letters, digits, dots and hyphens; got {name!r}"
        )
    return name


def list_encoders(paths: ProjectPaths) -> list[NamedEncoder]:
    """Read the project's encoders, by name; half-written ones do not count."""
    if not paths.encoders.is_dir():
        return []
    return [
        NamedEncoder(folder.name, folder, read_any_spec(folder))
        for folder in sorted(paths.encoders.iterdir())
        if folder.is_dir() and NAME.fullmatch(folder.name)
    ]


def find_encoder(model: str, paths: ProjectPaths | None) -> Path:
    """Resolve what the user calls an encoder: a name of the project's, or a folder.

    Args:
        model: Name, or path; a relative one starts at the project's folder, else at the current
            one.
        paths: The project; None outside of one.

    Raises:
        SettingsError: there is neither.
    """
    if paths is not None and NAME.fullmatch(model) and (paths.encoders / model).is_dir():
        return paths.encoders / model
    path = Path(model).expanduser()
    places = [paths.root / path, path] if paths is not None else [path]
    for place in places:
        if place.exists():
            return place
    names = [encoder.name for encoder in list_encoders(paths)] if paths is not None else []
    known = f"; encoders here: {', '.join(names)}" if names else ""
    raise SettingsError(
        f"`model` must be the name of an encoder or a model folder; {model!r} is neither{known}\n"
        "hint: `argot encoders list` shows the names"
    )


def load_encoder(choice: EncoderChoice, paths: ProjectPaths | None) -> "LLM2VecEncoder | None":
    """Load the encoder a project has chosen; None when it has chosen none. Loads torch.

    Raises:
        SettingsError: the model is not there, torch is not installed, or a setting is wrong. Also
            what loading raises.
    """
    if not choice.model:
        return None
    folder = find_encoder(choice.model, paths)
    with errors_of_settings(), without_garbage_collection():
        from encoder.llm2vec import LLM2VecEncoder

        return LLM2VecEncoder.load(folder, **encoder_options(choice))


def load_encoder_with_generator(
    choice: EncoderChoice, paths: ProjectPaths | None
) -> "EncoderWithGenerator":
    """Load the encoder a project has chosen, and its base model as a generator. Loads torch.

    Raises:
        SettingsError: no model is chosen. Also what `load_encoder` raises.
    """
    if not choice.model:
        raise SettingsError(
            "a generator needs a model; [encoder] names none\n"
            "hint: set `model` to an encoder of the project or a decoder checkpoint"
        )
    folder = find_encoder(choice.model, paths)
    with errors_of_settings(), without_garbage_collection():
        from encoder.shared_weights import load_with_generator

        return load_with_generator(folder, **encoder_options(choice))


def encoder_options(choice: EncoderChoice) -> dict[str, Any]:
    """Name what a project says about its encoder as loading takes it."""
    return {
        "causal": choice.causal,
        "pooling": choice.pooling,
        "query_instruction": choice.query_instruction,
        "document_instruction": choice.document_instruction,
        "max_tokens": choice.max_tokens,
        "dtype": choice.dtype,
        "device": choice.device,
        "attention": choice.attention,
        "token_budget": choice.token_budget,
    }


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Make many objects that all stay, such as modules and a model, a fifth faster."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def errors_of_settings(*, table: str = "[encoder]") -> Iterator[None]:
    """Turn what a wrong setting or a missing library raises into what the user can act on.

    Args:
        table: Where the setting is.

    Raises:
        SettingsError: in place of it.
    """
    try:
        yield
    except ImportError as exc:
        raise SettingsError(
            f"using a model needs torch and transformers: {exc}\n"
            "hint: pip install 'argot-search[encode]', or search by words: --mode sparse"
        ) from exc
    except (ValueError, RuntimeError) as exc:  # torch: no such device, not enough memory
        raise SettingsError(f"{table}: {exc}") from exc
