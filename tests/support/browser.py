"""Chromium for tests of pages: skipped where none is installed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open: TypeAlias = Callable[..., "Page"]

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that are a Chromium."""

PATIENCE: Final = 60_000
"""Milliseconds after which a test has failed; nothing takes as long where all is well."""

OWN: Final = re.compile(r"(file|data|blob|about):|(http|ws)://(127\.0\.0\.1|localhost)[:/]")
"""Beginning of the addresses that a page of archspec may load."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, one for all tests of a process."""
    playwright = pytest.importorskip("playwright.sync_api", exc_type=ImportError)
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Open]:
    """The function `opened(address, expected="", **window)`, which opens a page in a new window.

    The address is a file or a URL; `window` is what Playwright's `new_context` takes, such as
    `viewport` or `color_scheme`. When the test ends, it fails if a page had an error or a warning
    in its console, except one that the pattern `expected` finds, or loaded anything from elsewhere.
    """
    windows, problems = [], []

    def opened(address: str | Path, expected: str = "", **window: Any) -> Page:
        context = chromium.new_context(**window)
        context.set_default_timeout(PATIENCE)
        windows.append(context)
        page = context.new_page()

        def note(text: str) -> None:
            if not (expected and re.search(expected, text)):
                problems.append(text)

        page.on("pageerror", lambda error: note(str(error)))
        page.on(
            "console",
            lambda message: note(message.text) if message.type in ("error", "warning") else None,
        )
        page.on("request", lambda each: None if OWN.match(each.url) else problems.append(each.url))
        page.goto(address.absolute().as_uri() if isinstance(address, Path) else address)
        return page

    yield opened
    for context in windows:
        context.close()
    assert problems == [], problems
