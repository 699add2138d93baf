"""Encoders to measure: the user's own, and those it is measured against.

A decoder is loaded as ever; a sentence-transformers folder and a BERT-like one by that library.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from argot.encoders import encoder_options, find_encoder, without_garbage_collection
from argot.errors import SettingsError
from argot.paths import ProjectPaths
from argot.settings import EncoderChoice, toml_value
from argot.typed import build
from encoder.base import DenseEncoder

SENTENCE_OPTIONS = {"query_instruction", "document_instruction", "max_tokens", "dtype", "device"}
FLAGS = ("causal", "echo")


@dataclass(frozen=True, slots=True)
class Measurable:
    """An encoder as the user names it, and how it is to be loaded."""

    label: str
    """As written."""

    choice: EncoderChoice
    echo: bool = False
    """Read each text twice and pool the second copy."""


def parse_measurable(text: str, *, common: EncoderChoice, echo: bool = False) -> Measurable:
    """Read ``NAME_OR_FOLDER[,causal][,echo][,KEY=VALUE...]``.

    Args:
        text: As on the command line; keys are those of ``[encoder]``.
        common: What the other options ask of every encoder.
        echo: Whether every encoder is to read its texts twice.

    Raises:
        SettingsError: a key is unknown, or a value wrong.
    """
    model, *options = [text] if Path(text).exists() else text.split(",")
    own: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals and key not in FLAGS:
            raise SettingsError(
                f"--encoder {text}: {key!r} must be KEY=VALUE, `causal` or `echo`\n"
                "hint: a folder with a comma in its name must exist as it is written"
            )
        own[key] = toml_value(value) if equals else True
    echo = bool(own.pop("echo", echo))
    asked = build(EncoderChoice, {**own, "model": model}, where=f"--encoder {text}")
    return Measurable(text, replace(common, **given(asked)), echo)


def given(choice: EncoderChoice) -> dict[str, Any]:
    """The fields of a choice that are set."""
    return {
        field.name: value
        for field in fields(choice)
        if (value := getattr(choice, field.name)) not in (None, "") or field.name == "model"
    }


def load_measurable(wanted: Measurable, paths: ProjectPaths | None) -> DenseEncoder:
    """Load an encoder of any of the kinds. Loads torch.

    Raises:
        SettingsError: there is no such folder, a package is missing, or an option does not fit.
            Also what loading raises.
    """
    folder = find_encoder(wanted.choice.model, paths)
    with without_garbage_collection():
        try:
            return _load(folder, wanted)
        except ImportError as exc:
            extra = "compare" if "sentence" in str(exc) else "encode"
            raise SettingsError(
                f"loading {folder} needs a package: {exc}\n"
                f"hint: pip install 'argot-search[{extra}]'"
            ) from exc
        except (ValueError, RuntimeError) as exc:  # torch: no such device, not enough memory
            raise SettingsError(f"--encoder {wanted.label}: {exc}") from exc


def _load(folder: Path, wanted: Measurable) -> DenseEncoder:
    from encoder.sentence_folder import is_sentence_encoder

    options = encoder_options(wanted.choice)
    if is_sentence_encoder(folder):
        from encoder.sentence_encoder import SentenceEncoder

        return SentenceEncoder.load(folder, **_fitting(options, wanted))
    if wanted.echo:
        from encoder.echo import EchoEncoder

        causal = True if options["causal"] is None else options["causal"]
        return EchoEncoder.load(folder, **{**options, "causal": causal})
    from encoder.words import DecoderWordEncoder

    return DecoderWordEncoder.load(folder, **options)


def _fitting(options: Mapping[str, Any], wanted: Measurable) -> dict[str, Any]:
    """Refuse what a model that sees both sides and pools as it says can't be asked.

    Raises:
        SettingsError: naming the first.
    """
    asked = {name: value for name, value in options.items() if value is not None}
    ignored = [*(["echo"] if wanted.echo else []), *sorted(asked.keys() - SENTENCE_OPTIONS)]
    if ignored:
        raise SettingsError(
            f"`{ignored[0]}` is for decoders; {wanted.label} is a sentence-transformers or "
            "BERT-like folder and is loaded as it says\n"
            "hint: ask it of one encoder alone: --encoder FOLDER,causal --encoder OTHER"
        )
    return asked
