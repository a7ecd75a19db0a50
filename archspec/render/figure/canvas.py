"""A drawing on a canvas of matplotlib, whose renderers write PDF and PNG.

matplotlib's own layout, styles and pyplot have no part in it: one artist tells the renderer where
every mark is. So neither a user's matplotlibrc nor the backend changes a picture.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from archspec.render import figures
from archspec.render.figure.drawing import (
    DASHES,
    SHARES,
    Drawing,
    Group,
    Look,
    Mark,
    Path,
    Polygon,
    Rect,
    Segment,
    Text,
    arrow_head,
    colours,
    outline,
)
from archspec.render.figure.metrics import text_width
from archspec.text import one_line

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.backend_bases import GraphicsContextBase, RendererBase

STYLE: Final[dict[str, Any]] = {
    "path.simplify": False,
    "pdf.fonttype": 42,  # TrueType as it is: text can be searched and edited
    "text.hinting": "none",  # letters are as wide as in every other format
    "text.parse_math": False,
}

RGB: TypeAlias = tuple[float, float, float]
"""A colour, each part from 0 to 1."""

POINTS: Final = 72
"""Points in an inch."""


def rendered(
    drawing: Drawing, kind: str, look: Look, metadata: Mapping[str, str | None], unit: float = 1.0
) -> bytes:
    """Return a drawing as the content of a file.

    Args:
        drawing: The drawing.
        kind: `pdf` or `png`.
        look: The ground, and the pixels of a PNG.
        metadata: Metadata of the file, as matplotlib takes it for this kind.
        unit: Points of the page to a point of the drawing.

    """
    matplotlib = figures.load()
    from matplotlib.figure import Figure  # noqa: PLC0415

    width, height, dpi = drawing.width * unit, drawing.height * unit, float(POINTS)
    if kind == "png":  # of whole pixels
        width, height = (math.ceil(side * look.scale) / look.scale for side in (width, height))
        dpi *= look.scale
    texts = "".join(one_line(mark.text) for mark in drawing.walk() if isinstance(mark, Text))
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure((width / POINTS, height / POINTS), dpi=dpi)
        figure.set_facecolor(colours("paper", look.theme).fill)
        fonts = [figures.FONT, *figures.fonts_for(texts)]
        figure.add_artist(_artist(drawing, look.theme, unit, fonts))
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=dpi, metadata=dict(metadata))
    return content.getvalue()


def _artist(drawing: Drawing, theme: str, unit: float, fonts: Sequence[str]) -> Artist:
    from matplotlib.artist import Artist  # noqa: PLC0415

    class Marks(Artist):
        """All marks of a drawing."""

        def draw(self, renderer: RendererBase) -> None:
            _Pen(renderer, theme, unit, fonts).draw(drawing.marks)

    return Marks()


class _Pen:
    """Marks drawn by a renderer of matplotlib, whose y runs upwards and is in pixels."""

    def __init__(
        self,
        renderer: RendererBase,
        theme: str,
        unit: float,
        fonts: Sequence[str],
    ) -> None:
        from matplotlib.font_manager import FontProperties  # noqa: PLC0415
        from matplotlib.path import Path as Outline  # noqa: PLC0415
        from matplotlib.transforms import Affine2D  # noqa: PLC0415

        self._renderer, self._theme, self._unit = renderer, theme, unit
        self._fonts, self._font, self._outline = fonts, FontProperties, Outline
        self._pixels = pixels = cast("float", renderer.points_to_pixels(unit))
        _, top = renderer.get_canvas_width_height()
        self._place = Affine2D().scale(pixels, -pixels).translate(0, top)

    def draw(self, marks: Iterable[Mark]) -> None:
        """Draw marks, and what is in groups."""
        for mark in marks:
            match mark:
                case Group():
                    self.draw(mark.marks)
                case Text():
                    self._write(mark)
                case Path():
                    self._shape(outline(mark), mark.tone, mark.width, dashed=mark.dashed)
                    if mark.arrow and (head := arrow_head(mark.points)):
                        self._shape(outline(Polygon(head, "")), mark.head_tone, 0)
                case Rect():
                    self._shape(outline(mark), mark.tone, 1, dashed=mark.dashed)
                case _:
                    self._shape(outline(mark), mark.tone, 1)

    def _shape(
        self, segments: Sequence[Segment], tone: str, width: float, *, dashed: bool = False
    ) -> None:
        fill, stroke = self._colours(tone)
        context = self._context(stroke or fill, width if stroke else 0)
        if dashed:
            context.set_dashes(0, [each * self._unit for each in DASHES])
        line = self._outline
        codes = [line.MOVETO]
        for segment in segments[1:]:
            codes += [line.LINETO] if len(segment) == 1 else [line.CURVE4] * 3
        points = [point for segment in segments for point in segment]
        self._renderer.draw_path(context, line(points, codes), self._place, fill)
        context.restore()

    def _write(self, mark: Text) -> None:
        text = one_line(mark.text)
        if not text.strip():
            return
        weight = "bold" if mark.bold else "normal"
        size = mark.size * self._unit
        font = self._font(family=self._fonts, size=size, weight=weight)
        width = self._width(text, font)
        room = text_width(mark.text, mark.size, bold=mark.bold) * self._pixels
        if width > room:
            font.set_size(size * room / width)
            width = self._width(text, font)
        x, y = self._place.transform((mark.x, mark.y))
        x -= width * SHARES[mark.anchor]
        if self._renderer.flipy():
            y = self._renderer.get_canvas_width_height()[1] - y
        context = self._context(self._colours(mark.tone)[0], 0)
        self._renderer.draw_text(context, x, y, text, font, 0, ismath=False)
        context.restore()

    def _width(self, text: str, font: Any) -> float:
        return float(self._renderer.get_text_width_height_descent(text, font, ismath=False)[0])

    def _context(self, colour: RGB | None, width: float) -> GraphicsContextBase:
        context = self._renderer.new_gc()
        context.set_foreground(colour or (0.0, 0.0, 0.0))
        context.set_linewidth(width * self._unit)
        context.set_joinstyle("miter")
        context.set_capstyle("butt")
        context.set_snap(False)
        return context

    def _colours(self, tone: str) -> tuple[RGB | None, RGB | None]:
        """Return the colours of an area and of its outline; None for none."""
        from matplotlib.colors import to_rgb  # noqa: PLC0415

        fill, stroke = (
            None if each == "none" else to_rgb(each) for each in colours(tone, self._theme)
        )
        return fill, stroke
