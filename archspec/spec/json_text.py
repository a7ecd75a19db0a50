"""JSON text -> YAML text of the same places, without what YAML refuses of JSON."""

from __future__ import annotations

import re

# A string ends with its line at the latest: JSON has no others, and padding stays on the line.
_JSON_TOKEN = re.compile('"(?:[^"\\\\\n\r\x85\u2028\u2029]|\\\\[^\n\r\x85\u2028\u2029])*+"?|\t')
_JSON_ESCAPE = re.compile(
    r"\\(?:u(?P<high>d[89ab][0-9a-f]{2})\\u(?P<low>d[c-f][0-9a-f]{2})|.)",
    re.DOTALL | re.IGNORECASE,
)


def yaml_of_json(text: str) -> str:
    """Return the text without what YAML refuses: tabs, and characters as surrogate pairs.

    Tokens keep their places: a string that becomes shorter is followed by spaces.
    """

    def escape(match: re.Match[str]) -> str:
        if match["high"] is None:
            return match[0]
        high, low = int(match["high"], 16), int(match["low"], 16)
        return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"

    def token(match: re.Match[str]) -> str:
        if match[0] == "\t":
            return " "
        return _JSON_ESCAPE.sub(escape, match[0]).ljust(len(match[0]))

    return _JSON_TOKEN.sub(token, text)
