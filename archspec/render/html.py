"""Shared parts of the HTML pages: the page around a body, data, what may run, colours."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from archspec.render.markup import escaped

_GROUND: Final = Path(__file__).with_name("ground.css")


def page(
    title: str,
    body: str,
    *,
    sheet: str,
    script: str = "",
    allowed: Sequence[str] = (),
    classes: str = "",
) -> str:
    """Return a whole page, which needs no other file and no network.

    It may use its own style sheet and run its own script, no other, and load nothing.

    Args:
        title: Text of the title.
        body: HTML of the body.
        sheet: Its style sheet.
        script: Its script, which runs when the body is there.
        allowed: Further directives of its Content-Security-Policy.
        classes: Classes of the root, with spaces between.

    """
    own = policy(f"script-src {source(script)}", f"style-src {source(sheet)}", *allowed)
    root = f' class="{classes}"' if classes else ""
    return (
        f'<!doctype html>\n<html lang="en"{root}>\n'
        '<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{own}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{sheet}</style>\n</head>\n"
        f"<body>\n{body}<script>{script}</script>\n</body>\n</html>\n"
    )


def section(part: str, title: str, body: str, *, wide: bool = False) -> str:
    """Return a section of a page below its heading; title and body are HTML."""
    classes = f"{part} wide" if wide else part
    return f'<section data-part="{part}" class="{classes}">\n<h2>{title}</h2>\n{body}\n</section>\n'


def scrolling(name: str, body: str) -> str:
    """Return a part that scrolls where the window is narrow, by the keyboard too."""
    return f'<div class="scroll" role="group" aria-label="{name}" tabindex="0">{body}</div>'


def row(cells: Iterable[str], tag: str = "td") -> str:
    """Return the row of a table; cells are HTML."""
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def files(home: Path, names: Iterable[str], shown: str) -> str:
    """Return links to those files of a folder that there are, below the folder as it is shown."""
    present = [name for name in names if (home / name).exists()]
    links = "".join(f'<li><a href="{name}">{name}</a></li>' for name in present)
    return f"<p>{escaped(shown)}</p>\n<ul>{links}</ul>"


def script_data(value: Any) -> str:
    """Return plain data as JSON for a `<script type="application/json">`, whatever text is in it.

    The text `</script>` or `<!--` in a string would end the script.
    """
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def source(text: str) -> str:
    """Return what a Content-Security-Policy calls an inline script or style sheet."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def policy(*allowed: str) -> str:
    """Return a Content-Security-Policy that allows these directives and nothing else."""
    return "; ".join(["default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"])


def ground() -> str:
    """Return the style sheet of the colours on `.archspec`: light, dark and on paper."""
    return _GROUND.read_text(encoding="utf-8")
