"""How long `argot ingest` takes when nothing has changed, as a whole process.

    python benchmarks/unchanged_ingest.py [--documents 10000] [--runs 3]

Makes a project without a model and a folder of Markdown files, ingests it, and ingests it again.
Prints a JSON line: seconds of the first run, and of those after it. A model that a project has
would be loaded as well, and never asked.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

VOCABULARY, WORDS, PER_FOLDER = 20_000, 200, 100


def write_project(folder: Path, *, documents: int) -> None:
    """Write documents of some two hundred words, and the settings of a project over them."""
    rng = np.random.default_rng(0)
    for number in range(documents):
        place = folder / "docs" / str(number // PER_FOLDER)
        place.mkdir(parents=True, exist_ok=True)
        words = " ".join(f"word{word}" for word in rng.zipf(1.3, size=WORDS) % VOCABULARY)
        text = f"# Page {number}\n\n{words}.\n"
        (place / f"{number}.md").write_text(text, encoding="utf-8")
    settings = '[[sources]]\nname = "docs"\npath = "docs"\n'
    (folder / "argot.toml").write_text(settings, encoding="utf-8")


def ingest(folder: Path) -> tuple[float, dict[str, int]]:
    """Ingest all; return the seconds from start to exit, and what was reported."""
    command = [sys.executable, "-m", "argot.cli.main", "ingest", "--json"]
    began = perf_counter()
    done = subprocess.run(
        [*command, "--project", str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return perf_counter() - began, json.loads(done.stdout)


def main() -> None:
    """Time the first run and unchanged ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="argot-unchanged-") as name:
        folder = Path(name)
        write_project(folder, documents=arguments.documents)
        first, _ = ingest(folder)
        unchanged = []
        for _ in range(arguments.runs):
            seconds, report = ingest(folder)
            if report["kept"] != arguments.documents:
                raise SystemExit(f"all documents must be kept; got {report}")
            unchanged.append(round(seconds, 2))
    print(
        json.dumps(
            {
                "documents": arguments.documents,
                "first_s": round(first, 2),
                "unchanged_s": unchanged,
                "cores": os.cpu_count(),
                "machine": platform.machine(),
                "python": platform.python_version(),
            }
        )
    )


if __name__ == "__main__":
    main()
