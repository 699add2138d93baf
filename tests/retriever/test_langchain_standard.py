"""LangChain's own standard suites."""

from typing import Any

import pytest
from langchain_tests.integration_tests import EmbeddingsIntegrationTests, RetrieversIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from encoder.fake import HashingEncoder
from retriever.federation import Federation
from retriever.langchain.retriever import ArgotEmbeddings, ArgotRetriever
from retriever.search import Searcher


class TestArgotRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _over_a_real_index(self, searcher: Searcher) -> None:
        self.searcher = searcher

    @property
    def retriever_constructor(self) -> type[ArgotRetriever]:
        return ArgotRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"searcher": self.searcher}

    @property
    def retriever_query_example(self) -> str:
        return "how many days of leave"


class TestArgotRetrieverOverSeveral(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _over_two_indexes(self, searcher: Searcher) -> None:
        self.searcher = Federation({"handbook": searcher, "again": searcher})

    @property
    def retriever_constructor(self) -> type[ArgotRetriever]:
        return ArgotRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"searcher": self.searcher}

    @property
    def retriever_query_example(self) -> str:
        return "how many days of leave"


class TestArgotEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[ArgotEmbeddings]:
        return ArgotEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"encoder": HashingEncoder(32)}


class TestArgotEmbeddingsUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[ArgotEmbeddings]:
        return ArgotEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"encoder": HashingEncoder(32), "dimensions": 16}
