"""The demo project: a real small LLM, real text, judged questions."""

from collections.abc import Callable
from pathlib import Path

from argot.demo.corpus import write_corpus
from argot.demo.model import fetch_model
from argot.starter import write_project

MODEL = "models/smollm2-135m"
CORPUS = "corpus"

ADAPT = """\
# Short stages, so that the demo ends while you watch; `default` teaches more.
recipe = "quick"
"""


def make_demo(folder: Path, *, say: Callable[[str], None]) -> None:
    """Write the demo project; parts that are there already are kept.

    Args:
        folder: Made if missing.
        say: Told what takes time.
    """
    if not (folder / MODEL).is_dir():
        say("fetching SmolLM2-135M (93 MB) and turning it into a checkpoint folder")
        fetch_model(folder / MODEL)
    if not (folder / CORPUS).exists():
        entries = write_corpus(folder / CORPUS)
        say(f"wrote {len(entries)} documents of Python's standard library to {folder / CORPUS}")
    write_project(folder, model=MODEL, source=("python", CORPUS), adapt=ADAPT)
