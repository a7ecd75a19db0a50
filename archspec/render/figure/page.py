"""A drawing as an HTML page that needs no other file and no network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from archspec.render.figure.drawing import Drawing, Look
from archspec.render.figure.svg import style, svg
from archspec.render.html import page
from archspec.render.markup import escaped

KEYS: Final = {
    "-": ("\N{MINUS SIGN}", "smaller"),
    "+": ("+", "larger"),
    "0": ("fit", "fit the width of the window"),
    "1": ("1:1", "1:1, natural size"),
}
"""Buttons that zoom: key of the keyboard, text, and what it does."""


def document(drawing: Drawing, look: Look) -> str:
    """Return a page that shows a drawing, which buttons and keys make larger and smaller."""
    buttons = "\n".join(
        f'<button type="button" data-key="{key}" aria-label="{label}" title="{label} (key {key})">'
        f"{text}</button>"
        for key, (text, label) in KEYS.items()
    )
    body = f"""<header>
<h1>{escaped(drawing.title)}</h1>
<div role="group" aria-label="size">
<output aria-live="polite">100 %</output>
{buttons}
</div>
</header>
<main tabindex="0" aria-label="figure">
{svg(drawing, inline=True)}</main>
"""
    return page(
        drawing.title,
        body,
        sheet=_read("page.css") + style(drawing, theme=look.theme),
        script=_read("page.js"),
        classes="" if look.theme == "auto" else look.theme,
    )


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
