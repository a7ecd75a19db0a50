"""Shared parts of the HTML pages: data for their scripts, and the colours of their ground."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

_GROUND: Final = Path(__file__).with_name("ground.css")


def script_data(value: Any) -> str:
    """Return plain data as JSON for a `<script type="application/json">`, whatever text is in it.

    The text `</script>` or `<!--` in a string would end the script.
    """
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def ground() -> str:
    """Return the style sheet of the colours on `.archspec`: light, dark and on paper."""
    return _GROUND.read_text(encoding="utf-8")
