"""A gallery as one HTML page that needs nothing else: no file beside it, no network, no script."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from archspec.explain.gallery import Chart, Exhibit, Gallery, Item, Page, Picture, Table, plain
from archspec.explain.pictures import drawing

ROWS: Final = 40
"""Of a table, at most: a large network has ten thousand units."""

_STYLE: Final = Path(__file__).with_name("page.css")


def whole(gallery: Gallery) -> str:
    """The page of a gallery."""
    title = html.escape(f"{gallery.method} of {gallery.network}")
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>body {{ margin: 0 }} .archspec {{ padding: 1.2rem;"
        f" min-height: 100vh; box-sizing: border-box }}\n{_style()}</style>\n</head>\n<body>\n"
        f"{_body(gallery)}\n</body>\n</html>\n"
    )


def fragment(gallery: Gallery) -> str:
    """The same for a notebook, to stand among other things."""
    return f"<style>{_style()}</style>{_body(gallery)}"


def _style() -> str:
    return _STYLE.read_text(encoding="utf-8")


def _body(gallery: Gallery) -> str:
    settings = "; ".join(
        f"{name.replace('_', ' ')} {said(value)}"
        for name, value in gallery.settings.items()
        if value is not None
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in (*gallery.notes, *gallery.unread))
    if gallery.interrupted:
        notes += "<p>interrupted: this is what was done</p>"
    exhibits = "\n".join(_exhibit(each) for each in gallery)
    return (
        '<main class="archspec">\n'
        f"<h1>{html.escape(gallery.method)} of {html.escape(gallery.network)}</h1>\n"
        f"<p>{html.escape(settings)}; {gallery.seconds:.1f} s</p>\n{notes}\n{exhibits}\n</main>"
    )


def _exhibit(exhibit: Exhibit) -> str:
    items = "\n".join(_item(each) for each in exhibit.items)
    seconds = "" if exhibit.seconds is None else f"; {exhibit.seconds:.2f} s"
    facts = f"<p>{html.escape(_facts(exhibit.facts))}</p>" if exhibit.facts else ""
    return (
        f"<section>\n<h2>{html.escape(exhibit.name)}</h2>\n"
        f"<p>{html.escape(exhibit.summary)}{seconds}</p>{facts}\n"
        f'<div class="items">\n{items}\n</div>\n</section>'
    )


def _item(item: Item) -> str:
    match item:
        case Picture():
            return _picture(item)
        case Chart():
            return _figure(drawing.chart_png(item), "", _facts(item.facts), item.title)
        case Table():
            return _table(item)
        case Page():
            file = html.escape(item.html, quote=True)
            return (
                f"<figure><figcaption><b>{html.escape(item.title)}</b></figcaption>"
                f'<iframe srcdoc="{file}" title="{html.escape(item.title, quote=True)}" '
                'style="width: min(60rem, 92vw); height: 42rem; border: 0"></iframe></figure>'
            )


def _picture(picture: Picture) -> str:
    below = [_facts(picture.facts), _tiles(picture)]
    if picture.is_zero:
        text = "nothing to draw: it is 0 everywhere"
        return (
            f'<figure><div class="zero">{text}</div>'
            f"<figcaption><b>{html.escape(picture.title)}</b>{html.escape(below[0])}</figcaption>"
            "</figure>"
        )
    below.append(drawing.scale_of(picture))
    return _figure(drawing.png(picture), picture.title, "; ".join(filter(None, below)))


def _tiles(picture: Picture) -> str:
    """The names of tiles that are too long to stand in the picture."""
    if picture.tiles is None or drawing.fits_below(picture):
        return ""
    return f"{drawing.columns_of(picture)} in a row: {', '.join(filter(None, picture.tiles))}"


def _figure(png: bytes, title: str, below: str, said: str = "") -> str:
    """A picture and its caption; `said` is a title that stands in the picture."""
    data = base64.b64encode(png).decode("ascii")
    alt = html.escape(f"{said or title}: {below}", quote=True)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{alt}">'
        f"<figcaption><b>{html.escape(title)}</b>{html.escape(below)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(str(each))}</th>" for each in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(said(each))}</td>" for each in row) + "</tr>"
        for row in table.rows[:ROWS]
    )
    more = ""
    if len(table.rows) > ROWS:
        more = f"the first {ROWS} of {len(table.rows):,} rows; all are in the .csv file"
    return (
        f'<figure class="wide"><figcaption><b>{html.escape(table.title)}</b>{more}</figcaption>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></figure>"
    )


def _facts(facts: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {said(value)}" for name, value in facts.items() if value is not None)


def said(value: Any) -> str:
    """A fact as people read it."""
    value = plain(value)
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}" if math.isfinite(value) else "-"
        case list():
            return ", ".join(said(each) for each in value)
    return str(value)
