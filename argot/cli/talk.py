"""What holds for a whole run: how loud it is, its memory, and that it needs no network."""

import logging
import os
import sys

from encoder.memory import keep_freed_memory


def set_up(*, verbose: bool) -> None:
    """Send log lines to stderr, quieten the libraries below us, keep memory for the next batch."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(name)s: %(message)s" if verbose else "%(message)s",
    )
    for name, value in {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
    }.items():
        os.environ.setdefault(name, value)
    keep_freed_memory()
