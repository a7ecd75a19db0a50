"""The command line: parse, call the library, render, exit code. One command a file.

Exit codes: 0 done, 1 something is wrong with a spec, 2 something is wrong with the command line,
130 interrupted. Anything else that goes wrong is a bug, and its traceback is shown.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from typing import Any, Final

import click

from archspec import __version__

# Pydantic would look through every installed package for plugins before it checks anything.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

COMMANDS: Final[dict[str, str]] = {
    "build": "Show what a network costs; write it as a model or a report.",
    "check": "Prove a spec: every variant valid, its figures and budgets true.",
    "compare": "Show networks side by side, or where two of them differ; or trainings.",
    "fit": "Train a network, and keep all of the run in a folder.",
    "evaluate": "Score trained networks on images they were not trained on.",
    "predict": "Predict the classes of images with a trained network.",
    "explain": "Show what a trained network sees: maps, filters, features, and more.",
    "export": "Write a trained model for other programs, each file proven by running it.",
    "probe": "Show activations and gradients at initialisation.",
    "list": "List the networks that come with archspec, or the kinds of steps.",
    "show": "Explain a kind of step, or print a bundled spec.",
    "schema": "Print the JSON Schema of specs, for editors.",
    "completion": "Print a script with which a shell completes archspec's words.",
}
"""Every command, with the first line of its help: `archspec --help` imports none of them."""

WORDS = {
    "train": "fit",
    "run": "fit",
    "summary": "build",
    "cost": "build",
    "validate": "check",
    "verify": "build --verify",
    "test": "evaluate",
    "score": "evaluate",
    "infer": "predict",
    "convert": "export",
    "ls": "list",
    "models": "list",
    "help": "--help",
    "version": "--version",
}
"""What other tools call a command."""


class _Commands(click.Group):
    """Commands loaded on use, from the module of the same name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f".{cmd_name}", __package__).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from archspec.diagnostics import suggestion

            from .spelling import CALLS

            meant = (CALLS | WORDS).get(name.lower().replace("-", "_"))
            hint = suggestion(name, COMMANDS, what="commands", meant=meant)
            ctx.fail(f"there is no command `{name}`; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None
        except click.ClickException as error:
            from archspec.render.diagnostics import printable

            vars(error)["message"] = printable(error.message)
            raise
        except Exception as error:
            code = _report(error)
            if code is None:
                raise
            raise click.exceptions.Exit(code) from None


def _report(error: Exception) -> int | None:
    """Say what the user did wrong; give the exit code, or None for what is no user's mistake."""
    from archspec.diagnostics import SpecError, UsageError

    if isinstance(error, SpecError):
        from .output import complain

        complain([error])
        return 1
    if isinstance(error, UsageError):
        from archspec.render.diagnostics import printable

        from .spelling import spelled

        click.echo(f"error: {printable(spelled(str(error)))}", err=True)
        return 2
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        click.echo(f"error: cannot write: {error.strerror}", err=True)
        return 1
    return None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="archspec %(version)s")
def main() -> None:
    """Convolutional networks as specs: exact costs in a blink, then training.

    SPEC is a file, a network that comes with archspec (vgg), or a variant of one (vgg16). A
    variant of your own file stands behind a colon: mine.yaml:large.
    """
    # A terminal that cannot show a character is no reason to fail half-way through a table.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
