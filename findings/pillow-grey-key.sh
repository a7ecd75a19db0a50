#!/usr/bin/env bash
# Pillow 13.0.0: the transparent grey of a PNG of 2 or 4 bits stays opaque.
#
# A grey PNG may name one level as transparent (chunk tRNS), in the depth of its samples. Pillow
# stretches samples of 2 and 4 bits to 8, but not that level, so `convert("RGBA")` compares 5 with
# 85 and finds no pixel transparent. At 8 bits the same picture is right.
#
# Expected: alpha [255, 0, 255, 255] at both depths.
# Seen:     8 bits [255, 0, 255, 255]
#           4 bits [255, 255, 255, 255]
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet pillow==13.0.0
"$home/venv/bin/python" - <<'PYTHON'
import io
import struct
import sys
import zlib

from PIL import Image


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def alpha(bits, row):
    """Four greys, the second of which is transparent: its level is 5."""
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, bits, 0, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(">H", 5))
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )
    return list(Image.open(io.BytesIO(content)).convert("RGBA").getchannel("A").tobytes())


eight, four = alpha(8, bytes([0, 5, 10, 15])), alpha(4, bytes([0x05, 0xAF]))
print("8 bits", eight)
print("4 bits", four)
sys.exit((eight, four) != ([255, 0, 255, 255], [255, 255, 255, 255]))
PYTHON
