"""Locks, copies and room on disk."""
