"""mteb evaluates our encoders: its protocol, and where the package is installed the real thing."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from argot.evaluation.mteb import MtebEncoder
from encoder.base import FloatArray
from encoder.fake import HashingEncoder


class TellsSides(HashingEncoder):
    """Encodes a query as the document of the same words with a mark before it."""

    def encode_queries(self, texts: Any, *, dimensions: int | None = None) -> FloatArray:
        return self.encode_documents([f"query {text}" for text in texts], dimensions=dimensions)


def test_batches_become_one_array_in_order_and_queries_get_their_own_side():
    inner = TellsSides(64)
    encoder = MtebEncoder(inner, name="tests/words")
    batches = [{"text": ["wing lift", "power"]}, {"text": ["leave"]}]
    texts = ["wing lift", "power", "leave"]
    task: dict[str, Any] = {"task_metadata": None, "hf_split": "test", "hf_subset": "default"}
    documents = encoder.encode(batches, prompt_type="document", **task, batch_size=2)
    assert np.array_equal(documents, inner.encode_documents(texts))
    assert np.array_equal(encoder.encode(batches, **task), documents)
    queries = encoder.encode(batches, prompt_type="query", **task)
    assert np.array_equal(queries, inner.encode_queries(texts))
    assert not np.allclose(queries, documents)


def test_similarities_are_cosines_of_sets_of_pairs_and_of_single_vectors():
    encoder = MtebEncoder(HashingEncoder(64), name="tests/words")
    vectors = encoder.encode([{"text": ["wing lift", "wing lift", "power button"]}])
    assert encoder.similarity(vectors, vectors).shape == (3, 3)
    assert np.allclose(np.diag(encoder.similarity(vectors, vectors)), 1)
    assert encoder.similarity(vectors[0], vectors[1])[0, 0] == pytest.approx(1)
    pairs = encoder.similarity_pairwise(vectors[:2], vectors[1:])
    assert pairs == pytest.approx([1, float(vectors[1] @ vectors[2])])


def test_a_name_that_mteb_could_not_file_is_refused():
    with pytest.raises(ValueError, match="organisation/model"):
        MtebEncoder(HashingEncoder(64), name="ours")


def test_mteb_evaluates_an_encoder_on_tasks_made_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MTEB_CACHE", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies warn while they are imported
        mteb: Any = pytest.importorskip("mteb", reason="needs the package mteb")
        from mteb.mocks.mock_tasks.sts import MockSTSTask

        encoder = MtebEncoder(TellsSides(64), name="tests/words")
        result = mteb.evaluate(encoder, MockSTSTask(), cache=None, co2_tracker=False)
    (task,) = result.task_results
    first, second = (
        encoder.encode([{"text": texts}])
        for texts in (
            ["This is a test sentence", "This is another test sentence"],
            ["dette er en test sætning", "denne her matche ikke den ovenstående"],
        )
    )
    cosines = encoder.similarity_pairwise(first, second)
    assert cosines[0] > cosines[1]  # as the mock's scores 1 and 0 have it
    assert task.get_score() == pytest.approx(1.0)
    assert result.model_name == "tests/words"
    assert result.model_revision == HashingEncoder(64).fingerprint[:16]
