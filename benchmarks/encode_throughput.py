"""Tokens encoded per second, Argot and sentence-transformers in turn, as JSON lines.

Both load one merged folder and get the same texts, type and threads; tokenising is part of the
time, loading is not. Runs alternate, so that a busy machine slows both; the ratio of a pair is
what to read, and `cpu_ratio`, of processor time, where the machine is shared.

    python benchmarks/encode_throughput.py MODEL [--texts FILE] [--limit N] [--dtype bfloat16]
        [--token-budgets 512,2048] [--batch-sizes 8,32] [--pairs 3] [--threads N]
"""

import argparse
import importlib
import importlib.metadata
import inspect
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from encoder.export import export_merged
from encoder.llm2vec import LLM2VecEncoder

MODULES = ("argparse", "collections", "json", "os", "pathlib", "re", "shutil", "subprocess")


@dataclass(frozen=True, slots=True)
class Speed:
    """One run over all texts."""

    wall: float
    """Tokens a second."""

    cpu: float
    """Tokens a second of processor time, all threads together."""


def main() -> None:
    """Measure every pair of settings and print a JSON line for each."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    texts = read_texts(options.texts)[: options.limit]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "merged"
        export_merged(options.model, folder)
        ours = LLM2VecEncoder.load(folder, dtype=options.dtype, device=options.device)
        theirs = SentenceTransformer(
            str(folder),
            device=options.device,
            local_files_only=True,
            model_kwargs={"dtype": options.dtype},
        )
        tokens = sum(len(ours.token_spans(text)) for text in texts)
        for budget in options.token_budgets:
            for batch_size in options.batch_sizes:
                ours = LLM2VecEncoder.load(
                    folder, dtype=options.dtype, device=options.device, token_budget=budget
                )
                pairs = alternate(
                    ours=lambda: ours.encode_documents(texts),  # noqa: B023 - called at once
                    theirs=lambda: theirs.encode(
                        texts,
                        batch_size=batch_size,  # noqa: B023 - called at once
                        show_progress_bar=False,
                    ),
                    count=options.pairs,
                    tokens=tokens,
                )
                settings = {"token_budget": budget, "batch_size": batch_size}
                line = {**settings, **summary(pairs), **about(options, texts=len(texts))}
                print(json.dumps({**line, "tokens": tokens, "compute": ours.compute}), flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a decoder's folder or an encoder directory")
    parser.add_argument("--texts", type=Path, help="one text a line; else docstrings of Python's")
    parser.add_argument("--limit", type=int, default=200, help="texts, at most")
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--token-budgets", type=numbers, default=[1024], help="of Argot's batches")
    parser.add_argument("--batch-sizes", type=numbers, default=[32], help="of the other's batches")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def numbers(argument: str) -> list[int]:
    """Parse ``8,32``."""
    return [int(number) for number in argument.split(",")]


def read_texts(path: Path | None) -> list[str]:
    """Read one text a line, or the documentation strings of the standard library."""
    if path is not None:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return list(dict.fromkeys(documentation_strings()))


def documentation_strings() -> Iterator[str]:
    """Yield the documentation of public functions and classes, in order of name."""
    for module in map(importlib.import_module, MODULES):
        for name, member in sorted(vars(module).items()):
            text = inspect.getdoc(member) if callable(member) else None
            if text and not name.startswith("_"):
                yield text


def alternate(
    *, ours: Callable[[], object], theirs: Callable[[], object], count: int, tokens: int
) -> list[tuple[Speed, Speed]]:
    """Time both in turn, after one run of each that is not counted."""
    ours()
    theirs()
    return [(timed(ours, tokens=tokens), timed(theirs, tokens=tokens)) for _ in range(count)]


def timed(run: Callable[[], object], *, tokens: int) -> Speed:
    """Time one run."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Speed(
        wall=tokens / (time.perf_counter() - wall), cpu=tokens / (time.process_time() - cpu)
    )


def summary(pairs: list[tuple[Speed, Speed]]) -> dict[str, float]:
    """Take the median over the pairs of speeds and of their ratios."""
    return {
        "argot_tokens_per_s": round(statistics.median(ours.wall for ours, _ in pairs)),
        "sentence_transformers_tokens_per_s": round(
            statistics.median(theirs.wall for _, theirs in pairs)
        ),
        "ratio": round(statistics.median(ours.wall / theirs.wall for ours, theirs in pairs), 3),
        "cpu_ratio": round(statistics.median(ours.cpu / theirs.cpu for ours, theirs in pairs), 3),
    }


def about(options: argparse.Namespace, *, texts: int) -> dict[str, object]:
    """Say what was run, where, and with which versions."""
    packages = ("torch", "transformers", "sentence-transformers", "argot-search")
    return {
        "texts": texts,
        "dtype": options.dtype,
        "threads": options.threads,
        "pairs": options.pairs,
        "load_1min": round(os.getloadavg()[0], 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "command": " ".join(sys.argv),
    }


if __name__ == "__main__":
    main()
