"""`archspec serve` in a process of its own, and what it tells browsers."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
from support.commands import Forked, start

if TYPE_CHECKING:
    import httpx

LONG: Final = 600.0
"""Seconds after which a test has failed; nothing takes as long where all is well."""


def free_port() -> int:
    """Return a free port to serve at again; the usual one may be another test's in between."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Served:
    """A server in a process of its own."""

    def __init__(self, process: Forked, output: Any) -> None:
        import httpx

        self.process = process
        self._output = output
        self.url = self._address()
        parts = urlsplit(self.url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.client = httpx.Client(base_url=self.url, timeout=LONG, verify=False)  # noqa: S501  (plain HTTP)

    def _address(self) -> str:
        patience = time.monotonic() + LONG
        while time.monotonic() < patience:
            if found := re.search(r"http://\S+", self.printed()):
                return found[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(self.printed())

    def printed(self) -> str:
        self._output.seek(0)
        return str(self._output.read())

    def post(self, end: str, data: Any, **headers: str) -> httpx.Response:
        own = {"origin": self.origin, "content-type": "application/json"}
        return self.client.post(end, content=json.dumps(data), headers=own | headers)

    @contextlib.contextmanager
    def events(self, **view: Any) -> Iterator[Events]:
        query = {"view": json.dumps(view)}
        with self.client.stream("GET", "events", params=query) as response:
            yield Events(response)

    def stop(self) -> int:
        """End it by Ctrl-C, and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait()

    def close(self) -> None:
        self.client.close()
        self._output.close()


class Events:
    """The states that a browser is told."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def until(self, wanted: Callable[[Any], bool]) -> Any:
        """Return the first state that is wanted."""
        for line in self._lines:
            if line.startswith("data: ") and wanted(state := json.loads(line[6:])):
                return state
        raise AssertionError("the events ended")

    def next(self) -> Any:
        return self.until(bool)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Callable[..., Served]]:
    """The function `served(spec, *options)`, which starts a server; all end with the context.

    What they print, and their caches, are in the folder.
    """
    servers: list[Served] = []

    def served(spec: object, *options: object) -> Served:
        output = (folder / f"output{len(servers)}").open("w+", encoding="utf-8")
        process = start(
            *("serve", spec, "--no-open", *options),
            modules=("support.served",),
            streams=[output, output],
            XDG_CACHE_HOME=str(folder / "cache"),
        )
        servers.append(Served(process, output))
        return servers[-1]

    yield served
    for server in servers:
        assert server.stop() == 130
        server.close()


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., Served]]:
    """The function `serving` of servers that end with the test."""
    with serving(tmp_path) as served:
        yield served
