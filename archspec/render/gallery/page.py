"""A gallery as one HTML page, which needs no other file and no network.

It has no script, except items that are whole pages, in sandboxed frames.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from archspec.explain.gallery import (
    Chart,
    Exhibit,
    Gallery,
    Item,
    Page,
    Picture,
    PictureFile,
    Table,
)
from archspec.render.gallery import charts, drawing
from archspec.render.html import ground
from archspec.runs.storage import plain

ROWS: Final = 40
"""Largest number of rows of a table that are shown: a large network has 10,000 units."""

FEW_ROWS: Final = 30
"""Largest number of rows of a table that is not folded."""

SHORT: Final = 400
"""Largest number of letters of a list of names that is not folded."""

LONGEST_ALT: Final = 1_000
"""Largest number of letters of the alternative text of a picture."""

Drawn: TypeAlias = Callable[[Picture | Chart], bytes]
"""Function that returns the PNG of an item."""

_STYLE: Final = Path(__file__).with_name("page.css")


def whole(gallery: Gallery, png: Drawn | None = None) -> str:
    """Return the page of a gallery; `png` returns pictures that are drawn already."""
    title = html.escape(f"{gallery.method} of {gallery.network}")
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>body {{ margin: 0 }} .archspec {{ padding: 1.2rem;"
        f" min-height: 100vh; box-sizing: border-box }}\n{_style()}</style>\n</head>\n<body>\n"
        f"<main>{_body(gallery, png or _drawn)}</main>\n</body>\n</html>\n"
    )


def fragment(gallery: Gallery) -> str:
    """Return a gallery as HTML for a notebook."""
    return f"<style>{_style()}</style>{_body(gallery, _drawn)}"


def _drawn(item: Picture | Chart) -> bytes:
    return drawing.png(item) if isinstance(item, Picture) else charts.chart_png(item)


def _style() -> str:
    return ground() + _STYLE.read_text(encoding="utf-8")


def _body(gallery: Gallery, png: Drawn) -> str:
    settings = [
        f"{name.replace('_', ' ')} {fact_text(value)}"
        for name, value in gallery.settings.items()
        if value is not None
    ]
    about = html.escape("; ".join([*settings, f"{gallery.seconds:.1f} s"]))
    notes = [*gallery.notes, *gallery.unread]
    if gallery.interrupted:
        notes.append("interrupted: only these results are complete")
    exhibits = "\n".join(_exhibit(each, png) for each in gallery)
    return (
        '<div class="archspec">\n'
        f"<h1>{html.escape(gallery.method)} of {html.escape(gallery.network)}</h1>\n"
        f"<p>{about}</p>\n{''.join(f'<p>{html.escape(note)}</p>' for note in notes)}\n"
        f"{exhibits}\n</div>"
    )


def _exhibit(exhibit: Exhibit, png: Drawn) -> str:
    items = "\n".join(_item(each, png) for each in exhibit.items)
    seconds = "" if exhibit.seconds is None else f"; {exhibit.seconds:.2f} s"
    below = {
        (name, fact_text(value))
        for item in exhibit.items
        if not isinstance(item, (Table, Page))
        for name, value in item.facts.items()
    }
    facts = _facts({k: v for k, v in exhibit.facts.items() if (k, fact_text(v)) not in below})
    facts = f"<p>{html.escape(facts)}</p>" if facts else ""
    return (
        f"<section>\n<h2>{html.escape(exhibit.name)}</h2>\n"
        f"<p>{html.escape(exhibit.summary)}{seconds}</p>{facts}\n"
        f'<div class="items">\n{items}\n</div>\n</section>'
    )


def _item(item: Item, png: Drawn) -> str:
    match item:
        case Picture():
            return _picture(item, png)
        case Chart():
            about = _facts(item.facts)
            lines = f"lines {', '.join(item.lines)}" if len(item.lines) > 1 else ""
            alt = "; ".join(filter(None, [f"chart {item.title}", lines, about]))
            return _figure(png(item), _caption("", about), alt, "chart")
        case Table():
            return _table(item)
        case PictureFile():
            about = _facts(item.facts)
            return _figure(item.png, _caption(item.title, about), f"{item.title}; {about}")
        case Page():
            title, file = html.escape(item.title), html.escape(item.html)
            return (
                f'<figure class="page">{_caption(item.title)}<iframe sandbox="allow-scripts" '
                f'srcdoc="{file}" title="{title}"></iframe></figure>'
            )


def _picture(picture: Picture, png: Drawn) -> str:
    facts, names = _facts(picture.facts), _tiles(picture)
    if picture.is_zero:
        text = "nothing to draw: it is 0 everywhere"
        return f'<figure><div class="zero">{text}</div>{_caption(picture.title, facts)}</figure>'
    about = "; ".join(filter(None, [facts, drawing.scale_of(picture)]))
    alt = "; ".join(filter(None, [picture.title, names, about]))
    hidden = "" if drawing.fits_below(picture) else names
    if len(hidden) > SHORT:
        hidden = f"<details><summary>names</summary>{html.escape(hidden)}</details>"
    else:
        hidden = f"<div>{html.escape(hidden)}</div>" if hidden else ""
    return _figure(png(picture), _caption(picture.title, about, hidden), alt)


def _tiles(picture: Picture) -> str:
    """Return the names of tiles, row by row."""
    if picture.tiles is None or not any(picture.tiles):
        return ""
    names = ", ".join(filter(None, picture.tiles[: drawing.MOST_TILES]))
    return f"{drawing.columns_of(picture)} in a row: {names}"


def _figure(png: bytes, caption: str, alt: str, kind: str = "") -> str:
    data = base64.b64encode(png).decode("ascii")
    alt_text = html.escape(alt if len(alt) <= LONGEST_ALT else f"{alt[:LONGEST_ALT]}...")
    with_class = f' class="{kind}"' if kind else ""
    return (
        f'<figure{with_class}><img src="data:image/png;base64,{data}" alt="{alt_text}">'
        f"{caption}</figure>"
    )


def _caption(title: str, about: str = "", more: str = "") -> str:
    """Return a title and the text below it; `more` is HTML."""
    name = f"<b>{html.escape(title)}</b>" if title else ""
    inside = f"{name}{html.escape(about)}{more}"
    return f"<figcaption>{inside}</figcaption>" if inside else ""


def _table(table: Table) -> str:
    rows = table.rows[:ROWS]
    first = rows[0] if rows else [None] * len(table.columns)
    head = "".join(
        f'<th scope="col"{_aligned(value)}>{html.escape(str(name))}</th>'
        for name, value in zip(table.columns, first, strict=False)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    more = ""
    if len(table.rows) > ROWS:
        more = f"the first {ROWS} of {len(table.rows):,} rows; all are in the .csv file"
    caption = _caption(table.title, more)
    if len(rows) > FEW_ROWS:
        whole = f"<details><summary>{len(rows)} rows</summary>{whole}</details>"
    return f'<figure class="wide">{caption}{whole}</figure>'


def _cell(value: Any) -> str:
    return f"<td{_aligned(value)}>{html.escape(fact_text(value))}</td>"


def _aligned(value: Any) -> str:
    """Return the attribute that aligns numbers, and the head of their column, to the right."""
    value = plain(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return " class=number" if is_number else ""


def _facts(facts: Mapping[str, Any]) -> str:
    named = ((name, fact_text(value)) for name, value in facts.items() if value is not None)
    return "; ".join(f"{name} {text}" for name, text in named)


def fact_text(value: Any) -> str:
    """Return a fact as text."""
    value = plain(value)
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}" if math.isfinite(value) else "-"
        case list():
            return ", ".join(fact_text(each) for each in value)
    return str(value)
