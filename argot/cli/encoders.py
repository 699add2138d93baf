"""`argot encoders`."""

from dataclasses import asdict
from pathlib import Path

import click

from argot.cli.output import find_project, json_option, print_json, project_option, say
from argot.encoders import NamedEncoder, find_encoder, list_encoders
from argot.errors import SettingsError
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
@click.option("--merged", type=click.Path(path_type=Path), help="Write one model folder here.")
@click.option(
    "--adapter", type=click.Path(path_type=Path), help="Write base path and adapters here."
)
@project_option
def export(name: str, *, merged: Path | None, adapter: Path | None, folder: Path | None) -> None:
    """Copy an encoder out of the project.

    The merged folder loads in sentence-transformers and transformers too, with the same vectors,
    and needs no base model beside it. The adapter folder is small and loads in Argot only.
    """
    if (merged is None) == (adapter is None):
        raise click.UsageError("give either --merged DIR or --adapter DIR")
    source = find_encoder(name, find_project(folder).paths)
    if merged is not None:
        try:
            from encoder.export import export_merged
        except ImportError as exc:
            raise SettingsError(
                f"merging needs torch: {exc}\nhint: pip install 'argot-search[encode]'"
            ) from exc
        export_merged(source, merged)
    elif adapter is not None:
        from encoder.directory import copy_adapter_encoder

        copy_adapter_encoder(source, adapter)
    say(f"wrote {merged or adapter}")


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
