"""Vectors made smaller."""
