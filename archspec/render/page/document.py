"""A network's page as one HTML file, which needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.render.figure.svg import style
from archspec.render.html import ground, script_data
from archspec.render.page.data import page_data
from archspec.text import without_controls

if TYPE_CHECKING:
    from archspec.cost.report import Report

_HERE: Final = Path(__file__).parent


def document(data: Mapping[str, Any] | None, *, connect: str = "'none'", script: str = "") -> str:
    """Return the page that shows data of `page_data`.

    The page may run its own script and no other, and may load nothing.

    Args:
        data: The network; None for a page that is empty until something calls `archspec.show`.
        connect: Addresses to which the script may connect, as in a Content-Security-Policy.
        script: JavaScript that runs after the page's own; it may call `archspec.show`.

    """
    sheet = "\n" + ground() + style() + "\n" + _file("page.css")
    code = "\n" + _file("page.js") + script
    values = {
        "TITLE": html.escape(without_controls(data["name"] if data else "archspec")),
        "POLICY": "; ".join(
            [
                "default-src 'none'",
                f"style-src {_source(sheet)}",
                f"script-src {_source(code)}",
                f"connect-src {connect}",
                "base-uri 'none'",
                "form-action 'none'",
            ]
        ),
        "STYLE": sheet,
        "DATA": script_data(data),
        "SCRIPT": code,
    }
    return re.sub(f"@({'|'.join(values)})@", lambda match: values[match[1]], _file("page.html"))


def write(report: Report, path: Path, **layout: Any) -> Path:
    """Write a network's page to an .html file; `layout` is what `page_data` takes."""
    if path.suffix != ".html":
        raise UsageError(f"{path}: the page of a network is an .html file")
    text = document(page_data(report, **layout))
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    return path


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """Return what a Content-Security-Policy calls an inline script or style sheet."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
