"""Write the merged form of an encoder: one folder that other libraries load, too."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from encoder.directory import copy_tokenizer, read_any_spec, weights_folder, write_directory
from encoder.loading import context_tokens, load_decoder
from encoder.merging import merge_adapters
from encoder.spec import EncoderSpec, digest_weights, write_spec

SENTENCE_TRANSFORMERS_MODULES = [
    ("0", "", "sentence_transformers.models.Transformer"),
    ("1", "1_Pooling", "sentence_transformers.models.Pooling"),
    ("2", "2_Normalize", "sentence_transformers.models.Normalize"),
]

POOLING_FLAGS = {
    "mean": "pooling_mode_mean_tokens",
    "weighted_mean": "pooling_mode_weightedmean_tokens",
    "last_token": "pooling_mode_lasttoken",
}


def export_merged(source: Path, target: Path, *, dtype: torch.dtype | None = None) -> EncoderSpec:
    """Merge an encoder's adapters and write it as one model folder.

    The adapters are summed and added in fp32 and the result is cast once. The folder loads in plain
    ``SentenceTransformer(target)`` and ``AutoModel.from_pretrained(target)``: its configuration
    says ``is_causal: false``, its modules say how to pool. It has the fingerprint of its source,
    so an index built with one form is searched with the other.

    sentence-transformers counts an instruction's tokens apart from the text. Where its last
    token grows together with the text's first one, its pool is shifted by that token; end an
    instruction with a newline, which rarely does. And it has no vector for a text without
    tokens, such as the empty one, where the tokenizer adds none.

    Args:
        source: An encoder directory or a checkpoint.
        target: Must not exist.
        dtype: Of the written weights; None: as the base model's are stored.

    Returns:
        The spec that was written.

    Raises:
        ModelFolderError: the source can't be read, or the target exists.
    """
    spec = read_any_spec(source)
    weights = weights_folder(source, spec)
    decoder = load_decoder(
        weights.model, causal=spec.settings.causal, dtype=torch.float32, device="cpu"
    )
    merge_adapters(decoder.model, weights.adapters)
    model: nn.Module = decoder.model
    model.to(dtype or stored_dtype(weights.model))
    written: list[EncoderSpec] = []

    def fill(folder: Path) -> None:
        decoder.model.save_pretrained(folder)
        copy_tokenizer(weights.tokenizer, folder)
        longest = min(spec.settings.max_tokens, context_tokens(decoder.model.config))
        _write_sentence_transformers(folder, spec, max_tokens=longest)
        merged = replace(spec, form="merged", base_path="", weights_digest=digest_weights(folder))
        write_spec(folder, merged)
        written.append(merged)

    write_directory(target, fill)
    return written[0]


def stored_dtype(folder: Path) -> torch.dtype:
    """Read the type a checkpoint's weights are stored in; fp32 where it doesn't say."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = config.get("dtype") or config.get("torch_dtype") or "float32"
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(name, torch.float32)


def _write_sentence_transformers(folder: Path, spec: EncoderSpec, *, max_tokens: int) -> None:
    """Write the files from which sentence-transformers builds the same pipeline."""
    settings = spec.settings
    modules = [
        {"idx": int(name), "name": name, "path": path, "type": kind}
        for name, path, kind in SENTENCE_TRANSFORMERS_MODULES
    ]
    pooling = {
        "word_embedding_dimension": spec.dimensions,
        **{flag: name == settings.pooling for name, flag in POOLING_FLAGS.items()},
        "pooling_mode_cls_token": False,
        "pooling_mode_max_tokens": False,
        "include_prompt": False,
    }
    files = {
        "modules.json": modules,
        "sentence_bert_config.json": {
            "max_seq_length": max_tokens,
            "do_lower_case": False,
        },
        "config_sentence_transformers.json": {
            "prompts": {
                "query": settings.query_instruction,
                "document": settings.document_instruction,
            },
            "default_prompt_name": "document" if settings.document_instruction else None,
            "similarity_fn_name": "cosine",
        },
        "1_Pooling/config.json": pooling,
    }
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
