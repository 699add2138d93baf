"""What is indexed, in SQL."""
