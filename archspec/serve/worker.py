"""A process that answers questions about texts, one after another, in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

ALLOWED_SECONDS: Final = 30.0
"""Longest time for one answer; the slowest of those that archspec's limits allow takes a few."""

MOST_WAITING: Final = 64
"""Largest number of questions that wait for a worker."""

LONGEST_ANSWER: Final = 2**27
"""Largest number of bytes of an answer."""

NO_PAGE: Final = b"null"


class RawAnswer(NamedTuple):
    """An answer as JSON: what is said, and the page or `null`."""

    said: bytes
    page: bytes
    failed: bool = False
    """Whether there is no answer, only a sentence that says why."""


class Worker:
    """A process of `archspec.serve.answers`. One that fails or is too slow is replaced."""

    def __init__(self, seconds: float = ALLOWED_SECONDS) -> None:
        self.seconds = seconds
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._process: Process | None = None

    async def start(self) -> None:
        """Start the process before the first question comes."""
        async with self._turn:
            await self._running()

    async def ask(self, question: Mapping[str, Any]) -> RawAnswer:
        """Return the answer to a question, or a sentence that says why there is none."""
        if self._waiting >= MOST_WAITING:
            return _failed("too many people ask at once; try again")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._answer(json.dumps(question).encode())
        finally:
            self._waiting -= 1

    async def stop(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()  # closes its pipes

    async def _answer(self, question: bytes) -> RawAnswer:
        answered = False
        try:
            async with asyncio.timeout(self.seconds):
                process = await self._running()
                assert process.stdin is not None  # noqa: S101  (they are pipes)
                assert process.stdout is not None  # noqa: S101
                process.stdin.write(question + b"\n")
                await process.stdin.drain()
                said = await process.stdout.readline()
                page = await process.stdout.readline()
                answered = page.endswith(b"\n")
        except TimeoutError:
            return _failed(f"this takes longer than {self.seconds:g} seconds, and was stopped")
        except (OSError, ValueError):  # a closed pipe, a line that is too long
            return _failed("this network is too large for a page")
        finally:
            if not answered:  # what it still says would be taken for the next answer
                await self.stop()
        if not answered:
            return _failed("this needs more than archspec allows a page, and was stopped")
        return RawAnswer(said.rstrip(), page.rstrip())

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            # -P: a module beside the spec must not be imported for one of Python's own. A session
            # of its own: Ctrl-C in the terminal is the server's.
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "archspec.serve.answers"),
                stdin=PIPE,
                stdout=PIPE,
                limit=LONGEST_ANSWER,
                start_new_session=os.name == "posix",
            )
        return self._process


def _failed(sentence: str) -> RawAnswer:
    return RawAnswer(json.dumps({"failed": sentence}).encode(), NO_PAGE, failed=True)
