#!/usr/bin/env bash
# PyMuPDF 2.0: an SVG whose colours are in a style sheet is drawn black.
#
# MuPDF opens the file without a warning and leaves `<style>` out, so that every class is the default:
# black areas, no lines. Presentation attributes work, as they do in every other viewer.
#
# Expected: the same colour both ways.
# Seen:     by attribute (0, 114, 178)
#           by style sheet (0, 0, 0)
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet pymupdf==2.0
"$home/venv/bin/python" - <<'PYTHON'
import sys

import pymupdf

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10">'
RECT = 'width="10" height="10"/></svg>'


def colour(body):
    with pymupdf.open(stream=(HEAD + body + RECT).encode(), filetype="svg") as document:
        return document[0].get_pixmap().pixel(5, 5)


attribute = colour('<rect fill="#0072b2" ')
sheet = colour('<style>.sea{fill:#0072b2}</style><rect class="sea" ')
print("by attribute", attribute)
print("by style sheet", sheet)
sys.exit((attribute, sheet) != ((0, 114, 178), (0, 0, 0)))
PYTHON
