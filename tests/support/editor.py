"""An editor without a screen: a client of the language server that keeps what an editor shows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient

URI = "file:///specs/net.yaml"

COMMAND = (sys.executable, "-m", "archspec", "lsp", "--stdio")


Play: TypeAlias = "Callable[[Editor], Awaitable[None]]"
"""What is done and looked at in an editor."""


class Editor:
    """A client that speaks to `archspec lsp` over standard input and output."""

    def __init__(self) -> None:
        self.client: Any = LanguageClient("test", "1")
        self.text = ""
        self.version = 0
        self.opened: set[str] = set()
        self.published: dict[str, list[types.Diagnostic]] = {}
        self.versions: dict[str, int | None] = {}
        self.news = asyncio.Event()
        self.refreshed = 0
        self.capabilities: types.ServerCapabilities | None = None

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: types.PublishDiagnosticsParams) -> None:
            self.published[params.uri] = list(params.diagnostics)
            self.versions[params.uri] = params.version
            self.news.set()

        @self.client.feature(types.WORKSPACE_INLAY_HINT_REFRESH)
        def refreshed(_: Any) -> None:
            self.refreshed += 1
            self.news.set()

        @self.client.feature(types.WORKSPACE_CODE_LENS_REFRESH)
        def lenses_refreshed(_: Any) -> None:
            self.news.set()

    async def start(self, encodings: list[str] | None = None) -> None:
        await self.client.start_io(*COMMAND)
        refresh = types.InlayHintWorkspaceClientCapabilities(refresh_support=True)
        lenses = types.CodeLensWorkspaceClientCapabilities(refresh_support=True)
        item = types.ClientCompletionItemOptions(snippet_support=True)
        capabilities = types.ClientCapabilities(
            general=types.GeneralClientCapabilities(position_encodings=encodings),
            workspace=types.WorkspaceClientCapabilities(inlay_hint=refresh, code_lens=lenses),
            text_document=types.TextDocumentClientCapabilities(
                completion=types.CompletionClientCapabilities(completion_item=item)
            ),
        )
        answer = await self.client.initialize_async(types.InitializeParams(capabilities))
        self.capabilities = answer.capabilities
        self.client.initialized(types.InitializedParams())

    async def stop(self) -> int:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        server = self.client._server  # noqa: SLF001  (the process, of which pygls has no other name)
        code = await asyncio.wait_for(server.wait(), 60)
        await self.client.stop()
        return int(code)

    def open(self, text: str, uri: str = URI) -> None:
        self.text = text
        self.version += 1  # what is said of an earlier document of this name is not of this one
        self.opened.add(uri)
        document = types.TextDocumentItem(uri, "yaml", self.version, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(document))

    def write(self, text: str, uri: str = URI) -> None:
        """Send a new text, as an editor does after each key."""
        self.text = text
        self.version += 1
        document = types.VersionedTextDocumentIdentifier(self.version, uri)
        whole = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [whole]))

    def close(self, uri: str = URI) -> None:
        document = types.TextDocumentIdentifier(uri)
        self.opened.discard(uri)
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(document))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is as it should be, as long as the server sends news."""
        while not holds():
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 120)

    async def mistakes(self, uri: str = URI) -> list[types.Diagnostic]:
        """Return the mistakes of the latest text."""
        await self.until(lambda: self.versions.get(uri) == self.version)
        return self.published[uri]

    async def hints(self, uri: str = URI) -> dict[int, str]:
        """Return the hints by line, from 0."""
        everything = types.Range(types.Position(0, 0), types.Position(10**6, 0))
        params = types.InlayHintParams(types.TextDocumentIdentifier(uri), everything)
        answer = await self.client.text_document_inlay_hint_async(params)
        return {hint.position.line: str(hint.label) for hint in answer}

    async def complete(self, line: int, column: int) -> dict[str, types.CompletionItem]:
        document, at = types.TextDocumentIdentifier(URI), types.Position(line, column)
        params = types.CompletionParams(document, at)
        answer = await self.client.text_document_completion_async(params)
        return {item.label: item for item in answer.items}

    async def hover(self, line: int, column: int) -> types.Hover | None:
        document, at = types.TextDocumentIdentifier(URI), types.Position(line, column)
        answer = await self.client.text_document_hover_async(types.HoverParams(document, at))
        return answer if isinstance(answer, types.Hover) else None

    async def fixes(self, found: types.Diagnostic) -> list[types.CodeAction]:
        document = types.TextDocumentIdentifier(URI)
        context = types.CodeActionContext([found])
        params = types.CodeActionParams(document, found.range, context)
        return list(await self.client.text_document_code_action_async(params))

    async def lenses(self) -> list[types.CodeLens]:
        params = types.CodeLensParams(types.TextDocumentIdentifier(URI))
        return list(await self.client.text_document_code_lens_async(params))


def applied(text: str, edit: types.WorkspaceEdit) -> str:
    """Return a text after an edit, whose columns are UTF-16 code units."""
    lines = text.split("\n")
    for each in (edit.changes or {})[URI]:
        start, end = each.range.start, each.range.end
        before = _units(lines[start.line])[: 2 * start.character].decode("utf-16-le")
        after = _units(lines[end.line])[2 * end.character :].decode("utf-16-le")
        lines[start.line : end.line + 1] = (before + each.new_text + after).split("\n")
    return "\n".join(lines)


def _units(line: str) -> bytes:
    return line.encode("utf-16-le")


@contextmanager
def editing(encodings: list[str] | None = None) -> Iterator[Callable[[Play], None]]:
    """The function `session(play)`, which plays a session in an editor without open documents.

    One server answers in all of them, and ends with the context.
    """
    editor = Editor()

    async def session(play: Play) -> None:
        try:
            await play(editor)
        finally:
            for uri in list(editor.opened):
                editor.close(uri)
            editor.published.clear()

    # In a thread, to its end: Playwright's event loop may run in this one.
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        runner = asyncio.Runner()
        stack.callback(lambda: pool.submit(runner.close).result())

        def run(work: Coroutine[Any, Any, Any]) -> Any:
            return pool.submit(runner.run, work).result()

        run(editor.start(encodings))
        yield lambda play: run(session(play))
        assert run(editor.stop()) == 0


@pytest.fixture(scope="module")
def session() -> Iterator[Callable[[Play], None]]:
    """The function `session` of `editing`, for the tests of a file."""
    with editing() as played:
        yield played
