"""What is trained: the stages, their losses, and the weights that learn."""
