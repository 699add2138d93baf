"""Folders that sentence-transformers loads: told apart, checked, hashed.

Such a folder has modules.json, which names its parts; a BERT-like checkpoint has none.
"""

import json
from pathlib import Path

from transformers import AutoModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from encoder.errors import ModelFolderError
from encoder.spec import SPEC_FILE, digest_files

MODULES_FILE = "modules.json"
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}
DECIDES = {".safetensors", ".json", ".model", ".txt"}
"""Weights, configurations and vocabularies."""


def is_sentence_encoder(folder: Path) -> bool:
    """Tell whether a folder is for `SentenceEncoder`.

    It is where it has modules.json, or where its model was trained to fill gaps with both sides in
    sight, as BERT and DeBERTa were. A folder with encoder.json is ours whatever else it holds.

    Raises:
        ModelFolderError: config.json can't be read.
    """
    if (folder / SPEC_FILE).is_file():
        return False
    if (folder / MODULES_FILE).is_file():
        return True
    path = folder / "config.json"
    if not path.is_file():
        return False
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ModelFolderError(f"{path} can't be used: {exc!r}") from exc
    return kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def check_folder(folder: Path) -> None:
    """Refuse what is no folder, and any part of it whose weights are pickles alone.

    Raises:
        ModelFolderError: naming the part.
    """
    if not folder.is_dir():
        raise ModelFolderError(f"a model must be a folder; {folder} is not one")
    files = [path for path in folder.rglob("*") if path.is_file()]
    safe = {path.parent for path in files if path.suffix == ".safetensors"}
    pickles = {path.parent: path for path in sorted(files) if path.suffix in PICKLES}
    for part, pickle in pickles.items():
        if part not in safe:
            raise ModelFolderError(
                f"a model's weights must be *.safetensors; {part} has {pickle.name} alone, "
                "a pickle, which can run code\n"
                "hint: save it again with sentence-transformers >= 3"
            )
    if not safe:
        raise ModelFolderError(f"a model folder must hold *.safetensors; {folder} has none")


def check_weights(folder: Path) -> None:
    """Refuse a plain checkpoint whose weights would be made up in part; its pooler is not used.

    sentence-transformers would load it without a word. It wrote the folders with modules.json
    itself, so those are not read twice.

    Raises:
        ModelFolderError: a weight is missing.
    """
    if (folder / MODULES_FILE).is_file():
        return
    _, info = AutoModel.from_pretrained(
        folder,
        output_loading_info=True,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise ModelFolderError(
            f"{folder} must hold every weight of its model; {len(missing)} are missing, "
            f"the first is {missing[0]}"
        )


def digest_folder(folder: Path) -> str:
    """Hash what decides a vector: weights, configurations and vocabulary of every part."""
    return digest_files([path for path in sorted(folder.rglob("*")) if path.suffix in DECIDES])
