"""A network's page as one HTML file, which needs no other file and no network."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.render.figure.svg import style
from archspec.render.html import ground, policy, script_data, source
from archspec.render.page.data import page_data
from archspec.text import without_controls

if TYPE_CHECKING:
    from archspec.cost.report import Report

_HERE: Final = Path(__file__).parent


def document(data: Mapping[str, Any] | None, *, script: str = "") -> str:
    """Return the page that shows data of `page_data`.

    It may run its own script and no other, and may load nothing.

    Args:
        data: The network; None for a page that is empty until something calls `archspec.show`.
        script: JavaScript that runs after the page's own; it may call `archspec.show`.

    """
    sheet = "\n".join([ground(), style(), _file("page.css")])
    code = _file("page.js") + script
    values = {
        "TITLE": html.escape(without_controls(data["name"] if data else "archspec")),
        "POLICY": policy(f"style-src {source(sheet)}", f"script-src {source(code)}"),
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
