"""LangChain's own standard suites, on an embedded index in a folder."""

from typing import Any

import pytest
from langchain_core.indexing import DocumentIndex
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import (
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.integration_tests.indexer import (
    AsyncDocumentIndexTestSuite,
    DocumentIndexerTestSuite,
)

from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.langchain.store_retriever import ArgotStoreRetriever


class TestArgotVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, store: ArgotVectorStore) -> VectorStore:
        return store


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
class TestArgotDocumentIndex(DocumentIndexerTestSuite):
    @pytest.fixture
    def index(self, store: ArgotVectorStore) -> DocumentIndex:
        return ArgotDocumentIndex(store=store)


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
class TestArgotDocumentIndexAsync(AsyncDocumentIndexTestSuite):
    @pytest.fixture
    async def index(self, store: ArgotVectorStore) -> DocumentIndex:
        return ArgotDocumentIndex(store=store)


class TestVectorStoreRetriever(RetrieversIntegrationTests):
    """The retriever that `as_retriever` gives."""

    @pytest.fixture(autouse=True)
    def _with_documents(self, store: ArgotVectorStore) -> None:
        store.add_texts(["annual leave", "unpaid leave", "leave in March", "travel", "pay"])
        self.store = store

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return ArgotStoreRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"vectorstore": self.store}

    @property
    def retriever_query_example(self) -> str:
        return "days of leave"
