"""Pictures as PNG."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.explain.gallery import Picture
from archspec.lazy import np
from archspec.render import figures

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST: Final = 224
"""Smallest longer side of a picture, for which each value becomes a square of pixels."""

LARGEST: Final = 1_024
"""Largest longer side of a picture, or of a row of tiles, in pixels."""

TILE: Final = 64
"""Smallest longer side of a tile, in pixels."""

SMALL_TILE: Final = 40
"""Smallest longer side of a tile in a grid of more than `MANY` tiles."""

MANY: Final = 100

MOST_TILES: Final = 4_096
"""Largest number of tiles of a picture that are drawn."""

MOST_LETTERS: Final = 80
"""Largest number of letters of a name below a tile."""

STRIP: Final = 12
"""Height of a vector in pixels."""

GAP: Final = 4
"""Pixels between tiles."""

BACKGROUND: Final = "#ebebeb"
"""Color between tiles, other than white, which is a value."""

LETTERS: Final = 11
"""Height of the letters below tiles in pixels."""

PERCENTILE: Final = 99
"""Percentile of absolute values at which colors are clipped."""

OVERLAY: Final = 0.6
"""Opacity of a map over an image where it is strongest."""


def limits_of(picture: Picture) -> tuple[float, float]:
    """Return the values that are shown as black and white, or as 0 and the strongest color."""
    if picture.limits is not None:
        return picture.limits
    values = picture.values[np.isfinite(picture.values)]
    if not values.size:
        return 0.0, 1.0
    if picture.look == "pixels":
        return float(values.min()), float(values.max())
    if picture.look == "mask":
        return 0.0, 1.0
    strong = np.abs(values)
    most = float(np.percentile(strong, PERCENTILE)) or float(strong.max()) or 1.0
    return (-most, most) if picture.look == "signed" else (0.0, most)


def scale_of(picture: Picture) -> str:
    """Return the meaning of the colors, as text below the picture."""
    parts = [
        _colours_of(picture),
        _reduction(picture.look, picture.values.shape[picture.tiles is not None :]),
    ]
    if picture.tiles is not None and len(picture.tiles) > MOST_TILES:
        parts.append(f"the first {MOST_TILES:,} of {len(picture.tiles):,}")
    return "; ".join(filter(None, parts))


def _colours_of(picture: Picture) -> str:
    coloured = picture.look == "signed" and _has_colours(picture)
    if picture.own_scale:
        ends = {
            "pixels": "black its least value, white its largest",
            "signed": "blue below 0, white 0, red above, strongest its largest absolute value",
        }
        end = "grey 0, in each color" if coloured else ends.get(picture.look, "bright its largest")
        return f"each {picture.own_scale} on a scale of its own: {end}"
    low, high = limits_of(picture)
    clipped = "" if picture.limits else f" ({PERCENTILE}th percentile; more is clipped)"
    match picture.look:
        case "positive":
            return f"dark 0, bright {high:.3g}{clipped}"
        case "signed":
            if coloured:
                return f"grey 0, each color from {low:.3g} to {high:.3g}{clipped}"
            return f"blue {low:.3g}, white 0, red {high:.3g}{clipped}"
        case "mask":
            return "dark: outside"
        case "classes":
            return _classes_of(picture)
        case _:
            return f"black {low:.3g}, white {high:.3g}"


def _ranked(picture: Picture) -> list[tuple[int, int]]:
    """Return the classes and their counts, the most frequent one first."""
    numbers, counts = np.unique(picture.values.astype(int), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(int(numbers[at]), int(counts[at])) for at in order]


def _classes_of(picture: Picture) -> str:
    """Return the color of each class, and its number of values."""
    ranked = _ranked(picture)
    parts = [
        f"{colour} {picture.names[number] if picture.names else number} ({count:,})"
        for colour, (number, count) in zip(TEN, ranked, strict=False)
    ]
    rest = sum(count for _, count in ranked[len(TEN) :])
    return ", ".join([*parts, f"white others ({rest:,})"] if rest else parts)


TEN: Final[dict[str, str]] = {
    "blue": "#1f77b4",
    "orange": "#ff7f0e",
    "green": "#2ca02c",
    "red": "#d62728",
    "purple": "#9467bd",
    "brown": "#8c564b",
    "pink": "#e377c2",
    "grey": "#7f7f7f",
    "olive": "#bcbd22",
    "cyan": "#17becf",
}
"""Colors by name, for the most frequent classes."""


def _has_colours(picture: Picture) -> bool:
    """Return whether values have an axis of three colors."""
    shape = picture.values.shape[picture.tiles is not None :]
    return len(shape) == 3 and shape[-1] == 3


def png(picture: Picture) -> bytes:
    """Return a picture as a PNG file."""
    from PIL import Image  # noqa: PLC0415

    colours = coloured(picture)
    out = io.BytesIO()
    Image.fromarray(colours).save(out, "PNG", optimize=True)
    return out.getvalue()


def coloured(picture: Picture) -> NDArray[Any]:
    """Return a picture as (height, width, 3) bytes."""
    values, names = picture.values, picture.tiles
    if names is None:
        return _enlarged(pixels_of(picture, values), SMALLEST)
    if not picture.own_scale:
        picture = replace(picture, limits=limits_of(picture))  # looked for once
    tiles = [_tile(picture, number) for number in range(min(len(values), MOST_TILES))]
    return _grid(tiles, names, columns_of(picture))


def _tile(picture: Picture, number: int) -> NDArray[Any]:
    """Return one of the tiles of a picture."""
    least = TILE if len(picture.values) <= MANY else SMALL_TILE
    most = max(least, LARGEST // columns_of(picture))
    return _enlarged(pixels_of(_on_own_scale(picture, number), picture.values[number]), least, most)


def _on_own_scale(picture: Picture, number: int) -> Picture:
    """Return the picture with the limits of one of its tiles."""
    if picture.own_scale is None:
        return picture
    beside = columns_of(picture) if picture.own_scale == "row" else 1
    first = number // beside * beside
    values = picture.values[first : first + beside]
    if picture.look == "pixels":
        return replace(picture, values=values, limits=None)
    most = float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0
    return replace(picture, limits=(-most if picture.look == "signed" else 0.0, most))


def _reduction(look: str, shape: tuple[int, ...]) -> str:
    """Return the reduction of values that have more axes than a picture."""
    if len(shape) == 4 or (len(shape) == 3 and shape[-1] not in (1, 3) and look != "pixels"):
        return f"slice {shape[0] // 2} of 0 to {shape[0] - 1}"
    if len(shape) == 3 and shape[-1] not in (1, 3):
        return f"mean of {shape[-1]} channels"
    return ""


def _flat(look: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return values reduced to the axes of a picture (see `_reduction`)."""
    if _reduction(look, values.shape).startswith("slice"):
        values = values[len(values) // 2]
    if _reduction(look, values.shape):
        mean: NDArray[Any] = values.mean(axis=-1)
        return mean
    return values


def pixels_of(picture: Picture, values: NDArray[Any]) -> NDArray[Any]:
    """Return a single picture as bytes, one pixel a value."""
    low, high = limits_of(picture)
    values = _flat(picture.look, values)
    if values.ndim == 1 or (
        values.ndim == 2 and picture.look == "pixels" and values.shape[-1] == 1
    ):
        values = values.reshape(1, -1)
    flat = values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
    is_coloured = flat.ndim == 3
    if picture.look == "pixels":
        grey = np.clip((flat - low) / ((high - low) or 1.0), 0, 1)
        return _bytes(grey if is_coloured else np.stack([grey] * 3, axis=-1))
    if picture.look == "mask":
        return _bytes(_under(picture, flat.shape) * np.where(flat[..., None] > 0, 1.0, 0.25))
    if picture.look == "classes":
        return _bytes(_class_colours(picture, flat))
    strength = np.nan_to_num(flat / (high or 1.0))
    strength = np.clip(strength, -1, 1) if picture.look == "signed" else np.clip(strength, 0, 1)
    if picture.look == "signed" and is_coloured:
        return _bytes((strength + 1) / 2)
    colours = _palette(picture.look, strength)
    if picture.over is not None:
        under = _under(picture, flat.shape)
        share = OVERLAY * np.abs(strength)[..., None]
        colours = (1 - share) * under + share * colours
    return _bytes(colours)


def _bytes(colours: NDArray[Any]) -> NDArray[Any]:
    result: NDArray[Any] = np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
    return result


def _palette(look: str, strength: NDArray[Any]) -> NDArray[Any]:
    """Return (.., 3) colors from 0 to 1 of values from -1 to 1, or from 0 to 1."""
    figures.load()
    from matplotlib import colormaps  # noqa: PLC0415

    if look == "signed":
        colours: NDArray[Any] = colormaps["RdBu_r"]((strength + 1) / 2)
    else:
        colours = colormaps["inferno"](strength)
    return colours[..., :3]


def _class_colours(picture: Picture, values: NDArray[Any]) -> NDArray[Any]:
    """Return (.., 3) colors from 0 to 1 of numbers of classes."""
    result = np.ones((*values.shape, 3))
    for colour, (number, _) in zip(TEN.values(), _ranked(picture), strict=False):
        result[values == number] = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return result


def _under(picture: Picture, extent: tuple[int, ...]) -> NDArray[Any]:
    """Return the image below a map, in grey, in the map's extent."""
    if picture.over is None:
        return np.ones((*extent, 3))
    over = picture.over
    if picture.look == "mask" and over.ndim == 3 and over.shape[-1] == 3:
        return over
    grey = over if over.shape == extent else over.mean(axis=-1)
    if grey.ndim == 3:
        grey = grey[len(grey) // 2]  # the slice of a volume that is drawn
    return np.stack([grey.reshape(extent)] * 3, axis=-1)


def _enlarged(colours: NDArray[Any], least: int, most: int = LARGEST) -> NDArray[Any]:
    """Return an image with every pixel as a square; a large image is reduced."""
    height, width = colours.shape[:2]
    times = max(1, math.ceil(least / max(height, width)))
    if times > 1:
        tall = max(times, STRIP) if height == 1 else times
        return np.repeat(np.repeat(colours, tall, axis=0), times, axis=1)
    return smaller(colours, most, STRIP if height == 1 else 1)


def smaller(colours: NDArray[Any], most: int, shortest: int = 1) -> NDArray[Any]:
    """Return a picture with sides of at most `most` pixels, and at least `shortest`."""
    from PIL import Image  # noqa: PLC0415

    height, width = colours.shape[:2]
    share = most / max(height, width)
    if share >= 1:
        return colours
    size = max(shortest, round(width * share)), max(shortest, round(height * share))
    return np.asarray(Image.fromarray(colours).resize(size, Image.Resampling.LANCZOS))


def _grid(tiles: Sequence[NDArray[Any]], names: Sequence[str], columns: int) -> NDArray[Any]:
    """Return pictures of one extent side by side, each with its name below."""
    from PIL import Image, ImageDraw  # noqa: PLC0415

    tall, width = tiles[0].shape[:2]
    height = tall + (LETTERS + 4 if any(names) else 0)
    rows = math.ceil(len(tiles) / columns)
    size = columns * (width + GAP) - GAP, rows * (height + GAP) - GAP
    whole = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(whole)
    for at, (tile, name) in enumerate(zip(tiles, names, strict=False)):
        left, top = at % columns * (width + GAP), at // columns * (height + GAP)
        whole.paste(Image.fromarray(tile), (left, top))
        if name:
            text = _fitting(name, _room(names, at, columns) * (width + GAP) - GAP)
            draw.text((left, top + tall + 1), text, figures.INK, _font(text))
    return np.asarray(whole)


def _room(names: Sequence[str], at: int, columns: int) -> int:
    """Return the number of tiles a name may span: its own, and those after it without a name."""
    end = at + 1
    while end % columns and end < len(names) and not names[end]:
        end += 1
    return end - at


def _fitting(name: str, width: int) -> str:
    """Return a name on one line, cut off to fit below a tile."""
    text = name = shortened(name, MOST_LETTERS)
    while text and _font(text).getlength(text) > width:
        name = name[:-1]
        text = f"{name}…" if name else ""
    return text


def _font(text: str) -> Any:
    """Return the font of all pictures, or one with the letters that it lacks."""
    return _font_of(*figures.fonts_for(text)[:1])


@cache
def _font_of(name: str = "") -> Any:
    from PIL import ImageFont  # noqa: PLC0415

    file = Path(figures.load().get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    if name:
        from matplotlib import font_manager  # noqa: PLC0415

        file = Path(font_manager.findfont(name))
    return ImageFont.truetype(file, LETTERS)


def fits_below(picture: Picture) -> bool:
    """Return whether the names of all tiles fit below them."""
    if picture.tiles is None:
        return True
    names, columns = picture.tiles[:MOST_TILES], columns_of(picture)
    width = _tile(picture, 0).shape[1] + GAP
    return all(
        _fitting(name, _room(names, at, columns) * width - GAP) == one_line(name)
        for at, name in enumerate(names)
    )


def columns_of(picture: Picture) -> int:
    """Return the number of tiles in a row."""
    count = min(len(picture.values), MOST_TILES)
    return min(count, picture.columns or max(1, math.ceil(math.sqrt(count * 1.6))))


def shortened(name: str, most: int) -> str:
    """Return a name of at most `most` characters, on one line."""
    name = one_line(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def one_line(name: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in name)
