"""The address of servers of pages: on this machine alone, with a secret in it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import secrets
import socket
from pathlib import Path
from typing import Final, Literal

import uvicorn

from archspec.errors import UsageError
from archspec.serve.guard import App

ADDRESS: Final = "127.0.0.1"

PORT: Final = 8765
"""Port that is taken if it is free, so that a page finds the server again after a restart."""

MOST_CONNECTIONS: Final = 256
"""Largest number of connections; further ones are refused."""

LARGEST_HEAD: Final = 16_384
"""Largest number of bytes of a request's line and headers."""


def address(port: int, secret: str, file: str = "") -> str:
    """Return the address to open."""
    return f"http://{ADDRESS}:{port}/{secret}/{file}"


def settings(app: App, *, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    """Return the settings of a server that says nothing of itself and ends at once.

    Args:
        app: The application.
        lifespan: Whether it is told when the server starts and ends.

    """
    return uvicorn.Config(
        app,
        access_log=False,
        date_header=False,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        limit_concurrency=MOST_CONNECTIONS,
        lifespan=lifespan,
        log_level="critical",
        server_header=False,
        timeout_graceful_shutdown=1,
        ws="none",
    )


def hosts(port: int) -> list[str]:
    """Return the names under which a browser may address the server."""
    return [f"{name}:{port}" for name in (ADDRESS, "localhost", "[::1]")]


def listening(port: int | None) -> socket.socket:
    """Return a socket of this machine alone; raise `UsageError` if the port cannot be had."""
    for each in (PORT, 0) if port is None else (port,):
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere it would let two programs have one port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((ADDRESS, each))
            opened.listen(MOST_CONNECTIONS)
        except OSError as error:
            opened.close()
            if error.errno == errno.EADDRINUSE and port is None and each:
                continue
            if error.errno == errno.EADDRINUSE:
                reason = "another program has it; leave it out to take a free one"
            else:
                reason = (error.strerror or str(error)).lower()
            raise UsageError(f"`port={each}` cannot be had: {reason}") from None
        return opened
    raise AssertionError


def secret_of(path: Path) -> str:
    """Return the secret part of a page's address: the same after a restart, for this user.

    It is made with a key in the user's cache folder; without one, it is another each time.
    """
    key = secrets.token_bytes(32)
    with contextlib.suppress(OSError, RuntimeError):
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archspec"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "serve.key"
        with contextlib.suppress(FileExistsError):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as opened:
                opened.write(key)
        with file.open("rb") as opened:
            kept = opened.read(64)
        if len(kept) == len(key):
            key = kept
    return hmac.new(key, os.fsencode(path), hashlib.sha256).hexdigest()[:32]
