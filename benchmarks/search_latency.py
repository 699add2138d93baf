"""How long the commands of a search take, as whole processes, warm disk.

    python benchmarks/search_latency.py [--project demo] [--runs 5]

Prints a JSON line for each command: seconds from start to exit, minimum, median, maximum.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

COMMANDS = (
    ("argot --help", ["--help"]),
    ("argot search", ["search", "merge two sorted lists"]),
    ("argot search --mode sparse", ["search", "merge two sorted lists", "--mode", "sparse"]),
)


def main() -> None:
    """Time each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=Path("demo"))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    for name, command in COMMANDS:
        place = [] if name.endswith("--help") else ["--project", str(arguments.project)]
        timed([*command, *place])  # warms the disk's cache; not counted
        seconds = sorted(timed([*command, *place]) for _ in range(arguments.runs))
        print(
            json.dumps(
                {
                    "command": name,
                    "seconds": {
                        "min": round(seconds[0], 3),
                        "median": round(statistics.median(seconds), 3),
                        "max": round(seconds[-1], 3),
                    },
                    "cores": os.cpu_count(),
                    "machine": platform.machine(),
                    "python": platform.python_version(),
                }
            )
        )


def timed(arguments: list[str]) -> float:
    """Run a command to its end; return the seconds."""
    began = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "argot.cli.main", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return perf_counter() - began


if __name__ == "__main__":
    main()
