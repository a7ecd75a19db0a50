"""A page of points that show their images: one file, with its own script.

It needs no network and no other file. All thumbnails are one picture of bounded size; numbers are
base64 of 16 bits each.
"""

from __future__ import annotations

import base64
import html
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.explain.gallery import Picture
from archspec.lazy import np
from archspec.render.gallery import drawing
from archspec.render.html import ground, script_data

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAGE: Final = Path(__file__).with_name("explorer.html")

MOST: Final = 5_000
"""Largest number of points of a page."""

LARGEST: Final = 48
"""Largest longer side of a thumbnail in pixels."""

AREA: Final = 2**22
"""Largest number of pixels of all thumbnails: about 1 MB."""

STEPS: Final = 2**16 - 1
"""Number of positions along an axis."""


@dataclass(frozen=True, eq=False)
class Explorer:
    """Images as points of one or more maps, at most `MOST` of them."""

    title: str
    about: str
    """A line below the title."""
    names: Sequence[str]
    images: NDArray[Any]
    """(n, *shape) pixels."""
    limits: tuple[float, float] | None
    """Black and white."""
    class_names: Sequence[str]
    labels: NDArray[Any] | None
    predictions: NDArray[Any] | None
    maps: Mapping[str, NDArray[Any]]
    """(n, 2) positions, by the name of the map."""
    notes: Mapping[str, str]
    """Text below each map."""
    near: Mapping[str, NDArray[Any]]
    """(n, k) nearest neighbours, by space; those of the first space are drawn as lines."""

    def html(self) -> str:
        """Return the page."""
        values = {
            "TITLE": html.escape(self.title),
            "GROUND": ground(),
            "DATA": script_data(self._data()),
        }
        page = _PAGE.read_text(encoding="utf-8")
        return re.sub("@(TITLE|GROUND|DATA)@", lambda match: values[match[1]], page)

    def _data(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "about": self.about,
            "names": list(self.names),
            "classes": list(self.class_names),
            "labels": None if self.labels is None else self.labels.tolist(),
            "predictions": None if self.predictions is None else self.predictions.tolist(),
            "views": [
                {"name": name, "note": self.notes[name], **_placed(places)}
                for name, places in self.maps.items()
            ],
            "near": [
                {"space": space, "k": near.shape[1], "of": _short(near)}
                for space, near in self.near.items()
            ],
            "sprite": self._sprite(),
        }

    def _sprite(self) -> dict[str, Any]:
        """Return all thumbnails in one picture: PNG if they are grey, else JPEG."""
        from PIL import Image  # noqa: PLC0415

        limits = self.limits or (float(self.images.min()), float(self.images.max()))
        shown = Picture("image", "image", self.images, "pixels", limits=limits)
        largest = min(LARGEST, math.isqrt(AREA // len(self.images)))
        thumbs = [drawing.smaller(drawing.pixels_of(shown, each), largest) for each in self.images]
        height, width = thumbs[0].shape[:2]
        cell = math.ceil(max(height, width) / 8) * 8  # the blocks of a JPEG
        columns = math.ceil(math.sqrt(len(thumbs)))
        rows = math.ceil(len(thumbs) / columns)
        is_grey = self.images.shape[-1] != 3
        whole = Image.new("L" if is_grey else "RGB", (columns * cell, rows * cell))
        for at, thumb in enumerate(thumbs):
            one = Image.fromarray(thumb[..., 0] if is_grey else thumb)
            whole.paste(one, (at % columns * cell, at // columns * cell))
        out = io.BytesIO()
        if is_grey:
            whole.save(out, "PNG", compress_level=9)
        else:
            whole.save(out, "JPEG", quality=88, subsampling=0)
        kind, text = "png" if is_grey else "jpeg", base64.b64encode(out.getvalue()).decode("ascii")
        return {
            "src": f"data:image/{kind};base64,{text}",
            "cell": cell,
            "columns": columns,
            "width": width,
            "height": height,
        }


def _placed(places: NDArray[Any]) -> dict[str, str]:
    """Return positions centred in a square, with equal axes."""
    low, high = places.min(axis=0), places.max(axis=0)
    extent = float((high - low).max()) or 1.0
    inside = (places - (low + high) / 2) / extent + 0.5
    steps = np.rint(np.clip(inside, 0, 1) * STEPS)
    return {"x": _short(steps[:, 0]), "y": _short(steps[:, 1])}


def _short(numbers: NDArray[np.generic]) -> str:
    """Return whole numbers below 2^16 as base64, low byte first."""
    return base64.b64encode(numbers.astype("<u2").tobytes()).decode("ascii")
