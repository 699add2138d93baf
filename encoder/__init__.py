"""Text to vectors: a decoder LLM as a bidirectional encoder, and BM25 term weights."""
