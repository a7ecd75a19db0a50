"""Answers of `archspec lsp` to a typist, over standard input and output, as an editor sees them.

    python benchmarks/language_server.py

A spec of 200 lines is changed 200 times, a letter of one step at a time through broken states, and
each change is followed by what editors ask for: hints and completion. The clock runs from sending
the change to the arrival of each answer. The same is done with a text of a mebibyte, ten times a
second, to see that answers do not queue up. Memory is that of the server at its end.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

URI = "file:///specs/net.yaml"
LINES = 200
CHANGES = 200
HERTZ = 10

HEADER = """\
name: net
input: [64, 64, 3]
vars: {width: 16}
variants: {small: {}, large: {width: 32}}
defaults:
  conv: {kernel: 3, padding: same, norm: batch, activation: relu}
layers:
"""
UNIT = """\
  - name: unit%d
    branches:
      - [conv: =width, conv: {filters: 16, kernel: 1}]
      - [conv: {filters: 16, kernel: 5}]
    merge: concat
  - {conv: =width * 2, name: reduce%d}
"""
TYPED = "  - conv: {filters: 32, kernel: 3, norm: batch, activation: relu}"


def spec(lines: int) -> tuple[str, str]:
    """Return a spec of about so many lines, cut in two where a step is typed."""
    units = [UNIT % (n, n) for n in range((lines - HEADER.count("\n")) // UNIT.count("\n"))]
    half = len(units) // 2
    return HEADER + "".join(units[:half]), "".join(units[half:]) + "  - global_avg_pool\n"


def typed() -> Iterator[str]:
    """Yield the states of a step that is typed and deleted again."""
    while True:
        yield from (TYPED[:end] for end in range(4, len(TYPED) + 1))
        yield from (TYPED[:end] for end in range(len(TYPED), 4, -1))


class Client:
    """The editor's side of a session."""

    def __init__(self) -> None:
        self.client: Any = LanguageClient("benchmark", "1")
        self.version = 0
        self.answered = asyncio.Event()

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: types.PublishDiagnosticsParams) -> None:
            if params.version == self.version:
                self.answered.set()

    async def start(self, text: str) -> None:
        await self.client.start_io(sys.executable, "-m", "archspec", "lsp")
        nothing = types.ClientCapabilities()
        await self.client.initialize_async(types.InitializeParams(nothing))
        self.client.initialized(types.InitializedParams())
        document = types.TextDocumentItem(URI, "yaml", self.version, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(document))
        await self.complete(0, 0)
        await self.answered.wait()

    def write(self, text: str) -> None:
        self.version += 1
        self.answered.clear()
        document = types.VersionedTextDocumentIdentifier(self.version, URI)
        whole = [types.TextDocumentContentChangeWholeDocument(text)]
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, whole))

    async def complete(self, line: int, column: int) -> None:
        at = types.Position(line, column)
        params = types.CompletionParams(types.TextDocumentIdentifier(URI), at)
        await self.client.text_document_completion_async(params)

    async def hints(self) -> None:
        shown = types.Range(types.Position(0, 0), types.Position(100, 0))
        params = types.InlayHintParams(types.TextDocumentIdentifier(URI), shown)
        await self.client.text_document_inlay_hint_async(params)

    def memory(self) -> int:
        """Return the server's largest memory in bytes."""
        status = Path(f"/proc/{self.client._server.pid}/status").read_text()  # noqa: SLF001
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def seconds(self) -> float:
        """Return the processor time that the server has taken."""
        fields = Path(f"/proc/{self.client._server.pid}/stat").read_text().split()  # noqa: SLF001
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    async def stop(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()


async def timed(answer: Any, begin: float) -> float:
    await answer
    return 1000 * (time.perf_counter() - begin)


def shown(name: str, values: list[float]) -> str:
    ordered = sorted(values)
    late = ordered[int(len(ordered) * 0.95)]
    return (
        f"{name:<12} median {statistics.median(values):6.1f} ms   95% {late:6.1f} ms   "
        f"worst {ordered[-1]:6.1f} ms"
    )


async def play(lines: int, changes: int, pause: float) -> None:
    before, after = spec(lines)
    client = Client()
    await client.start(f"{before}{after}")
    line = before.count("\n")
    seconds = client.seconds()
    found: dict[str, list[float]] = {"completion": [], "hints": [], "mistakes": []}
    sent: list[asyncio.Task[float]] = []
    for _, step in zip(range(changes), typed(), strict=False):
        begin = time.perf_counter()
        client.write(f"{before}{step}\n{after}")
        if pause:  # whatever is answered by then
            sent.append(asyncio.create_task(timed(client.complete(line, len(step)), begin)))
            await asyncio.sleep(max(pause - (time.perf_counter() - begin), 0))
            continue
        times = await asyncio.gather(
            timed(client.complete(line, len(step)), begin),
            timed(client.hints(), begin),
            timed(client.answered.wait(), begin),
        )
        for values, value in zip(found.values(), times, strict=True):
            values.append(value)
    if pause:
        found = {
            "completion": await asyncio.gather(*sent),
            "hints": [await timed(client.hints(), begin)],
            "mistakes": [await timed(client.answered.wait(), begin)],
        }
    size = len(before) + len(after)
    print(f"\n{(before + after).count(chr(10)):,} lines, {size:,} characters, {changes} changes")
    for name, values in found.items():
        print(shown(name, values))
    used = 1000 * (client.seconds() - seconds) / changes
    print(f"processor    {used:.1f} ms a change; memory {client.memory() / 1e6:.0f} MB")
    await client.stop()


def main() -> None:
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}")
    asyncio.run(play(LINES, CHANGES, 0.0))
    asyncio.run(play(22_000, 40, 1 / HERTZ))


if __name__ == "__main__":
    main()
