"""The command `argot`: finds the subcommand, and turns errors into exit codes.

A subcommand's module is imported when it runs, so that ``argot --help`` loads nothing heavy.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from adapters_training.errors import TrainingError, TrainingInterruptedError
from argot import __version__
from argot.cli.talk import set_up
from argot.cli.visible import visible
from argot.errors import ArgotError, NoProjectError
from connectors.errors import ConnectorError
from encoder.errors import EncoderError
from indexing.errors import (
    DeleteGuardError,
    IndexingError,
    IndexLockedError,
    LiveIndexError,
    WrongEncoderError,
)
from retriever.errors import (
    JudgementsError,
    MissingPrincipalError,
    ModeError,
    PlanError,
    QuestionError,
    RetrieverError,
)

DONE, FAILED, USAGE, PARTLY, REFUSED, LOCKED, NO_PROJECT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 10, 130

COMMANDS = {
    "demo": "Try everything: adapt a small LLM, index, answer, measure.",
    "init": "Make a project: a commented argot.toml.",
    "doctor": "Check versions, hardware, model, engine and folders.",
    "adapt": "Teach the base model the language of your documents.",
    "encoders": "List, show or export the project's encoders.",
    "ingest": "Bring the index in step with its sources.",
    "migrate": "Read the collection of a LangChain QdrantVectorStore.",
    "index": "Build, promote, check and clean up versions of the index.",
    "search": "Search the index.",
    "ask": "Answer a question from the documents, and cite them.",
    "eval": "Measure retrieval against judged queries.",
    "tune": "Set how rankings are fused, on judged queries.",
    "status": "Show what is indexed and what failed.",
}

EXIT_CODES = (
    (TrainingInterruptedError, INTERRUPTED),
    (NoProjectError, NO_PROJECT),
    (IndexLockedError, LOCKED),
    ((WrongEncoderError, DeleteGuardError, LiveIndexError, MissingPrincipalError), REFUSED),
    ((ArgotError, ModeError, PlanError, QuestionError, JudgementsError), USAGE),
    ((IndexingError, EncoderError, RetrieverError, ConnectorError, TrainingError), FAILED),
    (OSError, FAILED),
)
"""The first that fits."""


class LazyCommands(click.Group):
    """Subcommands by name, each in its own module.

    Args:
        table: Help by name, in the order of use.
        modules: What a module's name begins with; the command's name follows.
        options: Of every group.
    """

    def __init__(self, *, table: Mapping[str, str], modules: str, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(**options)
        self._table = table
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order they are used."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load one."""
        if cmd_name not in self._table:
            return None
        module = import_module(f"{self._modules}{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List them without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._table.items()))


@click.group(
    cls=LazyCommands,
    table=COMMANDS,
    modules="argot.cli.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="argot")
@click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
def cli(*, verbose: bool) -> None:
    """Teach your own decoder LLM your company's language, and search your documents with it."""
    set_up(verbose=verbose)


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    try:
        code = cli.main(arguments, prog_name="argot", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; run the same command again to go on", err=True)
        return INTERRUPTED
    except Exception as error:
        known = exit_code(error)
        if known is None:
            raise
        click.echo(visible(f"error: {error}"), err=True)
        return known
    return code if isinstance(code, int) else DONE


def exit_code(error: Exception) -> int | None:
    """Look up the exit code of an error of ours; None for one that is a defect."""
    return next((code for kinds, code in EXIT_CODES if isinstance(error, kinds)), None)


if __name__ == "__main__":
    main()
