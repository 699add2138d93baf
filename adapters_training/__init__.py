"""Text and pairs to an adapter directory: MNTP and SimCSE stages over one training loop."""
