"""sentence-transformers folders and BERT-like checkpoints, as baselines."""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from encoder.errors import ModelFolderError
from encoder.sentence_folder import is_sentence_encoder
from encoder.words import WordEncoder

pytestmark = pytest.mark.torch

TEXTS = ["wing lift", "Press the power button!", "", "汉字", "wing " * 80]
Load = Callable[..., Any]


@pytest.fixture
def load() -> Load:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies warn while they are imported
        from encoder.sentence_encoder import SentenceEncoder

    return lambda folder, **options: SentenceEncoder.load(folder, device="cpu", **options)


def write_bert(folder: Path) -> Path:
    """A tiny random BERT and a WordPiece tokenizer over letters."""
    letters = "abcdefghijklmnopqrstuvwxyz!"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(
        models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=48,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return write_bert(tmp_path / "bert")


@pytest.fixture
def folder(bert: Path) -> Path:
    """The same model as sentence-transformers saves it: first token pooled, passage prompts."""
    files: dict[str, Any] = {
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling")])
        ],
        "sentence_bert_config.json": {"max_seq_length": 40, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {"query": "q ", "passage": "p "}},
        "1_Pooling/config.json": {"word_embedding_dimension": 16, "pooling_mode_cls_token": True},
    }
    (bert / "1_Pooling").mkdir()
    for name, content in files.items():
        (bert / name).write_text(json.dumps(content))
    return bert


def hidden_states(folder: Path, text: str) -> np.ndarray:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    with torch.inference_mode():
        model = BertModel.from_pretrained(folder).eval()
        states: np.ndarray = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    return np.asarray(states)


def unit(vector: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = vector / np.linalg.norm(vector)
    return scaled


def test_a_plain_bert_is_pooled_by_its_mean_without_a_prompt(bert: Path, load: Load):
    encoder = load(bert)
    expected = unit(hidden_states(bert, "wing lift").mean(axis=0))
    assert np.allclose(encoder.encode_documents(["wing lift"])[0], expected, atol=1e-6)
    assert np.allclose(encoder.encode_queries(["wing lift"])[0], expected, atol=1e-6)


def test_a_folder_gives_its_own_prompts_and_pools_as_it_says(folder: Path, load: Load):
    encoder = load(folder)
    query, passage = (unit(hidden_states(folder, f"{mark} wing")[0]) for mark in "qp")
    assert np.allclose(encoder.encode_queries(["wing"])[0], query, atol=1e-6)
    assert np.allclose(encoder.encode_documents(["wing"])[0], passage, atol=1e-6)
    told = load(folder, document_instruction="q ")
    assert np.allclose(told.encode_documents(["wing"])[0], query, atol=1e-6)
    assert len({encoder.fingerprint, told.fingerprint, load(folder, max_tokens=8).fingerprint}) == 3


def test_a_text_alone_has_the_vector_it_has_among_others(folder: Path, load: Load):
    encoder = load(folder)
    together = encoder.encode_documents(TEXTS)
    assert together.dtype == np.float32
    assert together.shape == (5, encoder.dimensions)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([encoder.encode_documents([text]) for text in TEXTS])
    assert np.abs(together - alone).max() <= 1e-5
    assert encoder.encode_documents([], dimensions=8).shape == (0, 8)


def test_fewer_dimensions_and_one_string_are_treated_as_in_any_encoder(bert: Path, load: Load):
    encoder = load(bert)
    whole, part = encoder.encode_queries(["wing"]), encoder.encode_queries(["wing"], dimensions=4)
    assert np.allclose(part[0], unit(whole[0, :4]), atol=1e-6)
    with pytest.raises(ValueError, match=r"`dimensions` must be in \[1, 16\]; got 17"):
        encoder.encode_documents(["a"], dimensions=17)
    with pytest.raises(ValueError, match="got one string"):
        encoder.encode_documents("wing")


def test_words_are_the_means_of_their_pieces_without_a_prompt(folder: Path, load: Load):
    encoder = load(folder)
    assert isinstance(encoder, WordEncoder)
    states = hidden_states(folder, "wing drag")  # [CLS] w i n g d r a g [SEP]
    (own,) = encoder.encode_words([["wing", "drag"]])
    (shifted,) = encoder.encode_words([["wing", "drag"]], shift=True)
    assert np.allclose(own, [states[1:5].mean(axis=0), states[5:9].mean(axis=0)], atol=1e-5)
    assert np.allclose(shifted[0], states[0:4].mean(axis=0), atol=1e-5)
    many = encoder.encode_words([["wing"] * 30, ["wing", "drag"], []])
    assert [len(words) for words in many] == [30, 2, 0]
    assert np.allclose(many[1], own, atol=1e-5)


def test_tokens_are_located_whole_and_without_special_ones(folder: Path, load: Load):
    encoder = load(folder)
    assert encoder.token_spans("a bc") == [(0, 1), (2, 3), (3, 4)]
    assert len(encoder.token_spans("wing " * 80)) == 320  # past the limit, for cutting into chunks
    assert encoder.max_tokens == 40


def test_the_kinds_of_folders_are_told_apart(bert: Path, tiny_decoder_folder: Path, tmp_path: Path):
    assert is_sentence_encoder(bert)
    assert not is_sentence_encoder(tiny_decoder_folder)
    decoder = Path(shutil.copytree(tiny_decoder_folder, tmp_path / "decoder"))
    (decoder / "modules.json").write_text("[]")
    assert is_sentence_encoder(decoder)
    (decoder / "encoder.json").write_text("{}")  # ours, whatever else it holds
    assert not is_sentence_encoder(decoder)
    (bert / "config.json").write_text("[")
    with pytest.raises(ModelFolderError, match="can't be used"):
        is_sentence_encoder(bert)


def test_weights_that_are_pickles_alone_are_refused_before_anything_is_loaded(
    folder: Path, load: Load
):
    (folder / "training_args.bin").write_bytes(b"")  # beside safetensors, and never loaded
    assert load(folder).dimensions == 16
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense/pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelFolderError, match=r"2_Dense has pytorch_model\.bin alone"):
        load(folder)
    shutil.rmtree(folder / "2_Dense")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"training_args\.bin alone, a pickle"):
        load(folder)
    (folder / "training_args.bin").unlink()
    with pytest.raises(ModelFolderError, match=r"must hold \*\.safetensors"):
        load(folder)


def test_a_folder_that_names_code_of_its_own_is_refused(folder: Path, load: Load):
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "own_code.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "own_code.py").write_text("raise SystemExit('code of the folder was run')")
    with pytest.raises(ModelFolderError, match="own_code"):
        load(folder)


def test_weights_that_would_be_made_up_are_refused(bert: Path, load: Load):
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(ModelFolderError, match="must hold every weight"):
        load(bert)


def test_a_path_that_is_no_folder_and_a_limit_of_nothing_are_refused(bert: Path, load: Load):
    with pytest.raises(ModelFolderError, match="must be a folder"):
        load(bert / "config.json")
    with pytest.raises(ValueError, match="`max_tokens` must be at least 1"):
        load(bert, max_tokens=0)
