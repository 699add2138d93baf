"""The LangChain embeddings."""

import numpy as np
import pytest

from encoder.fake import HashingEncoder
from retriever.langchain.retriever import ArgotEmbeddings

TEXTS = ["annual leave", "", "pay"]


def test_embeddings_are_the_encoders_vectors_as_plain_floats():
    encoder = HashingEncoder(32)
    embeddings = ArgotEmbeddings(encoder)

    rows = embeddings.embed_documents(TEXTS)
    assert np.array_equal(np.float32(rows), encoder.encode_documents(TEXTS))
    assert all(type(value) is float for row in rows for value in row)
    assert np.array_equal(
        np.float32(embeddings.embed_query("leave")), encoder.encode_queries(["leave"])[0]
    )
    assert embeddings.embed_documents([]) == []


async def test_asynchronous_embeddings_are_the_same():
    embeddings = ArgotEmbeddings(HashingEncoder(32))

    assert await embeddings.aembed_documents(TEXTS) == embeddings.embed_documents(TEXTS)
    assert await embeddings.aembed_query("pay") == embeddings.embed_query("pay")


def test_fewer_dimensions_give_shorter_vectors_of_unit_norm():
    embeddings = ArgotEmbeddings(HashingEncoder(32), dimensions=8)

    assert (embeddings.dimensions, ArgotEmbeddings(HashingEncoder(32)).dimensions) == (8, 32)
    vector = embeddings.embed_query("the days of annual leave are thirty")
    assert len(vector) == 8
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dimensions", [0, 33])
def test_a_width_the_encoder_does_not_have_is_refused(dimensions: int):
    with pytest.raises(ValueError, match=f"from 1 to 32.*got {dimensions}"):
        ArgotEmbeddings(HashingEncoder(32), dimensions=dimensions)
