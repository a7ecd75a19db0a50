"""Text in TeX, where ten characters of ASCII mean something else than themselves."""

from __future__ import annotations

from typing import Final

from archspec.text import printable

_ESCAPES: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        # Beginnings of optional arguments, and signs that fonts join.
        "[": "{[}",
        "]": "{]}",
        "-": "{-}",
        "\n": " ",
        "\u00d7": r"$\times$",
        "\u2192": r"$\rightarrow$",
        "\u2013": "--",
    }
)


def escaped(text: str) -> str:
    """Return text as TeX prints it, on one line, whatever is in it.

    pdfTeX knows few characters beyond Latin; XeTeX and LuaTeX print all that their font has.
    """
    return printable(text).translate(_ESCAPES)
