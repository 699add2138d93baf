"""Encoder directories on disk, without torch: immutable, whole, and bound to their parts."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from encoder.directory import read_any_spec, weights_folder, write_adapter_encoder, write_directory
from encoder.errors import ModelFolderError
from encoder.spec import SPEC_FILE, EncodingSettings


def write_checkpoint(folder: Path) -> Path:
    folder.mkdir(parents=True)
    config = {"model_type": "llama", "hidden_size": 32}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"weight": np.ones((2, 2), dtype=np.float32)}, folder / "model.safetensors")
    return folder


def write_adapter(folder: Path, *, value: float) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    weights = {"a": np.full((2, 2), value, dtype=np.float32)}
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


@pytest.fixture
def parts(tmp_path: Path) -> SimpleNamespace:
    """A base model, two adapters and an encoder of the first."""
    base = write_checkpoint(tmp_path / "base")
    first = write_adapter(tmp_path / "runs/mntp", value=1)
    second = write_adapter(tmp_path / "runs/simcse", value=2)
    encoder = tmp_path / "encoders/first"
    write_adapter_encoder(
        encoder,
        base=base,
        adapters=[("mntp", first)],
        settings=EncodingSettings(),
        lineage={"steps": 10},
    )
    return SimpleNamespace(base=base, first=first, second=second, encoder=encoder)


def grow(parts: SimpleNamespace, target: Path) -> None:
    write_adapter_encoder(
        target,
        base=parts.encoder,
        adapters=[("simcse", parts.second)],
        settings=EncodingSettings(),
        lineage={},
    )


def test_an_adapter_encoder_finds_its_parts(parts: SimpleNamespace):
    spec = read_any_spec(parts.encoder)
    weights = weights_folder(parts.encoder, spec)
    assert weights.model == parts.base
    assert [path.name for path in weights.adapters] == ["1-mntp"]
    assert weights.tokenizer == parts.encoder
    assert spec.lineage == {"steps": 10}


def test_a_stack_that_is_continued_keeps_its_order(parts: SimpleNamespace, tmp_path: Path):
    target = tmp_path / "encoders/second"
    grow(parts, target)
    spec = read_any_spec(target)
    assert [entry.name for entry in spec.adapters] == ["mntp", "simcse"]
    assert spec.adapters[0] == read_any_spec(parts.encoder).adapters[0]
    weights = weights_folder(target, spec)
    assert weights.model == parts.base
    assert [path.name for path in weights.adapters] == ["1-mntp", "2-simcse"]


def test_a_directory_is_never_overwritten(parts: SimpleNamespace):
    before = {path: path.read_bytes() for path in parts.encoder.rglob("*") if path.is_file()}
    with pytest.raises(ModelFolderError, match="an encoder is never overwritten"):
        grow(parts, parts.encoder)
    after = {path: path.read_bytes() for path in parts.encoder.rglob("*") if path.is_file()}
    assert after == before


def test_a_project_that_is_moved_whole_still_works(parts: SimpleNamespace, tmp_path: Path):
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(parts.base, moved / "base")
    shutil.move(parts.encoder.parent, moved / "encoders")
    encoder = moved / "encoders/first"
    assert weights_folder(encoder, read_any_spec(encoder)).model == moved / "base"


def test_a_base_that_is_gone_is_named(parts: SimpleNamespace):
    parts.base.rename(parts.base.with_name("elsewhere"))
    with pytest.raises(
        ModelFolderError, match=r"base model of .* must be at .*/base.*\nhint: move"
    ):
        weights_folder(parts.encoder, read_any_spec(parts.encoder))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: write_weights(p.base / "model.safetensors"), "the base model .*/base must be"),
        (lambda p: (p.base / "config.json").write_text("{}"), "the base model .*/base must be"),
        (
            lambda p: write_weights(p.encoder / "adapters/1-mntp/adapter_model.safetensors"),
            "the adapter .*/1-mntp must be",
        ),
        (
            lambda p: (p.encoder / "adapters/1-mntp/adapter_config.json").write_text("{}"),
            "the adapter .*/1-mntp must be",
        ),
        (lambda p: (p.encoder / "tokenizer.json").write_text("{} "), "the tokenizer in .* must be"),
        (lambda p: (p.encoder / "tokenizer.json").unlink(), "the tokenizer in .* must be"),
        (
            lambda p: shutil.rmtree(p.encoder / "adapters"),
            "an adapter must hold adapter_model.safetensors",
        ),
    ],
)
def test_a_part_that_changed_is_refused(
    parts: SimpleNamespace, damage: Callable[[SimpleNamespace], object], message: str
):
    damage(parts)
    with pytest.raises(ModelFolderError, match=message):
        weights_folder(parts.encoder, read_any_spec(parts.encoder))


def write_weights(path: Path) -> None:
    save_file({"weight": np.zeros((2, 2), dtype=np.float32)}, path)


def test_a_failure_while_writing_leaves_nothing(tmp_path: Path):
    def fail(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_directory(tmp_path / "encoder", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_process_killed_while_writing_leaves_nothing_that_counts(tmp_path: Path):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from encoder.directory import write_directory\n"
        "def fill(folder):\n"
        f"    (folder / '{SPEC_FILE}').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_directory(Path(sys.argv[1]), fill)\n"
    )
    target = tmp_path / "encoder"
    killed = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert killed.returncode == -9
    assert not target.exists()
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
    write_directory(target, lambda folder: (folder / "whole").touch())
    assert os.listdir(target) == ["whole"]  # noqa: PTH208 - names only


def test_a_checkpoint_is_described_as_an_encoder(parts: SimpleNamespace):
    spec = read_any_spec(parts.base)
    assert (spec.form, spec.dimensions, spec.model_type) == ("checkpoint", 32, "llama")
    assert spec.settings == EncodingSettings()


def test_a_checkpoints_fingerprint_follows_weights_and_tokenizer(parts: SimpleNamespace):
    before = read_any_spec(parts.base).fingerprint
    (parts.base / "README.md").write_text("not a part of the model")
    assert read_any_spec(parts.base).fingerprint == before
    (parts.base / "tokenizer.json").write_text('{"changed": true}')
    other_tokenizer = read_any_spec(parts.base).fingerprint
    write_weights(parts.base / "model.safetensors")
    other_weights = read_any_spec(parts.base).fingerprint
    assert len({before, other_tokenizer, other_weights}) == 3
