"""Query to hits to LangChain documents, and the measures of how good they are."""
