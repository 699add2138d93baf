"""The real SmolLM2-135M; ARGOT_TEST_MODEL names its folder."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from encoder.attention import future_reach
from encoder.export import export_merged
from encoder.llm2vec import LLM2VecEncoder

pytestmark = pytest.mark.model

TEXTS = [
    "Return a list of the words in the string, using sep as the delimiter string.",
    "split",
    "The lifecycle of a thread begins when its start method is called. " * 6,
    "Open the file and return a stream. Raise OSError upon failure.",
]
INSTRUCTION = "Find the documentation that answers the question.\n"


@pytest.fixture(scope="module")
def folder() -> Path:
    name = os.environ.get("ARGOT_TEST_MODEL")
    if not name:
        pytest.skip("needs ARGOT_TEST_MODEL, the folder of a real decoder checkpoint")
    return Path(name)


@pytest.fixture(scope="module")
def load(folder: Path) -> Callable[..., LLM2VecEncoder]:
    loaded: dict[str, LLM2VecEncoder] = {}

    def load_once(dtype: str) -> LLM2VecEncoder:
        if dtype not in loaded:
            loaded[dtype] = LLM2VecEncoder.load(
                folder, dtype=dtype, device="cpu", query_instruction=INSTRUCTION
            )
        return loaded[dtype]

    return load_once


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_token_sees_the_whole_text(load: Callable[..., LLM2VecEncoder], dtype: str):
    assert all(future_reach(load(dtype)._model).values())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_odd_texts_have_finite_vectors(
    load: Callable[..., LLM2VecEncoder], odd_texts: list[str], dtype: str
):
    for encode in (load(dtype).encode_documents, load(dtype).encode_queries):
        vectors = encode(odd_texts)
        assert np.isfinite(vectors).all()
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_bf16_points_where_fp32_does(load: Callable[..., LLM2VecEncoder]):
    one, other = (load(dtype).encode_queries(TEXTS) for dtype in ("float32", "bfloat16"))
    assert (one * other).sum(axis=1).min() >= 0.99


# Cosine of a text alone and in a padded batch; see the tolerances of the tiny models, too.
@pytest.mark.parametrize(("dtype", "cosine"), [("float32", 1 - 1e-5), ("bfloat16", 0.99)])
def test_a_text_alone_has_the_vector_it_has_among_others(
    load: Callable[..., LLM2VecEncoder], dtype: str, cosine: float
):
    together = load(dtype).encode_queries(TEXTS)
    alone = np.concatenate([load(dtype).encode_queries([text]) for text in TEXTS])
    assert (together * alone).sum(axis=1).min() >= cosine


def test_sentence_transformers_gives_our_vectors(
    load: Callable[..., LLM2VecEncoder], folder: Path, tmp_path: Path
):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    export_merged(folder, tmp_path / "merged", dtype=torch.float32)
    model = sentence_transformers.SentenceTransformer(
        str(tmp_path / "merged"), device="cpu", local_files_only=True
    )
    products = (load("float32").encode_documents(TEXTS) * model.encode(TEXTS)).sum(axis=1)
    assert products.min() >= 0.9999
