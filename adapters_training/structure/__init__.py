"""Pairs from the structure of documents."""
