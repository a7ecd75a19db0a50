"""The gate before servers of pages: who may ask, how much, and what a browser may do with it.

A page of any website can make a browser ask 127.0.0.1. So a request must come to an address of
this server (else a name that resolves to 127.0.0.1 would do), must not come from another origin,
and must know the secret in the address, which neither websites nor other users of the machine do.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from archspec.render.html import policy

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES: Final = 4 * 2**20
"""Largest body of a request: 1 MiB of text as JSON."""

HEADERS: Final = {
    "content-security-policy": policy(
        "script-src 'self'",
        # CodeMirror makes a style sheet, which has the nonce, and gives elements style attributes.
        "style-src 'self' 'nonce-{nonce}'",
        "style-src-attr 'unsafe-inline'",
        "img-src data:",
        "connect-src 'self'",
        "frame-src 'self'",
        "frame-ancestors 'none'",
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",  # the address holds the secret
    "x-content-type-options": "nosniff",
}
"""Headers of every answer that has no other value of its own."""


class Guard:
    """An application that lets through only what its own pages ask."""

    def __init__(
        self, app: App, hosts: Iterable[str], secret: str, headers: Mapping[str, str] = HEADERS
    ) -> None:
        self._app = app
        self._headers = headers
        self._hosts = {host.encode() for host in hosts}
        self._origins = {b"http://" + host for host in self._hosts}
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with a sentence."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        nonce = secrets.token_urlsafe(16)
        scope["nonce"] = nonce
        own = [(n.encode(), v.format(nonce=nonce).encode()) for n, v in self._headers.items()]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name for name, _ in given}
                message["headers"] = [*given, *(each for each in own if each[0] not in names)]
            await send(message)

        if refusal is not None:
            await _refuse(answer, *refusal)
            return
        scope["path"] = "/" + scope["path"].split("/", 2)[2]
        scope["root_path"] = ""
        await self._app(scope, _bounded(receive), answer)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = list(scope["headers"])
        hosts = [value for name, value in headers if name == b"host"]
        origins = [value for name, value in headers if name == b"origin"]
        sizes = [value for name, value in headers if name == b"content-length"]
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "this server answers at 127.0.0.1 only"
        changing = scope["method"] not in ("GET", "HEAD")
        if any(each.lower() not in self._origins for each in origins) or (changing and not origins):
            return 403, "this page may not ask here"
        parts = scope["path"].split("/", 2)
        known = len(parts) == 3 and secrets.compare_digest(parts[1].encode(), self._secret.encode())
        if not known:
            return 403, "open the address that was printed"
        if any(not each.isdigit() or int(each[:20]) > MOST_BYTES for each in sizes):
            return 413, "this is larger than a spec may be: 1 MiB"
        return None


def _bounded(receive: Receive) -> Receive:
    """Return a receiver that stops reading a body that is too large."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        return {"type": "http.disconnect"} if size > MOST_BYTES else message

    return bounded


async def _refuse(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})
