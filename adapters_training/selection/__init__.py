"""Which step of a stage is kept: measured on a development set."""
