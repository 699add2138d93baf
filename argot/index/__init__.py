"""What is done with whole index versions."""
