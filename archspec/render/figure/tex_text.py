"""Text in TeX, where many characters mean something else than themselves."""

from __future__ import annotations

from typing import Final

from archspec.text import printable

ESCAPES: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"$\sim$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",  # Babel gives the sign itself a meaning in some languages
    # Beginnings of optional arguments, and signs that fonts join.
    "[": "{[}",
    "]": "{]}",
    "-": "{-}",
    "'": "{'}",
    ",": "{,}",
    "`": r"\textasciigrave{}",
    "\n": " ",
    "\u00a0": "~",
    "\u00b7": r"$\cdot$",
    "\u00d7": r"$\times$",
    "\u2013": r"\textendash{}",
    "\u2014": r"\textemdash{}",
    "\u2026": r"\ldots{}",
    "\u2190": r"$\leftarrow$",
    "\u2192": r"$\rightarrow$",
    "\u2212": "$-$",
    "\u2264": r"$\leq$",
    "\u2265": r"$\geq$",
}
"""Characters that mean something to TeX, or that its fonts lack, and what to write for them."""

_TABLE: Final = str.maketrans(ESCAPES)


def escaped(text: str) -> str:
    """Return text as TeX prints it, on one line, whatever is in it.

    pdfTeX knows few characters beyond Latin; XeTeX and LuaTeX print all that their font has.
    """
    return printable(text).translate(_TABLE)
