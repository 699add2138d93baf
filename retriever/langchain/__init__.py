"""The retriever in LangChain."""
