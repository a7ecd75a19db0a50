"""A network's page as one HTML file, which needs no other file and no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec import atomic
from archspec.errors import UsageError
from archspec.render.figure.svg import style
from archspec.render.html import ground, page, script_data
from archspec.render.page.data import page_data

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
    return page(
        data["name"] if data else "archspec",
        _file("body.html").replace("@DATA@", script_data(data)),
        sheet="\n".join([ground(), style(), _file("page.css")]),
        script=_file("page.js") + script,
        classes="archspec",
    )


def write(report: Report, path: Path, **layout: Any) -> Path:
    """Write a network's page to an .html file; `layout` is what `page_data` takes."""
    if path.suffix != ".html":
        raise UsageError(f"{path}: the page of a network is an .html file")
    return atomic.save(path, document(page_data(report, **layout)))


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
