"""Documents in pieces that fit an encoder."""
