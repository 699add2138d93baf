"""BM25, the base LLM causal and bidirectional, adapted, and hybrid, on judged collections.

Each collection (BEIR layout) is adapted to on its own text, without its judgements, with the
settings of the demo. Prints a JSON line for each row.

    python benchmarks/five_rows.py MODEL COLLECTION... [--work DIR] [--steps N]
"""

import argparse
import json
import os
import platform
import subprocess
from dataclasses import asdict
from pathlib import Path

import torch

from argot.cli.demo import Clock, compare
from argot.cli.talk import set_up
from argot.demo.project import ADAPT
from argot.starter import write_project


def main() -> None:
    """Measure every collection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("collections", type=Path, nargs="*")
    parser.add_argument("--work", type=Path, default=Path("five-rows"))
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    set_up(verbose=False)
    for collection in arguments.collections:
        folder = arguments.work / source_name(collection)
        if not (folder / "argot.toml").exists():
            source = (source_name(collection), str(collection.resolve()))
            write_project(folder, model=str(arguments.model.resolve()), source=source, adapt=ADAPT)
        clock = Clock()
        _, rows = compare(folder, collection, steps=arguments.steps, clock=clock)
        for row in rows:
            print(json.dumps({"collection": source_name(collection), **asdict(row), **machine()}))
        print(json.dumps({"collection": source_name(collection), "seconds": clock.steps}))


def source_name(collection: Path) -> str:
    """How a collection is called."""
    return collection.resolve().name


def machine() -> dict[str, object]:
    """What the figures were made on."""
    commit = subprocess.run(
        ["git", "-C", Path(__file__).parent, "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
