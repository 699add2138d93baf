"""Index versions: what they are, where they are, and which one is live."""
