#!/usr/bin/env bash
# Pillow 13.0.0 and OpenCV 5.0.0: a grey TIFF whose white is 0 is a negative at 16 bits, not at 8.
#
# PhotometricInterpretation 0 (WhiteIsZero, TIFF 6.0 section 8) says that 0 is white. Both libraries
# turn samples of 8 bits around and give those of 16 bits as they are stored, without a word.
#
# Expected: the first pixel, stored as 0, is white at both depths.
# Seen:     8 bits: Pillow 255, OpenCV 255
#           16 bits: Pillow 0, OpenCV 0
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet pillow==13.0.0 opencv-python-headless==5.0.0.93
"$home/venv/bin/python" - <<'PYTHON'
import io
import struct
import sys

import cv2
import numpy as np
from PIL import Image


def first_pixel(bits):
    """A TIFF of two pixels, stored as 0 and as the largest value."""
    data = bytes(bits // 8) + b"\xff" * (bits // 8) + b"\0" * (4 - bits // 4)
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: 0, 273: 8, 277: 1, 278: 1, 279: bits // 4}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    content = b"II*\0" + struct.pack("<I", 12) + data + struct.pack("<H", len(tags)) + entries
    content += struct.pack("<I", 0)
    pillow = np.asarray(Image.open(io.BytesIO(content)))
    opencv = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return int(pillow[0, 0]), int(opencv[0, 0])


eight, sixteen = first_pixel(8), first_pixel(16)
print("8 bits: Pillow %d, OpenCV %d" % eight)
print("16 bits: Pillow %d, OpenCV %d" % sixteen)
sys.exit((eight, sixteen) != ((255, 255), (0, 0)))
PYTHON
