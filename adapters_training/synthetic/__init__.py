"""Queries that the base model writes for passages."""
