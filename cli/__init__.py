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
from typing import Any

import click

from archspec import __version__

from .commands import COMMANDS, WORDS

# Pydantic would look through every installed package for plugins before it checks anything.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class _Commands(click.Group):
    """Commands loaded on use, from the module of the same name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [*COMMANDS]  # `list` is a command of this package once it is imported

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
            from archspec.errors import suggestion

            from .spelling import CALLS

            meant = (CALLS | WORDS).get(name.lower().replace("-", "_"))
            hint = suggestion(name, COMMANDS, what="commands", meant=meant)
            ctx.fail(f"there is no command `{name}`; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None
        except click.ClickException as error:
            from archspec.text import printable

            vars(error)["message"] = printable(error.message)
            raise
        except Exception as error:
            code = _report(error)
            if code is None:
                raise
            raise click.exceptions.Exit(code) from None


def _report(error: Exception) -> int | None:
    """Print a user's mistake and return the exit code; None for other errors."""
    from archspec.errors import EngineError, SpecError, UsageError

    if isinstance(error, SpecError):
        from .output import complain

        complain([error])
        return 1
    if isinstance(error, UsageError | EngineError):
        from archspec.text import printable

        from .spelling import spelled

        click.echo(f"error: {printable(spelled(str(error)))}", err=True)
        return 2 if isinstance(error, UsageError) else 1
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
    variant of your own file follows a colon: mine.yaml:large. build, check, compare, draw, fits and
    roofline take model files too: .keras, .onnx, .tflite and others.
    """
    # A terminal that cannot show a character must not end a table half-way.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
