"""`argot encoders`."""

from dataclasses import asdict
from pathlib import Path

import click

from argot.cli.output import find_project, json_option, print_json, project_option, say
from argot.encoders import NamedEncoder, find_encoder, list_encoders
from argot.errors import NoProjectError, SettingsError
from argot.paths import ProjectPaths
from encoder.directory import read_any_spec


@click.group("encoders")
def command() -> None:
    """List, show or export the project's encoders."""


@command.command("list")
@json_option
@project_option
def list_(*, as_json: bool, folder: Path | None) -> None:
    """List the project's encoders."""
    project = find_project(folder)
    encoders = list_encoders(project.paths)
    chosen = project.settings.encoder.model
    if as_json:
        print_json({"encoders": [summary(encoder, chosen) for encoder in encoders]})
        return
    if not encoders:
        say("no encoders yet; `argot adapt` makes one")
    for encoder in encoders:
        mark = "*" if encoder.name == chosen else " "
        stages = " → ".join(entry.name for entry in encoder.spec.adapters) or "no adapters"
        click.echo(
            f"{mark} {encoder.name}  {encoder.spec.fingerprint[:12]}  {encoder.spec.model_type}, "
            f"{encoder.spec.dimensions} dimensions, {stages}"
        )


@command.command("show")
@click.argument("name")
@json_option
@project_option
def show(name: str, *, as_json: bool, folder: Path | None) -> None:
    """Show what an encoder is and how it was made."""
    path = find_encoder(name, find_project(folder).paths)
    spec = read_any_spec(path)
    content = {"folder": str(path), "fingerprint": spec.fingerprint, **asdict(spec)}
    if as_json:
        print_json(content)
        return
    settings = spec.settings
    click.echo(f"{path}\nfingerprint {spec.fingerprint}\n{spec.form} of {spec.model_type}")
    click.echo(
        f"{spec.dimensions} dimensions, {settings.pooling} pooling, at most {settings.max_tokens} "
        f"tokens, {'causal' if settings.causal else 'bidirectional'}"
    )
    for stage in spec.lineage.get("stages", []):
        click.echo(
            "stage " + ", ".join(f"{key} {value}" for key, value in stage.items() if plain(value))
        )


@command.command("export")
@click.argument("name")
@click.option(
    "--merged", type=click.Path(path_type=Path), metavar="DIR", help="Write one model folder here."
)
@click.option(
    "--adapter",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write all stages as one LoRA adapter here.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Of the merged weights; default: as the base model's are stored.",
)
@click.option(
    "--base",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Where the base model lies now, if it was moved.",
)
@project_option
def export(
    name: str,
    *,
    merged: Path | None,
    adapter: Path | None,
    dtype: str | None,
    base: Path | None,
    folder: Path | None,
) -> None:
    """Write an encoder as one folder, with a model card.

    The merged folder loads in sentence-transformers and transformers too, with the same vectors,
    and needs no base model beside it. The adapter folder is small and needs its base model: it
    loads in Argot, and in peft. An index built with one form is searched with the other.
    """
    if (merged is None) == (adapter is None):
        raise click.UsageError("give either --merged DIR or --adapter DIR")
    if adapter is not None and dtype is not None:
        raise click.UsageError("--dtype is for --merged; an adapter is written in float32")
    source = find_encoder(name, paths_if_any(folder))
    try:
        from encoder.export import export_adapter, export_merged
        from encoder.llm2vec import as_dtype
    except ImportError as exc:
        raise SettingsError(
            f"exporting needs torch: {exc}\nhint: pip install 'argot-search[encode]'"
        ) from exc
    if merged is not None:
        export_merged(source, merged, dtype=as_dtype(dtype), base=base)
    elif adapter is not None:
        export_adapter(source, adapter, base=base)
    say(f"wrote {merged or adapter}")


def paths_if_any(folder: Path | None) -> ProjectPaths | None:
    """Find the project; None outside of one, where an encoder is named by its folder."""
    try:
        return find_project(folder).paths
    except NoProjectError:
        if folder is not None:
            raise
        return None


def summary(encoder: NamedEncoder, chosen: str) -> dict[str, object]:
    """An encoder as the JSON output has it."""
    return {
        "name": encoder.name,
        "in_use": encoder.name == chosen,
        "fingerprint": encoder.spec.fingerprint,
        "form": encoder.spec.form,
        "model_type": encoder.spec.model_type,
        "dimensions": encoder.spec.dimensions,
        "stages": [entry.name for entry in encoder.spec.adapters],
    }


def plain(value: object) -> bool:
    """Tell whether a value fits on a line."""
    return isinstance(value, str | int | float)
