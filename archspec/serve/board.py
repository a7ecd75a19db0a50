"""The state that browsers are shown: the file, and its network as each of them chose to see it.

Nothing is queued for a browser. Each takes the latest state when it is ready for one, so that a
slow one, or one that was asleep, delays nobody and misses only what has been superseded.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from archspec.errors import Diagnostic
from archspec.serve.spec_file import Content, SpecFile
from archspec.serve.watching import changes
from archspec.serve.worker import NO_PAGE, RawAnswer, Worker

KEPT: Final = 8
"""Number of answers that are kept for browsers with the same view."""

BEAT: Final = 15.0
"""Seconds after which a browser without news hears that the server is there."""


class View(NamedTuple):
    """The member of a family that a browser shows, and the variables it has changed."""

    variant: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    def question(self, text: str, name: str) -> dict[str, Any]:
        """Return the question for a text's picture."""
        variables = dict(self.variables)
        return {
            "ask": "look",
            "text": text,
            "name": name,
            "variant": self.variant,
            "variables": variables,
        }


class Latest(NamedTuple):
    """The latest of a file, as JSON: what is said of it, and the page to show with that."""

    said: bytes
    page: bytes
    page_key: str
    stale: bool
    """Whether the page is of an earlier text, because this one has mistakes."""


class Board:
    """The latest state of a file. `follow` keeps it up to date; browsers read `updates`."""

    def __init__(self, file: SpecFile, worker: Worker) -> None:
        self.file = file
        self.content = file.read()
        self.closed = False
        self._worker = worker
        self._news = asyncio.Event()
        self._answers: OrderedDict[tuple[str, View], asyncio.Task[RawAnswer]] = OrderedDict()
        self._last_good: str | None = None

    async def follow(self) -> None:
        """Read the file whenever it may have changed."""
        async for _ in changes(self.file.path):
            self.put(await asyncio.to_thread(self.file.read))

    def put(self, content: Content) -> None:
        """Take another content of the file, and wake everybody who waits for one."""
        if content != self.content:
            self.content = content
            self._wake()

    def close(self) -> None:
        """End all `updates`."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def updates(self, view: View) -> AsyncIterator[bytes | None]:
        """Yield the state as JSON, now and whenever it has changed; None where there is no news."""
        content, shown = None, ""
        while not self.closed:
            news = self._news
            if content is self.content:
                try:
                    async with asyncio.timeout(BEAT):
                        await news.wait()
                except TimeoutError:
                    yield None
                continue
            content = self.content
            latest = await self.latest(content, view)
            known = latest.page_key == shown
            yield self._state(content, latest._replace(page=NO_PAGE) if known else latest)
            shown = latest.page_key

    async def latest(self, content: Content, view: View) -> Latest:
        """Return what is to be said of a content, with the last good page if it has none itself."""
        if content.text is None:
            marks = [_of_the_file(each) for each in content.problems]
            said = json.dumps({"mistakes": marks}).encode()
        else:
            answer = await self._answer(content.text, view)
            said, page = answer.said, answer.page
            if page != NO_PAGE:
                self._last_good = content.text
                return Latest(said, page, key(page), stale=False)
        good = self._last_good
        page = NO_PAGE if good is None else (await self._answer(good, view)).page
        return Latest(said, page, key(page), stale=True)

    async def _answer(self, text: str, view: View) -> RawAnswer:
        """Return the answer for a text, which is computed once for everybody with this view."""
        place = (text, view)
        task = self._answers.get(place)
        if task is None:
            question = view.question(text, self.file.name)
            task = self._answers[place] = asyncio.create_task(self._worker.ask(question))
        self._answers.move_to_end(place)
        while len(self._answers) > KEPT:
            self._answers.popitem(last=False)
        answer = await asyncio.shield(task)  # a browser that leaves does not end it
        if answer.failed:  # another time it may do
            self._answers.pop(place, None)
        return answer

    def _state(self, content: Content, latest: Latest) -> bytes:
        file = {
            "name": self.file.name,
            "version": content.version,
            "text": content.text,
            "read_only": self.file.read_only,
        }
        head = json.dumps({"file": file, "key": latest.page_key, "stale": latest.stale}).encode()
        return b"".join([head[:-1], b',"said":', latest.said, b',"page":', latest.page, b"}"])


def key(page: bytes) -> str:
    """Return a word that is another for every other page, "" for none."""
    return "" if page == NO_PAGE else hashlib.sha256(page).hexdigest()[:16]


def _of_the_file(diagnostic: Diagnostic) -> dict[str, Any]:
    data = diagnostic.to_dict()
    return data | {"notes": list(diagnostic.notes), "from": 0, "to": 0}
