"""A drawing as an HTML page that needs no other file and no network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from archspec.render import html
from archspec.render.figure.drawing import Drawing, Look
from archspec.render.figure.svg import escaped, style, svg

KEYS: Final = {
    "-": ("\N{MINUS SIGN}", "smaller"),
    "+": ("+", "larger"),
    "0": ("fit", "fit the width of the window"),
    "1": ("1:1", "1:1, natural size"),
}
"""Buttons that zoom: key of the keyboard, text, and what it does."""


def document(drawing: Drawing, look: Look) -> str:
    """Return a page that shows a drawing, which buttons and keys make larger and smaller."""
    script = _read("page.js")
    sheet = _read("page.css") + style(drawing, theme=look.theme)
    allowed = html.policy(f"script-src {html.source(script)}", f"style-src {html.source(sheet)}")
    theme = "" if look.theme == "auto" else f' class="{look.theme}"'
    title = escaped(drawing.title)
    buttons = "\n".join(
        f'<button type="button" data-key="{key}" aria-label="{label}" title="{label} (key {key})">'
        f"{text}</button>"
        for key, (text, label) in KEYS.items()
    )
    return f"""<!doctype html>
<html lang="en"{theme}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{allowed}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{sheet}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<div role="group" aria-label="size">
<output aria-live="polite">100 %</output>
{buttons}
</div>
</header>
<main tabindex="0" aria-label="figure">
{svg(drawing, inline=True)}</main>
<script>{script}</script>
</body>
</html>
"""


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
