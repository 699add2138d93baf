"""Source systems to document changes, bytes to text. Knows no vectors."""
