"""Answers with citations, from what was found."""
