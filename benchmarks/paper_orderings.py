"""LLM2Vec's orderings on a decoder of one's own: which hold, with intervals, as Markdown.

Trains the stages of Table 5 on plain text, measures every model with every pooling on scored
pairs and judged collections, and the linear probe of Table 4 on tagged words. A claim holds where
the 95 % interval of the paired difference, over the mean of all tasks, lies above zero; it is
reversed where it lies below. What is done lies in the folder and is not done again.

SimCSE is trained with mean pooling, also where another pooling is measured.
Source: BehnamGhader et al. 2024, LLM2Vec, arXiv:2404.05961, Tables 4 and 5.

    python benchmarks/paper_orderings.py MODEL --text FILE... --sts FILE --beir DIR...
        --words TRAIN TEST --folder DIR [--mntp-steps 160] [--simcse-steps 60] [--max-tokens 128]
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from orderings_measured import Figures, measure_model, measure_words

from adapters_training.adapt import Adaptation, adapt
from adapters_training.selection.metrics import StepReport
from adapters_training.settings.run import (
    AdaptSettings,
    MntpSettings,
    OptimizerSettings,
    SimcseSettings,
    StageSettings,
)
from adapters_training.text.files import read_texts
from encoder.directory import read_any_spec, write_adapter_encoder
from retriever.evaluation.resampling import Measured

RUNS = {"causal": ("simcse",), "bidirectional": ("simcse",), "both": ("mntp", "simcse")}
MODELS = {
    "Uni": ("causal", 0),
    "Bi": ("both", 0),
    "Bi+MNTP": ("both", 1),
    "Uni+SimCSE": ("causal", 1),
    "Bi+SimCSE": ("bidirectional", 1),
    "Bi+MNTP+SimCSE": ("both", 2),
}
"""The run that each comes of, and how many of its stages it has behind it."""

WORD_MODELS = ("Uni", "Bi", "Bi+MNTP", "Bi+SimCSE", "Bi+MNTP+SimCSE")

Side = tuple[str, str]
"""A model and a pooling; the pooling ``best`` is the one with the highest mean."""


@dataclass(frozen=True, slots=True)
class Claim:
    """That one side is better than another."""

    name: str
    better: Side
    worse: Side


CLAIMS = (
    Claim("a: causal, weighted mean over mean", ("Uni", "weighted_mean"), ("Uni", "mean")),
    Claim("a: causal, mean over last token", ("Uni", "mean"), ("Uni", "last_token")),
    Claim("b: causal over bidirectional, untrained", ("Uni", "best"), ("Bi", "best")),
    Claim("c: MNTP over bidirectional, untrained", ("Bi+MNTP", "best"), ("Bi", "best")),
    Claim("c: MNTP, mean over weighted mean", ("Bi+MNTP", "mean"), ("Bi+MNTP", "weighted_mean")),
    Claim(
        "c: MNTP, weighted mean over last token",
        ("Bi+MNTP", "weighted_mean"),
        ("Bi+MNTP", "last_token"),
    ),
    Claim("d: MNTP and SimCSE over MNTP", ("Bi+MNTP+SimCSE", "best"), ("Bi+MNTP", "best")),
    Claim("e: SimCSE without MNTP, causal first", ("Uni+SimCSE", "best"), ("Bi+SimCSE", "best")),
    Claim("e: SimCSE, MNTP first", ("Bi+MNTP+SimCSE", "best"), ("Uni+SimCSE", "best")),
)
WORD_CLAIMS = (
    ("words: MNTP over bidirectional", "Bi+MNTP", "Bi"),
    ("words: MNTP over causal", "Bi+MNTP", "Uni"),
    ("words: MNTP over MNTP and SimCSE", "Bi+MNTP", "Bi+MNTP+SimCSE"),
    ("words: MNTP and SimCSE over bidirectional", "Bi+MNTP+SimCSE", "Bi"),
)


def main() -> None:
    """Train, measure, and print the tables."""
    options = parse_arguments()
    folders = train(options)
    found = {
        name: measure_model(name, folders[name], options, causal=run == "causal")
        for name, (run, _) in MODELS.items()
    }
    words = {
        name: measure_words(name, folders[name], options, causal=name == "Uni")
        for name in WORD_MODELS
    }
    for line in (*table(found), "", *word_table(words), "", *verdicts(found, words)):
        print(line)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a decoder's folder")
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument("--sts", type=Path, required=True, help="scored pairs, tab-separated")
    parser.add_argument("--beir", type=Path, nargs="+", required=True, help="judged collections")
    parser.add_argument("--words", type=Path, nargs=2, required=True, metavar=("TRAIN", "TEST"))
    parser.add_argument("--folder", type=Path, required=True, help="of runs and figures")
    parser.add_argument("--mntp-steps", type=int, default=160)
    parser.add_argument("--simcse-steps", type=int, default=60)
    parser.add_argument("--max-tokens", type=int, default=128, help="read of a text")
    return parser.parse_args()


def train(options: argparse.Namespace) -> dict[str, Path]:
    """Train what has to be trained; gives each model's folder."""
    stages: dict[str, StageSettings] = {
        "mntp": MntpSettings(
            steps=options.mntp_steps,
            batch_size=8,
            micro_batch_size=8,
            max_tokens=256,
            optimizer=OptimizerSettings(learning_rate=5e-4, warmup_steps=10),
        ),
        "simcse": SimcseSettings(
            steps=options.simcse_steps,
            batch_size=32,
            max_tokens=64,
            optimizer=OptimizerSettings(learning_rate=1e-4, warmup_steps=5),
        ),
    }
    made = {
        run: adapt(
            options.model,
            read_texts(options.text),
            settings=AdaptSettings(
                stages=tuple(stages[kind] for kind in kinds), causal=run == "causal"
            ),
            run_folder=options.folder / f"run {run}",
            resume=True,
            progress=show,
        )
        for run, kinds in RUNS.items()
    }
    return {
        name: encoder_folder(name, made[run], stages=count, options=options)
        for name, (run, count) in MODELS.items()
    }


def show(step: StepReport) -> None:
    """Tell how far training is."""
    print(f"{step.stage}: step {step.step} of {step.steps}, loss {step.loss:.3f}", flush=True)


def encoder_folder(
    name: str, made: Adaptation, *, stages: int, options: argparse.Namespace
) -> Path:
    """Make an encoder of the base and a run's first stages; the base itself for none."""
    if not stages:
        return Path(options.model)
    folder = Path(options.folder) / f"encoder {name}"
    if not folder.exists():
        write_adapter_encoder(
            folder,
            base=options.model,
            adapters=[(path.name, path) for path in made.adapters[:stages]],
            settings=read_any_spec(options.model).settings,
            lineage=made.lineage,
        )
    return folder


def table(found: Mapping[str, Mapping[str, Figures]]) -> Iterator[str]:
    """Set the figures out: a line for each model and pooling."""
    tasks = list(next(iter(next(iter(found.values())).values())))
    yield f"| model | pooling | {' | '.join(tasks)} | mean |"
    yield "|---" * (len(tasks) + 3) + "|"
    for name, sides in found.items():
        for pooling, figures in sides.items():
            cells = [cell(figures[task]) for task in tasks]
            mean = fmean(figure.value for figure in figures.values())
            yield f"| {name} | {pooling} | {' | '.join(cells)} | {mean:.3f} |"


def word_table(words: Mapping[str, Figures]) -> Iterator[str]:
    """Set the probe's figures out."""
    measures = list(next(iter(words.values())))
    yield f"| model | {' | '.join(measures)} |"
    yield "|---" * (len(measures) + 1) + "|"
    for name, figures in words.items():
        yield f"| {name} | {' | '.join(cell(figures[measure]) for measure in measures)} |"


def cell(measured: Measured) -> str:
    """Write a figure with its interval."""
    interval = measured.interval()
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def verdicts(
    found: Mapping[str, Mapping[str, Figures]],
    words: Mapping[str, Figures],
) -> Iterator[str]:
    """Say of each claim whether it holds."""
    yield "| claim | difference | |"
    yield "|---|---|---|"
    for claim in CLAIMS:
        better, worse = (over_tasks(chosen(found, side)) for side in (claim.better, claim.worse))
        yield verdict(claim.name, better, worse)
    for name, first, second in WORD_CLAIMS:
        for measure, figure in words[first].items():
            yield verdict(f"{name}, {measure}", figure, words[second][measure])


def chosen(found: Mapping[str, Mapping[str, Figures]], side: Side) -> Figures:
    """Find a side's figures."""
    name, pooling = side
    if pooling != "best":
        return found[name][pooling]
    return max(found[name].values(), key=lambda figures: fmean(f.value for f in figures.values()))


def over_tasks(figures: Figures) -> Measured:
    """Average over tasks, each with its own resamples."""
    rows = [figure.resamples for figure in figures.values()]
    return Measured(fmean(f.value for f in figures.values()), np.mean(rows, axis=0))


def verdict(name: str, better: Measured, worse: Measured) -> str:
    """Write a claim's line."""
    difference = better.minus(worse)
    said = "holds" if difference.low > 0 else "reversed" if difference.high < 0 else "undecided"
    numbers = f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
    return f"| {name} | {numbers} | {said} |"


if __name__ == "__main__":
    main()
