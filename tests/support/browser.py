"""Chromium for tests of pages: skipped where none is installed."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

Open: TypeAlias = Callable[..., "Page"]

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that are a Chromium."""

PATIENCE: Final = 60_000
"""Milliseconds after which a test has failed; nothing takes as long where all is well."""

SIZE: Final = {"width": 1280, "height": 720}
"""Pixels of a window."""

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


@pytest.fixture(scope="session")
def idle_windows() -> defaultdict[float, list[Page]]:
    """Windows that tests have left, by their scale.

    To open another takes 0.4 s of processor time, to show a page in one that is open a tenth of it.
    """
    return defaultdict(list)


@pytest.fixture
def open_page(chromium: Browser, idle_windows: defaultdict[float, list[Page]]) -> Iterator[Open]:
    """The function `opened(address, expected="", ...)`, which opens a page in a window of its own.

    The address is a file or a URL; the other arguments are those of Playwright's `new_context`.
    When the test ends, it fails if a page had an error or a warning in its console, except one that
    the pattern `expected` finds, loaded anything from elsewhere or opened a dialog.
    """
    problems: list[str] = []
    used: list[tuple[float, Page, dict[str, Callable[[Any], None]]]] = []

    def opened(
        address: str | Path,
        expected: str = "",
        viewport: Any = SIZE,
        color_scheme: Any = "light",
        device_scale_factor: float = 1,
    ) -> Page:
        idle = idle_windows[device_scale_factor]
        page = idle.pop() if idle else _new_window(chromium, device_scale_factor)

        def note(text: str) -> None:
            if not (expected and re.search(expected, text)):
                problems.append(text)

        def noted_message(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                note(message.text)

        def noted_request(request: Request) -> None:
            if not OWN.match(request.url):
                problems.append(request.url)

        def noted_dialog(dialog: Dialog) -> None:
            if dialog.type != "beforeunload":
                problems.append(dialog.message)
            dialog.accept()

        listeners = {
            "pageerror": lambda error: note(str(error)),
            "console": noted_message,
            "request": noted_request,
            "dialog": noted_dialog,
        }
        for event, listener in listeners.items():
            page.on(event, listener)
        used.append((device_scale_factor, page, listeners))
        page.set_viewport_size(viewport)
        page.emulate_media(media="null", color_scheme=color_scheme)
        page.goto(address.absolute().as_uri() if isinstance(address, Path) else address)
        return page

    yield opened
    for scale, page, listeners in used:
        page.goto("about:blank")
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
        idle_windows[scale].append(page)
    assert problems == [], problems


def _new_window(chromium: Browser, scale: float) -> Page:
    context = chromium.new_context(device_scale_factor=scale)
    context.set_default_timeout(PATIENCE)
    return context.new_page()
