"""Adapters trained from within a project."""
