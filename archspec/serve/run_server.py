"""The page of a run that trains, on this machine alone: `archspec fit --serve`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from archspec.runs.files import INDEX, LINKED, NETWORK_PAGE
from archspec.runs.outcome import Run
from archspec.serve.guard import HEADERS, Guard
from archspec.serve.loopback import address, hosts, listening, secret_of, settings
from archspec.training.callbacks import RunFacts, Watcher

NAMES: Final = (INDEX, NETWORK_PAGE, *LINKED)
"""Files of the run's folder that are served: the page, and those to which it has links."""

POLICY: Final = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""Content policy besides the page's own, which lets only the page's own script run."""

WATCHED: Final = 6.0
"""Seconds since the last request for which a browser is taken to be watching. Its page asks every
1.5 seconds."""


class RunServer(Watcher):
    """A watcher that serves the page of its run, until the run has ended and is shown."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        """Take the usual port, or any other if that is taken.

        Args:
            announce: Function that is called with the address once the run has a folder.

        """
        self._announce = announce
        self._socket = listening(None)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._asked = -WATCHED
        """Time of the last request for the page."""

    def begins(self, facts: RunFacts) -> None:
        """Serve the run's folder in a thread."""
        port, secret = self._socket.getsockname()[1], secret_of(facts.folder.resolve())
        headers = HEADERS | {"content-security-policy": POLICY}
        app = Guard(self._application(facts.folder), hosts(port), secret, headers)
        self._server = uvicorn.Server(settings(app, lifespan="off"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        self._announce(address(port, secret, INDEX))

    def ends(self, run: Run) -> None:  # noqa: ARG002
        """Stop serving; first let a page that is open come for the last state."""
        ended = time.monotonic()
        while self._asked < ended < self._asked + WATCHED and time.monotonic() < ended + WATCHED:
            time.sleep(0.05)
        self.close()

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()

    def _application(self, home: Path) -> Starlette:
        def route(name: str) -> Route:
            async def file(request: Request) -> Response:  # noqa: ARG001
                path = home / name
                if not await asyncio.to_thread(path.is_file):
                    return PlainTextResponse("the run has not written this file yet\n", 404)
                if name == INDEX:
                    self._asked = time.monotonic()
                return FileResponse(path)

            return Route(f"/{name}", file)

        return Starlette(routes=[route(name) for name in NAMES])
