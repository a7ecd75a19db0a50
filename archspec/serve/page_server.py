"""The page server: a spec's page on this machine alone, redrawn whenever its file is saved."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from archspec.errors import UsageError
from archspec.render.page.document import document
from archspec.serve.board import Board, View, key
from archspec.serve.guard import Guard
from archspec.serve.loopback import address, hosts, listening, secret_of, settings
from archspec.serve.spec_file import ChangedError, Content, SpecFile
from archspec.serve.worker import RawAnswer, Worker
from archspec.spec.bundled import bundled
from archspec.spec.loading import locate

MOST_CHOICES: Final = 1_000
"""Largest number of variables that a browser may choose: a spec has no more."""

RETRY: Final = 500
"""Milliseconds after which a browser that lost the server asks for it again."""

SLOWEST_REQUEST: Final = 30.0
"""Seconds after which a request must have come whole."""

STATIC: Final = Path(__file__).parent / "static"

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

FILES: Final = {
    "": STATIC / "page.html",
    "live.js": STATIC / "live.js",
    "live.css": STATIC / "live.css",
    "codemirror.js": STATIC / "codemirror.js",
}
"""Everything that is served beside the spec, by the end of its address."""


class PageServer:
    """A server for one spec.

    Args:
        spec: A path, or the name of a network that comes with archspec; its variant may follow a
            colon.
        port: The port; None for `PORT`, or any other if that is taken.
        read_only: Whether the page cannot save.

    Raises:
        SpecError: There is no file to read.
        UsageError: There is no spec of this name, or the port cannot be had.

    """

    def __init__(self, spec: str, *, port: int | None = None, read_only: bool = False) -> None:
        path, self._variant = locate(spec)
        own = Path(path) in bundled().values()
        self.file = SpecFile(path, read_only=read_only or own)
        self._socket = listening(port)
        self.port: int = self._socket.getsockname()[1]
        self._secret = secret_of(self.file.path)
        self.app = Guard(self._application(), hosts(self.port), self._secret)

    @property
    def url(self) -> str:
        """The address to open. Whoever knows it can read the spec, and save it."""
        return address(self.port, self._secret)

    def run(self, announce: Callable[[str], None]) -> None:
        """Serve until Ctrl-C, which raises KeyboardInterrupt; call `announce` with the address."""
        config = settings(self.app, lifespan="on")
        _Server(config, lambda: announce(self.url), self._close).run(sockets=[self._socket])

    def _close(self) -> None:
        self._board.close()

    def _application(self) -> Starlette:
        static = [_static(f"/{end}", path) for end, path in FILES.items()]
        routes = [
            *static,
            Route("/network", _network),
            Route("/events", self._events),
            Route("/look", self._look, methods=["POST"]),
            Route("/help", self._help, methods=["POST"]),
            Route("/save", self._save, methods=["POST"]),
        ]
        wrong = (_BadRequestError, ClientDisconnect, TimeoutError)
        handlers = dict.fromkeys(wrong, _refused)
        app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers=handlers)
        app.router.redirect_slashes = False
        return app

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:  # noqa: ARG002
        self._pictures = Worker()
        self._drafts = Worker()
        self._board = Board(self.file, self._pictures)
        self._saving = asyncio.Lock()
        following = asyncio.create_task(self._board.follow())
        starting = [asyncio.create_task(each.start()) for each in (self._pictures, self._drafts)]
        try:
            yield
        finally:
            self._board.close()
            for task in (following, *starting):
                task.cancel()
            await asyncio.gather(following, *starting, return_exceptions=True)
            await asyncio.gather(self._pictures.stop(), self._drafts.stop())

    async def _events(self, request: Request) -> Response:
        """Send the state of the file now and after each change, as server-sent events."""
        view = self._view(_parsed(request.query_params.get("view", "{}")))

        async def events() -> AsyncIterator[bytes]:
            yield b"retry: %d\n\n" % RETRY
            async for state in self._board.updates(view):
                yield b": still here\n\n" if state is None else b"data: " + state + b"\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    async def _look(self, request: Request) -> Response:
        """Answer what a text that is not saved looks like."""
        asked = await _asked(request)
        question = self._view(asked.get("view", {})).question(_text(asked), self.file.name)
        answer = await self._drafts.ask(question)
        return _json(answer)

    async def _help(self, request: Request) -> Response:
        """Answer what may be written at a place of a text, or what stands there means."""
        asked = await _asked(request)
        kind, place = asked.get("ask"), asked.get("at")
        if kind not in ("complete", "hover") or not isinstance(place, int):
            raise _BadRequestError
        variant = self._view(asked).variant
        question = {"ask": kind, "at": place, "text": _text(asked), "name": self.file.name}
        return _json(await self._drafts.ask(question | {"variant": variant}))

    async def _save(self, request: Request) -> Response:
        """Write a text to the file, unless it is no longer what was edited."""
        asked = await _asked(request)
        version = asked.get("version")
        if not isinstance(version, str):
            raise _BadRequestError
        if self.file.read_only:
            return JSONResponse({"problem": f"{self.file.name} is read-only"}, 403)
        async with self._saving:
            try:
                content = await asyncio.to_thread(self.file.save, _text(asked), version)
            except ChangedError as error:
                return JSONResponse(_content(error.content), 409)
            except UsageError as error:
                return JSONResponse({"problem": str(error)}, 422)
        self._board.put(content)
        return JSONResponse(_content(content))

    def _view(self, asked: Any) -> View:
        """Return the view that a browser asks for; raise for what no page of ours asks."""
        if not isinstance(asked, dict):
            raise _BadRequestError
        variant, variables = asked.get("variant"), asked.get("variables", {})
        ours = isinstance(variables, dict) and len(variables) <= MOST_CHOICES
        if not ours or not isinstance(variant, str | None):
            raise _BadRequestError
        if not all(isinstance(value, str) for value in variables.values()):
            raise _BadRequestError
        return View(variant or self._variant, tuple(variables.items()))


class _Server(uvicorn.Server):
    """Uvicorn, which says when it listens, and ends the streams of events when it is to stop."""

    def __init__(
        self, config: uvicorn.Config, started: Callable[[], None], closing: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._started = started
        self._closing = closing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._started()

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._closing)


class _BadRequestError(Exception):
    """A request that no page of ours sends."""


def _static(address: str, path: Path) -> Route:
    async def file(request: Request) -> Response:
        content = await asyncio.to_thread(path.read_bytes)
        if path.suffix == ".html":
            content = content.replace(b"{nonce}", request.scope["nonce"].encode())
        return Response(content, media_type=TYPES[path.suffix])

    return Route(address, file)


async def _network(request: Request) -> Response:  # noqa: ARG001
    """Send the page of a network, which says itself what it may run; our page draws it."""
    text = document(None, script="window.archspec = archspec;\n")
    policy = {"content-security-policy": "frame-ancestors 'self'"}
    return Response(text, media_type=TYPES[".html"], headers=policy)


async def _asked(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request carries."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise _BadRequestError
    async with asyncio.timeout(SLOWEST_REQUEST):
        data = _parsed(await request.body())
    if not isinstance(data, dict):
        raise _BadRequestError
    return data


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _BadRequestError from None


def _text(asked: Mapping[str, Any]) -> str:
    text = asked.get("text")
    if not isinstance(text, str):
        raise _BadRequestError
    return text


def _json(answer: RawAnswer) -> Response:
    parts = (b'{"said":', answer.said, b',"page":', answer.page)
    page_key = json.dumps(key(answer.page)).encode()
    return Response(b"".join([*parts, b',"key":', page_key, b"}"]), media_type="application/json")


def _content(content: Content) -> dict[str, Any]:
    return {"version": content.version, "text": content.text}


async def _refused(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return PlainTextResponse("this is not what the page asks\n", 400)
