"""`archspec lsp`: the language server, which an editor starts."""

from __future__ import annotations

import os
import signal

import click


@click.command(name="lsp")
@click.option("--stdio", is_flag=True, hidden=True)  # clients ask for what is the only way
def command(stdio: bool) -> None:  # noqa: ARG001
    """Answer an editor while a spec is written (a language server).

    An editor starts it and speaks to it over standard input and output: see editors/ for the lines
    that VS Code, Neovim, Helix, Zed and Emacs need. It shows mistakes as one types, with fixes;
    completes and explains kinds, arguments and names; and puts shape, parameters and MACs behind
    each step. It reads nothing but the open specs, and leaves other YAML files alone.
    """
    from archspec.errors import extra

    with extra("lsp", "`archspec lsp` needs pygls"):
        from archspec.serve.language_server import serve

    # On Ctrl-C pygls waits for the next line of its input, and Python at its end for threads,
    # though nobody is left to hear what a long examination finds.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os._exit(serve())
