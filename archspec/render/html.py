"""Shared parts of the HTML pages: data for scripts, what may run, the colours of the ground."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Final

_GROUND: Final = Path(__file__).with_name("ground.css")


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
