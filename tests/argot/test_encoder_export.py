"""Encoders leave a project, come into another, and share their weights with a generator."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import argot as public
from argot.encoders import load_encoder_with_generator
from argot.errors import SettingsError
from argot.project import Project
from argot.settings import EncoderChoice
from encoder.directory import read_any_spec, write_adapter_encoder
from encoder.spec import EncodingSettings

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def adapted(project: Path, tiny_models: Any, tiny_decoder_folder: Path) -> Path:
    """The project of three documents, with an encoder of two stages named "ours"."""
    base = Path(shutil.copytree(tiny_decoder_folder, project / "models/tiny"))
    stages = [
        (name, tiny_models.write_tiny_adapter(project / "runs" / name, base, seed=seed))
        for seed, name in enumerate(["mntp", "simcse"])
    ]
    write_adapter_encoder(
        project / ".argot/encoders/ours",
        base=base,
        adapters=stages,
        settings=EncodingSettings(),
        lineage={},
    )
    toml = project / "argot.toml"
    chunks = "[chunks]\nchunk_tokens = 64\noverlap_tokens = 8\n"
    toml.write_text("[encoder]\nmodel = 'ours'\ndtype = 'float32'\n" + chunks + toml.read_text())
    return project


pytestmark = [
    pytest.mark.torch,
    # peft reads a property that transformers renamed.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]


def test_each_form_has_a_card_and_the_fingerprint_of_its_source(
    adapted: Path, argot: Run, tmp_path: Path
):
    here = ("--project", adapted)
    assert argot("encoders", "export", "ours", "--merged", tmp_path / "merged", *here)[0] == 0
    assert argot("encoders", "export", "ours", "--adapter", tmp_path / "one", *here)[0] == 0
    source = read_any_spec(adapted / ".argot/encoders/ours")
    for folder in (tmp_path / "merged", tmp_path / "one"):
        assert (folder / "README.md").read_text().startswith("---\nlibrary_name: ")
        assert read_any_spec(folder).fingerprint == source.fingerprint
    assert not (tmp_path / "one/adapters").exists()


def test_an_adapter_is_bound_to_its_base_again_outside_of_any_project(
    adapted: Path, argot: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    argot("encoders", "export", "ours", "--adapter", tmp_path / "one", "--project", adapted)
    expected = public.Encoder.load(tmp_path / "one", dtype="float32").encode_documents(["leave"])
    shutil.move(adapted / "models/tiny", tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    code, _, err = argot("encoders", "export", "one", "--merged", "merged")
    assert (code, "--base" in err) == (1, True), err
    assert argot("encoders", "export", "one", "--adapter", "again", "--base", "moved")[0] == 0
    found = public.Encoder.load(tmp_path / "again", dtype="float32").encode_documents(["leave"])
    assert np.array_equal(found, expected)


def test_a_type_is_chosen_for_merged_weights_only(adapted: Path, argot: Run, tmp_path: Path):
    export = ("encoders", "export", "ours", "--project", adapted, "--dtype", "bfloat16")
    assert argot(*export, "--merged", tmp_path / "merged")[0] == 0
    assert '"dtype": "bfloat16"' in (tmp_path / "merged/config.json").read_text()
    code, _, err = argot(*export, "--adapter", tmp_path / "one")
    assert (code, "--dtype is for --merged" in err) == (2, True)


def test_a_project_searches_with_an_encoder_that_shares_its_weights_with_a_generator(
    adapted: Path, argot: Run
):
    assert argot("ingest", "--project", adapted)[0] == 0
    project = Project.open(adapted)
    pair = load_encoder_with_generator(project.settings.encoder, project.paths)
    project.encoder = pair.encoder
    with project.retriever(mode="dense", k=2) as retriever:
        found = retriever.invoke("reset the device")
    assert len(found) == 2
    rows = pair.tokenizer(found[0].page_content, return_tensors="pt")
    answer = pair.generator.generate(**rows, max_new_tokens=3, do_sample=False)
    assert answer.shape[1] > rows["input_ids"].shape[1]


def test_settings_that_a_generator_can_not_have_are_named(adapted: Path):
    with pytest.raises(SettingsError, match=r"\[encoder\] names none\nhint: set `model`"):
        load_encoder_with_generator(EncoderChoice(), None)
    choice = EncoderChoice(model=str(adapted / ".argot/encoders/ours"), dtype="int4")
    with pytest.raises(SettingsError, match=r"\[encoder\]: `dtype` must be one of"):
        load_encoder_with_generator(choice, None)


def test_the_pair_is_public(adapted: Path):
    assert {"load_with_generator", "EncoderWithGenerator"} <= set(public.__all__)
    pair = public.load_with_generator(adapted / ".argot/encoders/ours", device="cpu")
    assert isinstance(pair, public.EncoderWithGenerator)
