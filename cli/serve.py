"""`archspec serve`: a spec's page in the browser, redrawn at every save."""

from __future__ import annotations

import os
import sys

import click

from .options import Whole, spec_argument
from .output import echo, terminal_width


@click.command(name="serve")
@spec_argument
@click.option("--port", type=Whole(1, 65_535), metavar="N", help="The port.  [8765 if it is free]")
@click.option(
    "--open/--no-open",
    "opens",
    default=None,
    help="Whether to open a browser.  [on a terminal with a screen]",
)
@click.option("--read-only", is_flag=True, help="The page cannot save.")
def command(spec: str, port: int | None, opens: bool | None, read_only: bool) -> None:
    """Show a spec's page in the browser, redrawn whenever its file is saved.

    The page has an editor, which checks and completes while you type, and writes the file when you
    save. Only this machine can open it, at the address that is printed. Ctrl-C ends the server.

    SPEC is a file, a network that comes with archspec (vgg), or a variant of one (vgg16).

    \b
    archspec serve mine.yaml
    archspec serve vgg16 --no-open
    """
    from archspec.errors import extra
    from archspec.imports.loading import needs_spec

    needs_spec(spec, "`archspec serve`")

    with extra("serve", "`archspec serve` needs more packages"):
        from archspec.serve.page_server import PageServer

    server = PageServer(spec, port=port, read_only=read_only)
    wanted = _has_a_screen() if opens is None else opens

    def announce(url: str) -> None:
        echo(f"serving {spec} at {url} (Ctrl-C ends it)")
        sys.stdout.flush()
        if wanted:
            _open(url)

    server.run(announce)


def _has_a_screen() -> bool:
    """Return whether somebody sits before a screen, who may not want a browser in a terminal."""
    shown = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return shown and terminal_width(sys.stdout) is not None


def _open(url: str) -> None:
    """Open the address in a browser, whose start is not waited for."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
