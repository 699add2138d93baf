"""A run: its loop, its folder, and going on after an interruption."""
