"""Which encoder an index version is opened with.

A version remembers what was said about its encoder when it was made, and a switch between versions
notes what `[encoder]` said at that time. So the encoder changes together with the version, in one
rename, whatever argot.toml says; and whoever changes `[encoder]` afterwards is taken at their word,
and refused where that is not the version's encoder.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from argot.settings import EncoderChoice
from indexing.versions.description import IndexVersion, live_record

VECTOR_SETTINGS = (
    "model",
    "causal",
    "pooling",
    "query_instruction",
    "document_instruction",
    "max_tokens",
)
"""Fields of `EncoderChoice` that decide a vector; the others fit it to the hardware."""


def vector_settings(choice: EncoderChoice) -> dict[str, Any]:
    """Name what is said about the vectors, plain JSON."""
    return {name: value for name, value in asdict(choice).items() if name in VECTOR_SETTINGS}


def with_model(choice: EncoderChoice, model: str) -> EncoderChoice:
    """Choose another model on the same hardware, as that model's own settings say."""
    if model == choice.model:
        return choice
    hardware = {n: value for n, value in asdict(choice).items() if n not in VECTOR_SETTINGS}
    return EncoderChoice(**hardware, model=model)


def encoder_choice(
    version: IndexVersion, *, configured: EncoderChoice, indexes: Path
) -> EncoderChoice:
    """Choose the encoder to open a version with.

    Args:
        version: The version.
        configured: What `[encoder]` says today.
        indexes: The folder of all versions.

    Returns:
        The version's own, unless it is live and `[encoder]` was changed since it went live: then
        what that says, which must be the same encoder.
    """
    live = live_record(indexes)
    is_live = live is not None and live.name == version.name
    changed = is_live and (live is None or live.configured != vector_settings(configured))
    if changed or not version.encoder_settings:
        return configured
    return replace(configured, **version.encoder_settings)
