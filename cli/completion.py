"""`archspec completion`: a script with which a shell completes archspec's words."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS), metavar="SHELL")
def command(shell: str) -> None:
    """Print a script with which a shell completes archspec's words.

    It completes commands, options, networks and kinds, in bash, zsh and fish.

    \b
    archspec completion bash > ~/.local/share/bash-completion/completions/archspec
    archspec completion zsh > ~/.zfunc/_archspec      # a folder of your fpath
    archspec completion fish > ~/.config/fish/completions/archspec.fish
    """
    from click.shell_completion import get_completion_class

    from . import main
    from .output import echo

    kind = get_completion_class(shell)
    if kind is None:  # click knows these three
        raise click.UsageError(f"there is no completion for {shell}")
    # `source()` would run bash to ask for its version, and fail where there is no bash.
    completion = kind(main, {}, "archspec", "_ARCHSPEC_COMPLETE")
    echo(completion.source_template % completion.source_vars())
