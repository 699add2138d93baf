"""Pairs to train on: gathered, held back, and given hard negatives."""
