"""A message of the library as the command line spells it.

The library quotes its own Python in backticks (see `archspec.errors`): an argument as
`epochs=3`, a call as `archspec.resume('runs/a')`. Here they become `--epochs 3` and
`archspec fit --resume runs/a`. Which option an argument has is read off the command that runs: the
option's parameter has the argument's name, with `_` for `.`. Other keys of a recipe are
`--train KEY=VALUE`.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from typing import Any, Final

import click

from .commands import COMMANDS

CALLS: Final = {
    "report": "build",
    "resume": "fit --resume",
    "compare_runs": "compare --runs",
    "diff": "compare --diff",
    "networks": "list",
    "kinds": "list --kinds",
    "find_lr": "fit --find-lr",
    "join_search": "search --resume",
    "time_network": "measure --time",
    "import_model": "import",
}
"""Commands of public functions whose names differ."""

CURRENT: Final = "archspec.command"
"""Key of a context's `meta`: the command that runs, if it is in a group inside the main one."""

_QUOTED: Final = re.compile(r"`([^`\n]*)`")
_ARGUMENT: Final = re.compile(r"([a-z_]+(?:\.\w+)*)=(.*)", re.DOTALL)
_CALL: Final = re.compile(r"archspec\.(\w+)\(.*\)", re.DOTALL)


def spelled(text: str, command: click.Command | None = None) -> str:
    """Return a message of the library with options for arguments, and commands for calls.

    Args:
        text: the message, or a docstring.
        command: whose options these are; by default the command that runs.

    """

    def spell(match: re.Match[str]) -> str:
        words = _option(match[1], command or current()) or _command(match[1]) or match[1]
        return f"`{words}`"

    return _QUOTED.sub(spell, text)


def current() -> click.Command | None:
    """Return the command that runs."""
    context = click.get_current_context(silent=True)
    if context is None:
        return None
    if CURRENT in context.meta:
        command: click.Command = context.meta[CURRENT]
        return command
    group, name = context.command, context.invoked_subcommand
    return group.get_command(context, name) if isinstance(group, click.Group) and name else group


def _option(code: str, command: click.Command | None) -> str | None:
    """Return the option for `name=value`; None where the command has none."""
    match = _ARGUMENT.fullmatch(code)
    if match is None:
        return None
    name, value = match[1], "" if match[2] == "..." else _word(match[2])
    options = {str(each.name): each for each in command.params} if command else {}
    option = options.get(name.replace(".", "_"))
    if isinstance(option, click.Argument):
        name = option.human_readable_name.strip("[].")
        return f"{name} {shlex.quote(value)}"
    if isinstance(option, click.Option):
        flag = option.opts[-1]
        return flag if option.is_flag or not value else f"{flag} {shlex.quote(value)}"
    if "train" in options:
        return f"--train {shlex.quote(f'{name}={value}')}" if value else f"--train {name}=..."
    return None


def _command(code: str) -> str | None:
    """Return the command for a call of a public function; None if there is none."""
    match = _CALL.fullmatch(code)
    name = match[1] if match else ""
    if name not in CALLS and name not in COMMANDS:
        return None
    try:
        call = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(call, ast.Call):
        return None
    words = ["archspec", CALLS.get(name, name)]
    words += [shlex.quote(_word(ast.unparse(each))) for each in call.args]
    for each in call.keywords:
        words += [
            f"--{str(each.arg).replace('_', '-')}",
            shlex.quote(_word(ast.unparse(each.value))),
        ]
    return " ".join(words)


def _word(text: str) -> str:
    """Return a Python value as a word of a command; other text, such as `...`, as it is.

    A list or a mapping is written as the YAML that an option takes.
    """
    try:
        value: Any = ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return value if isinstance(value, str) else text
