"""What a run will take, from a few real steps."""
