"""The language server: `archspec.assist` for every editor that speaks the protocol.

It only wires: documents come in, the features of `archspec.assist` answer, and places are counted
as the client counts them. Nothing but the documents that the client sends is read.

Whatever takes long runs in threads: one examines documents, one answers a key, one draws what is
shown of an examined text. A document that changes while it is examined is examined once more, as it
is then, however often it changed; one that takes long, after a pause. So work never queues up.

The client sends the whole text with each change, because the protocol and pygls disagree on what
ends a line: a form feed in a comment would put a partial change in the wrong place.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from archspec import __version__
from archspec.assist import language
from archspec.assist.completion import Completion, completions
from archspec.assist.definition import definition, references
from archspec.assist.diagnostics import Mistake, full_message, mistakes
from archspec.assist.document import Document, Region
from archspec.assist.fixes import Fix, fixes
from archspec.assist.hints import Hint, hints
from archspec.assist.hover import hover
from archspec.assist.lenses import Lens, lenses
from archspec.assist.outline import Symbol, outline
from archspec.assist.places import Lines, lines_of

SOURCE: Final = "archspec"
"""Name under which editors show mistakes."""

SHOW_VARIANT: Final = "archspec.showVariant"
"""Command that shows the figures of another variant: its arguments are a URI and a name."""

PAUSE: Final = 0.3
"""Seconds without a change after which the other variants of a spec are examined."""

SLOW: Final = 0.1
"""Seconds of an examination from which on the next one waits for a pause in typing."""

_T = TypeVar("_T")

_COMPLETION_KINDS: Final = {
    "kind": types.CompletionItemKind.Class,
    "block": types.CompletionItemKind.Class,
    "argument": types.CompletionItemKind.Property,
    "key": types.CompletionItemKind.Keyword,
    "value": types.CompletionItemKind.EnumMember,
    "name": types.CompletionItemKind.Reference,
    "variable": types.CompletionItemKind.Variable,
    "function": types.CompletionItemKind.Function,
    "snippet": types.CompletionItemKind.Snippet,
}
_SYMBOL_KINDS: Final = {
    "section": types.SymbolKind.Namespace,
    "variable": types.SymbolKind.Variable,
    "variant": types.SymbolKind.EnumMember,
    "block": types.SymbolKind.Class,
    "step": types.SymbolKind.Function,
    "group": types.SymbolKind.Module,
}


class Opened:
    """A document that the client has opened, and the examination of its latest state."""

    def __init__(self, uri: str, text: str, version: int | None) -> None:
        path = to_fs_path(uri) or uri
        self.uri = uri
        self.document = Document(text, path.replace("\\", "/").rpartition("/")[2] or uri)
        self.version = version
        self.settled = asyncio.Event()
        """Set while the latest state is examined."""
        self.changed = asyncio.Event()
        """Set by a change, until its examination begins."""
        self.task: asyncio.Task[None] | None = None
        self.seconds = 0.0
        """Time that its last examination took."""
        self.has_mistakes = False
        """Whether the client shows mistakes of it."""

    def change(self, document: Document, version: int | None) -> None:
        self.document = document
        self.version = version
        self.settled.clear()
        self.changed.set()

    async def changes_within(self, seconds: float) -> bool:
        """Wait for a change; return whether one came in time."""
        try:
            await asyncio.wait_for(self.changed.wait(), seconds)
        except TimeoutError:
            return False
        return True


class SpecServer(LanguageServer):
    """A language server with the documents that are open."""

    def __init__(self) -> None:
        super().__init__(
            "archspec", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full
        )
        self.opened: dict[str, Opened] = {}
        self.is_shut_down = False
        self.status = 0
        """Exit status: 1 after an `exit` that no `shutdown` preceded, as the protocol asks."""
        self.completing = 0
        """Number of requests for completion so far."""
        self.examining = ThreadPoolExecutor(1, thread_name_prefix="examine")
        self.answering = ThreadPoolExecutor(1, thread_name_prefix="answer")
        self.drawing = ThreadPoolExecutor(1, thread_name_prefix="draw")

    # Documents.

    def open(self, uri: str, text: str, version: int | None) -> None:
        self.leave(self.opened.pop(uri, None))
        self.opened[uri] = Opened(uri, text, version)
        self.start(self.opened[uri])

    def change(self, uri: str, version: int | None) -> None:
        opened = self.opened.get(uri)
        if opened is not None:
            text = self.workspace.get_text_document(uri).source
            opened.change(opened.document.edited(text), version)
            self.start(opened)

    def close(self, uri: str) -> None:
        opened = self.opened.pop(uri, None)
        self.leave(opened)
        if opened is not None and opened.has_mistakes:
            self.publish(uri, None, [])

    def leave(self, opened: Opened | None) -> None:
        """Examine a document no more; requests that wait for that get their answers."""
        if opened is not None:
            opened.settled.set()
            if opened.task is not None:
                opened.task.cancel()

    def show_variant(self, uri: str, variant: str) -> None:
        opened = self.opened.get(uri)
        if opened is not None:
            opened.change(opened.document.showing(variant), opened.version)
            self.start(opened)

    def start(self, opened: Opened) -> None:
        """Examine a document, unless that is under way: then its latest state comes next."""
        if opened.task is None or opened.task.done():
            opened.task = asyncio.get_running_loop().create_task(self.examine(opened))

    async def examine(self, opened: Opened) -> None:
        """Examine the states of a document until the latest is done, then its other variants."""
        while self.opened.get(opened.uri) is opened:
            opened.changed.clear()
            while opened.seconds > SLOW and await opened.changes_within(min(opened.seconds, 1)):
                opened.changed.clear()
            document = opened.document
            begin = time.perf_counter()
            await self.show(opened, document)
            opened.seconds = time.perf_counter() - begin
            if await opened.changes_within(PAUSE):
                continue
            for variant in document.to_examine() if document.is_spec else ():
                await self.work(self.examining, document.examine, variant)
                if opened.document is not document:
                    break
            else:
                if document.members:
                    await self.show(opened, document)
            if opened.document is document:
                return

    async def show(self, opened: Opened, document: Document) -> None:
        """Send what a document's examination finds, unless it has changed by then."""
        version = opened.version
        lines, found = await self.work(self.examining, _examined, document, self.encoding)
        if opened.document is document:
            opened.settled.set()
            self.show_mistakes(opened, lines, found, version)
            self.refresh()

    def show_mistakes(
        self, opened: Opened, lines: Lines, found: tuple[Mistake, ...], version: int | None
    ) -> None:
        """Send the mistakes of a document; nothing for one that is not a spec and never was."""
        if found or opened.has_mistakes or opened.document.is_spec:
            opened.has_mistakes = bool(found)
            self.publish(opened.uri, version, [_diagnostic(lines, each) for each in found])

    def publish(self, uri: str, version: int | None, found: list[types.Diagnostic]) -> None:
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))

    def refresh(self) -> None:
        """Ask the client to ask again for what it shows between the lines."""
        workspace = self.client_capabilities.workspace
        if workspace and workspace.inlay_hint and workspace.inlay_hint.refresh_support:
            self.workspace_inlay_hint_refresh(None)
        if workspace and workspace.code_lens and workspace.code_lens.refresh_support:
            self.workspace_code_lens_refresh(None)

    # Answers.

    @property
    def encoding(self) -> str:
        encoding = self.workspace.position_encoding
        return str(getattr(encoding, "value", encoding) or "utf-16")

    async def work(
        self, threads: ThreadPoolExecutor, function: Callable[..., _T], *arguments: Any
    ) -> _T:
        return await asyncio.get_running_loop().run_in_executor(threads, function, *arguments)

    async def answer(
        self,
        uri: str,
        function: Callable[[Document, Lines], _T],
        otherwise: _T,
        *,
        drawn: bool = False,
    ) -> _T:
        """Return what a function says of a document.

        What is `drawn` from an examined text waits for that, and has a thread of its own, so that
        no answer to a key waits for it.
        """
        opened = self.opened.get(uri)
        if opened is None:
            return otherwise
        if drawn:
            await opened.settled.wait()
            if self.opened.get(uri) is not opened:
                return otherwise
        document, encoding = opened.document, self.encoding
        threads = self.drawing if drawn else self.answering
        return await self.work(
            threads, lambda: function(document, lines_of(document.text, encoding))
        )


def _examined(document: Document, encoding: str) -> tuple[Lines, tuple[Mistake, ...]]:
    """Examine a document; return its lines and mistakes."""
    if document.is_spec:
        _ = document.examined.rows  # so that hints need no work
    return lines_of(document.text, encoding), mistakes(document)


def make_server() -> SpecServer:
    """Return a server that is not yet connected: `start_io()` serves standard input and output."""
    server = SpecServer()
    _add_documents(server)
    _add_completion(server)
    _add_names(server)
    _add_views(server)
    _add_fixes(server)
    return server


def _add_documents(server: SpecServer) -> None:
    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:
        await server.work(server.answering, language.warm_up)

    @server.feature(types.SHUTDOWN)
    def shutdown(_: None) -> None:
        server.is_shut_down = True

    @server.feature(types.EXIT)
    def leave(_: None) -> None:
        server.status = 0 if server.is_shut_down else 1

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def did_open(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        server.open(document.uri, document.text, document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def did_change(params: types.DidChangeTextDocumentParams) -> None:
        server.change(params.text_document.uri, params.text_document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def did_close(params: types.DidCloseTextDocumentParams) -> None:
        server.close(params.text_document.uri)

    @server.command(SHOW_VARIANT)
    async def show_variant(uri: str, variant: str) -> None:
        server.show_variant(uri, variant)


def _add_completion(server: SpecServer) -> None:
    triggers = types.CompletionOptions(trigger_characters=[" ", "{", "[", ",", "=", "."])

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, triggers)
    async def complete(params: types.CompletionParams) -> types.CompletionList:
        item = server.client_capabilities.text_document
        known = item.completion.completion_item if item and item.completion else None
        snippets = bool(known and known.snippet_support)

        none: list[types.CompletionItem] = []
        number = server.completing = server.completing + 1

        def found(document: Document, lines: Lines) -> list[types.CompletionItem]:
            if number != server.completing:
                return none  # a later request has overtaken this one
            offset = _offset(lines, params.position)
            return [
                _completion(lines, place, each, snippets=snippets)
                for place, each in enumerate(completions(document, offset))
            ]

        items = await server.answer(params.text_document.uri, found, none)
        return types.CompletionList(is_incomplete=False, items=items)


def _add_names(server: SpecServer) -> None:
    """Explain a name, and find where it is defined and used."""

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def hovered(params: types.HoverParams) -> types.Hover | None:
        def found(document: Document, lines: Lines) -> types.Hover | None:
            said = hover(document, _offset(lines, params.position))
            if said is None:
                return None
            markdown = types.MarkupContent(types.MarkupKind.Markdown, said.markdown)
            return types.Hover(markdown, _range(lines, said.region))

        return await server.answer(params.text_document.uri, found, None, drawn=True)

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    async def defined(params: types.DefinitionParams) -> types.Location | None:
        uri = params.text_document.uri

        def found(document: Document, lines: Lines) -> types.Location | None:
            region = definition(document, _offset(lines, params.position))
            return types.Location(uri, _range(lines, region)) if region else None

        return await server.answer(uri, found, None)

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    async def used(params: types.ReferenceParams) -> list[types.Location]:
        uri = params.text_document.uri

        def found(document: Document, lines: Lines) -> list[types.Location]:
            regions = references(document, _offset(lines, params.position))
            return [types.Location(uri, _range(lines, region)) for region in regions]

        return await server.answer(uri, found, [])


def _add_views(server: SpecServer) -> None:
    """Show hints behind steps, the outline, and totals above variants."""

    @server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
    async def inlay_hints(params: types.InlayHintParams) -> list[types.InlayHint]:
        def found(document: Document, lines: Lines) -> list[types.InlayHint]:
            return [_hint(lines, each) for each in hints(document, _region(lines, params.range))]

        return await server.answer(params.text_document.uri, found, [], drawn=True)

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def symbols(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        def found(document: Document, lines: Lines) -> list[types.DocumentSymbol]:
            return [_symbol(lines, each) for each in outline(document)]

        return await server.answer(params.text_document.uri, found, [], drawn=True)

    @server.feature(types.TEXT_DOCUMENT_CODE_LENS)
    async def code_lenses(params: types.CodeLensParams) -> list[types.CodeLens]:
        uri = params.text_document.uri

        def found(document: Document, lines: Lines) -> list[types.CodeLens]:
            return [_lens(lines, uri, each) for each in lenses(document)]

        return await server.answer(uri, found, [], drawn=True)


def _add_fixes(server: SpecServer) -> None:
    options = types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)
    async def code_actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        uri = params.text_document.uri

        def found(document: Document, lines: Lines) -> list[types.CodeAction]:
            region = _region(lines, params.range)
            return [_action(lines, uri, each) for each in fixes(document, region)]

        return await server.answer(uri, found, [], drawn=True)


# Values of `assist` as those of the protocol.


def _offset(lines: Lines, position: types.Position) -> int:
    return lines.offset(position.line, position.character)


def _region(lines: Lines, selected: types.Range) -> Region:
    return Region(_offset(lines, selected.start), _offset(lines, selected.end))


def _position(lines: Lines, offset: int) -> types.Position:
    return types.Position(*lines.position(offset))


def _range(lines: Lines, region: Region) -> types.Range:
    return types.Range(_position(lines, region.start), _position(lines, region.stop))


def _diagnostic(lines: Lines, mistake: Mistake) -> types.Diagnostic:
    return types.Diagnostic(
        range=_range(lines, mistake.region),
        message=full_message(mistake.diagnostic),
        severity=types.DiagnosticSeverity.Error,
        code=mistake.diagnostic.code,
        source=SOURCE,
    )


def _completion(
    lines: Lines, number: int, completion: Completion, *, snippets: bool
) -> types.CompletionItem:
    text = completion.text
    is_snippet = completion.is_snippet and snippets
    if completion.is_snippet and not snippets:
        text = _without_stops(text)
    about = types.MarkupContent(types.MarkupKind.Markdown, completion.about)
    return types.CompletionItem(
        label=completion.label,
        kind=_COMPLETION_KINDS[completion.sort],
        detail=completion.detail or None,
        documentation=about if completion.about else None,
        sort_text=f"{number:05}",
        text_edit=types.TextEdit(_range(lines, completion.region), text),
        insert_text_format=types.InsertTextFormat.Snippet
        if is_snippet
        else types.InsertTextFormat.PlainText,
        insert_text_mode=types.InsertTextMode.AsIs,
    )


def _without_stops(snippet: str) -> str:
    """Return a snippet as plain text: `${1:x}` becomes x."""
    return re.sub(r"\$\{\d+:?([^}]*)\}|\$\d", r"\1", snippet)


def _hint(lines: Lines, hint: Hint) -> types.InlayHint:
    about = types.MarkupContent(types.MarkupKind.Markdown, hint.about)
    place = _position(lines, hint.offset)
    return types.InlayHint(place, hint.text, tooltip=about, padding_left=True)


def _symbol(lines: Lines, symbol: Symbol) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=symbol.name or "?",
        detail=symbol.detail or None,
        kind=_SYMBOL_KINDS[symbol.sort],
        range=_range(lines, symbol.region),
        selection_range=_range(lines, symbol.selection),
        children=[_symbol(lines, each) for each in symbol.children],
    )


def _lens(lines: Lines, uri: str, lens: Lens) -> types.CodeLens:
    command = types.Command(lens.text, "")
    if lens.variant is not None:
        command = types.Command(lens.text, SHOW_VARIANT, arguments=[uri, lens.variant])
    return types.CodeLens(_range(lines, lens.region), command)


def _action(lines: Lines, uri: str, fix: Fix) -> types.CodeAction:
    edit = types.TextEdit(_range(lines, fix.edit.region), fix.edit.text)
    return types.CodeAction(
        title=fix.title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[_diagnostic(lines, fix.mistake)],
        is_preferred=True,
        edit=types.WorkspaceEdit(changes={uri: [edit]}),
    )


def serve() -> int:
    """Serve one client over standard input and output until it ends; return the exit status."""
    logging.getLogger("pygls").setLevel(logging.ERROR)  # else each late cancellation is a warning
    server = make_server()
    server.start_io()
    return server.status
