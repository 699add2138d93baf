"""The files from which sentence-transformers builds an encoder's own pipeline. No torch."""

import json
from pathlib import Path

from encoder.spec import EncoderSpec

MODULES = [
    ("0", "", "sentence_transformers.models.Transformer"),
    ("1", "1_Pooling", "sentence_transformers.models.Pooling"),
    ("2", "2_Normalize", "sentence_transformers.models.Normalize"),
]

POOLING_FLAGS = {
    "mean": "pooling_mode_mean_tokens",
    "weighted_mean": "pooling_mode_weightedmean_tokens",
    "last_token": "pooling_mode_lasttoken",
}


def write_sentence_transformers_files(folder: Path, spec: EncoderSpec, *, max_tokens: int) -> None:
    """Say beside a model's weights how its states become the vector.

    Args:
        folder: Of the merged form.
        spec: What the encoder is.
        max_tokens: Where texts are cut.
    """
    settings = spec.settings
    modules = [
        {"idx": int(name), "name": name, "path": path, "type": kind} for name, path, kind in MODULES
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
