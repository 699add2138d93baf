"""Versions as files, and between engines."""
