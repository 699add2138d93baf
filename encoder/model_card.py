"""The README.md of an exported encoder: what it is, how it was made, how to load it. No torch.

It holds settings and figures, never text: of a stage's settings only numbers and Argot's own words
are shown, so that no prompt, query or path can get into it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from encoder.model_card_loading import loading_sections
from encoder.spec import EncoderSpec

WORD_SETTINGS = ("masking", "schedule", "pooling", "targets", "mine", "pairs")
"""Settings of a stage whose values are words of Argot's own or names of layers."""

WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")

FORM_TEXT = {
    "merged": "merged: the adapters were added into the weights in float32, which were cast once",
    "adapter": "one LoRA adapter, the sum of all stages, beside its base model",
}


def write_model_card(folder: Path, spec: EncoderSpec, *, name: str, base_name: str) -> None:
    """Write ``README.md`` for the hub and for whoever gets the folder.

    Args:
        folder: Of the exported encoder.
        spec: What was exported, merged or as one adapter.
        name: What to call it.
        base_name: What its base model is called, without a path; empty where it is not known.
    """
    parts = [
        front_matter(spec, base_name=base_name),
        f"# {name}",
        introduction(spec, base_name=base_name),
        facts(spec, base_name=base_name),
        history(spec),
        loading_sections(spec, name=name, base_name=base_name or "base-model"),
    ]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def model_name(folder: Path) -> str:
    """Name a checkpoint by its folder, or by its repository in a Hugging Face cache."""
    folder = folder.resolve()
    repository = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.removeprefix("models--").replace("--", "/")
    return folder.name


def front_matter(spec: EncoderSpec, *, base_name: str) -> str:
    """Write the YAML that model hubs read; JSON strings are YAML, too."""
    merged = spec.form == "merged"
    lines = [
        "---",
        f"library_name: {'sentence-transformers' if merged else 'peft'}",
        "pipeline_tag: feature-extraction",
    ]
    if base_name:
        lines += [
            f"base_model: {json.dumps(base_name)}",
            f"base_model_relation: {'finetune' if merged else 'adapter'}",
        ]
    tags = ["argot", "llm2vec", "embeddings", "retrieval", spec.model_type]
    if merged:
        tags.append("sentence-transformers")
    return "\n".join([*lines, "tags:", *(f"- {json.dumps(tag)}" for tag in tags), "---"])


def introduction(spec: EncoderSpec, *, base_name: str) -> str:
    """Say in a sentence what the encoder is."""
    base = f"the decoder LLM {code(base_name)}" if base_name else "a decoder LLM"
    sight = (
        "whose tokens see the text before them"
        if spec.settings.causal
        else ("whose tokens see the whole text")
    )
    stages = len(spec.adapters)
    taught = f", adapted in {stages} stage{'s' * (stages > 1)}" if stages else ""
    return f"A text encoder for retrieval: {base}, {sight}{taught}. Made with Argot."


def facts(spec: EncoderSpec, *, base_name: str) -> str:
    """List what decides a vector."""
    settings = spec.settings
    base = f"{code(base_name)}, " if base_name else ""
    sight = (
        "causal (`is_causal: true`)" if settings.causal else "bidirectional (`is_causal: false`)"
    )
    rows = [
        ("form", FORM_TEXT[spec.form]),
        ("base model", f"{base}{spec.model_type}, SHA-256 of its weights {code(spec.base_digest)}"),
        ("attention", sight),
        ("vector", f"{spec.dimensions} dimensions, unit norm; compare by cosine"),
        ("pooling", f"{settings.pooling} over the text's tokens, without the instruction's"),
        ("instruction before a query", instruction(settings.query_instruction)),
        ("instruction before a document", instruction(settings.document_instruction)),
        ("longest text", f"{settings.max_tokens} tokens, instruction included"),
        (
            "fingerprint",
            f"{code(spec.fingerprint)}; both forms have it, and an index built with one is "
            "searched with the other",
        ),
    ]
    return "\n".join(["## What it is", "", *(f"- {key}: {value}" for key, value in rows)])


def history(spec: EncoderSpec) -> str:
    """Tell how the encoder was made, as far as its lineage says."""
    lines = ["## How it was made", ""]
    stages = [s for s in spec.lineage.get("stages", []) if isinstance(s, Mapping)]
    if not stages:
        names = ", ".join(entry.name for entry in spec.adapters)
        return "\n".join([*lines, f"Stages: {names}." if names else "It was not trained further."])
    texts = spec.lineage.get("texts")
    if isinstance(texts, Mapping) and "count" in texts:
        lines += [f"From {figure(texts['count'])} different texts, none of which is in here.", ""]
    lines += [
        "| stage | steps | tokens | examples | seconds | loss at first | loss at last |",
        "|---|---|---|---|---|---|---|",
    ]
    keys = ("steps", "tokens", "examples", "seconds", "first_loss", "last_loss")
    for stage in stages:
        cells = [word(stage.get("kind")), *(figure(stage.get(key)) for key in keys)]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Losses in nats, means of the first and the last steps. Settings:", ""]
    for stage in stages:
        settings = stage.get("settings")
        shown = "; ".join(plain_settings(settings)) if isinstance(settings, Mapping) else ""
        lines.append(f"- {word(stage.get('kind'))}: {shown or 'not recorded'}")
    return "\n".join(lines)


def plain_settings(settings: Mapping[str, Any], *, prefix: str = "") -> Iterator[str]:
    """Yield the settings that can't hold text: numbers, and words where Argot has its own."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from plain_settings(value, prefix=f"{prefix}{key}.")
            continue
        values = value if isinstance(value, list | tuple) else [value]
        if values and all(is_plain(item, key=key) for item in values):
            yield f"{prefix}{key} {', '.join(map(str, values))}"


def is_plain(value: object, *, key: str) -> bool:
    """Tell whether a setting's value is no text."""
    if isinstance(value, str):
        return key in WORD_SETTINGS and WORD.fullmatch(value) is not None
    return isinstance(value, int | float)


def figure(value: object) -> str:
    """Write a number for a table; a dash where there is none."""
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else "-"


def word(value: object) -> str:
    """Write a stage's kind."""
    return value if isinstance(value, str) else "-"


def instruction(text: str) -> str:
    """Quote an instruction, so that its line breaks and spaces are seen."""
    return code(json.dumps(text, ensure_ascii=False)) if text else "none"


def code(text: str) -> str:
    """Mark up as code, whatever backticks are in it."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"
