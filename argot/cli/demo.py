"""`argot demo`: a decoder LLM becomes an encoder, indexes, answers and is measured."""

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import click

from argot.cli.adapt import draw as draw_training
from argot.cli.ingest import draw as draw_ingestion
from argot.cli.output import duration, progress_line, say
from argot.demo.project import CORPUS, make_demo
from argot.encoders import load_encoder
from argot.errors import SettingsError
from argot.evaluation.searches import evaluate_collection, evaluate_searcher
from argot.project import Project
from argot.report import Row, comparison, table, write_report
from argot.settings import EncoderChoice
from argot.training.report import read_metrics, training_curves
from retriever.evaluation.evaluation import EvaluationReport
from retriever.evaluation.judgements import read_beir
from retriever.settings import Mode, SearchSettings

QUESTIONS = (
    "how do I read a whole text file into a string",
    "keep only the n largest items of a list",
    "run a shell command and get its output",
)


@click.command("demo")
@click.argument("folder", type=click.Path(path_type=Path), default="demo", metavar="[DIR]")
@click.option("--steps", type=click.IntRange(min=1), help="Of each stage, without a time limit.")
def command(folder: Path, *, steps: int | None) -> None:
    """Try everything: adapt a small LLM, index, answer, measure.

    What an interrupted run has made is kept: run it again to go on.
    """
    if importlib.util.find_spec("peft") is None:
        raise SettingsError("the demo trains\nhint: pip install 'argot-search[train]'")
    run(folder, steps=steps)


def run(folder: Path, *, steps: int | None) -> None:
    """Make, measure, adapt, measure again; what an interrupted run has made is kept."""
    clock = Clock()
    with clock("prepare"):
        if not (folder / "argot.toml").exists():
            make_demo(folder, say=say)
    name, rows = compare(folder, folder / CORPUS, steps=steps, clock=clock)
    project = Project.open(folder)
    with clock("answer questions"):
        ask(project)
    report = folder / "report.html"
    curves = training_curves(read_metrics(project.paths.runs / name / "metrics.jsonl"))
    write_report(
        report,
        title="Argot demo",
        parts=[("Comparison", comparison(rows) + table(rows)), ("Training", curves)],
    )
    conclude(project, rows, report=report, clock=clock)


def compare(
    folder: Path, collection: Path, *, steps: int | None, clock: "Clock"
) -> tuple[str, list[Row]]:
    """Search a judged collection in five ways, adapting the project's base model on its text.

    Args:
        folder: A project whose one source is the collection, and whose model is a decoder.
        collection: A folder in BEIR's layout.
        steps: Of each stage; None: as the project says.
        clock: Announces and times the steps.

    Returns:
        Name of the adapted encoder, which the project now uses, and a row for each way.
    """
    project = Project.open(folder)
    rows = [*base_rows(project, collection, clock)]
    with clock("adapt"):
        name = adapt(project, collection, steps=steps)
    use_encoder(folder, name)
    rows += adapted_rows(Project.open(folder), collection, clock)
    return name, rows


@dataclass(slots=True)
class Clock:
    """Times the steps of the demo."""

    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Announce a step and time it."""
        say(f"── {step}")
        began = monotonic()
        yield
        self.steps[step] = monotonic() - began
        say(f"   {duration(self.steps[step])}")


def base_rows(project: Project, collection: Path, clock: Clock) -> Iterator[Row]:
    """Measure words alone, and the base LLM as it is and bidirectional."""
    base = project.settings.encoder.base
    ways: tuple[tuple[str, bool | None, Mode], ...] = (
        ("BM25", None, "sparse"),
        ("base LLM, causal, mean", True, "dense"),
        ("base LLM, bidirectional", None, "dense"),
    )
    for name, causal, mode in ways:
        with clock(f"measure {name}"):
            choice = EncoderChoice(model="" if mode == "sparse" else base, causal=causal)
            yield measure(project, collection, choice, name=name, mode=mode)


def measure(
    project: Project, collection: Path, choice: EncoderChoice, *, name: str, mode: Mode
) -> Row:
    """Index the corpus for this measurement only, and measure one way of searching."""
    dense = load_encoder(choice, project.paths)
    with progress_line() as line:
        found = evaluate_collection(
            collection,
            dense=dense,
            searches={name: SearchSettings(mode=mode)},
            progress=lambda progress: draw_ingestion(line, progress),
        )[name]
    return row(name, found.report, seconds=found.index_seconds + found.search_seconds)


def row(name: str, report: EvaluationReport, *, seconds: float) -> Row:
    """One line of the table."""
    mean = report.metrics["ndcg@10"]
    recall = report.metrics["recall@100"].value
    return Row(
        name=name,
        value=mean.value,
        low=mean.low,
        high=mean.high,
        seconds=seconds,
        note=f"recall@100 {recall:.3f}",
    )


def adapt(project: Project, collection: Path, *, steps: int | None) -> str:
    """Train the stages of argot.toml, or go on where an interrupted run stopped."""
    from argot.training.adaptation import adapt_project, adapt_settings

    name = f"adapted-{steps}" if steps else "adapted"
    if not (project.paths.encoders / name).exists():
        changes: dict[str, Any] = (
            {"steps": steps, "time_budget_seconds": 24 * 3600.0} if steps else {}
        )
        with progress_line() as line:
            adapt_project(
                project,
                name=name,
                text=[collection / "corpus.jsonl"],
                settings=adapt_settings(project, **changes),
                resume=True,
                progress=lambda report: draw_training(line, report),
                announce=line.show,
            )
    return name


def use_encoder(root: Path, name: str) -> None:
    """Set `model` in argot.toml to the adapted encoder, as a user would with an editor."""
    path = root / "argot.toml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = [f'model = "{name}"\n' if line.startswith("model = ") else line for line in lines]
    aside = path.with_name("argot.toml.unfinished")
    aside.write_text("".join(changed), encoding="utf-8")
    aside.replace(path)


def adapted_rows(project: Project, collection: Path, clock: Clock) -> list[Row]:
    """Fill the project's index with the adapted encoder; measure it alone and with BM25."""
    with clock("index the corpus with the adapted encoder"):
        began = monotonic()
        with progress_line() as line:
            project.ingest(rebuild=True, progress=lambda progress: draw_ingestion(line, progress))
        indexing = monotonic() - began
    judgements = read_beir(collection)
    rows = []
    with clock("measure the adapted encoder"), project.search_session() as session:
        modes: tuple[tuple[str, Mode], ...] = (
            ("adapted LLM", "dense"),
            ("adapted LLM and BM25, hybrid", "hybrid"),
        )
        for name, mode in modes:
            began = monotonic()
            report = evaluate_searcher(session.searcher, judgements, mode=mode)
            rows.append(row(name, report, seconds=indexing + monotonic() - began))
    return rows


def ask(project: Project) -> None:
    """Answer questions through LangChain."""
    with project.retriever(k=3) as retriever:
        for question in QUESTIONS:
            say(f"   {question}?")
            for document in retriever.invoke(question):
                score = document.metadata["score"]
                say(f"     {document.metadata['document_id']:32} {score:.4f}")


def conclude(project: Project, rows: list[Row], *, report: Path, clock: Clock) -> None:
    """Print the table, what took how long, and what to do next."""
    lines = [f"{'search':32} {'nDCG@10':>8}  {'95 % interval':16} {'seconds':>8}"]
    lines += [
        f"{row.name:32} {row.value:8.3f}  {row.low:.3f} to {row.high:.3f}   {row.seconds:8.0f}"
        for row in rows
    ]
    total = sum(clock.steps.values())
    training = clock.steps["adapt"]
    click.echo("\n".join(["", *lines]))
    folder = project.paths.root
    argot = shutil.which("argot") or Path(sys.executable).with_name("argot")
    say(
        f"\n{duration(total)} in all, {duration(training)} of it training. "
        f"Plots: {report.resolve()}\n"
        f'Search it: {argot} search "merge two dictionaries" --project {folder} --explain\n\n'
        "The same with your own documents and your own model:\n"
        f"  {argot} init my-project --model path/to/decoder --source path/to/documents\n"
        f"  {argot} ingest --project my-project\n"
        f"  {argot} adapt --project my-project"
    )
