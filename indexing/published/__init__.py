"""Copies of an embedded version that readers read."""
