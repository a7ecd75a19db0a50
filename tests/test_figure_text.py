"""Widths of text in figures, which are known without a font, are those of the font."""

import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager

from archspec.render.figure import metrics
from archspec.render.figure.metrics import fitting, is_known, text_width


def font(*, bold: bool) -> TTFont:
    weight = "bold" if bold else "normal"
    chosen = font_manager.FontProperties(family="DejaVu Sans", weight=weight)
    return TTFont(font_manager.findfont(chosen))


@pytest.mark.parametrize("bold", [False, True])
def test_widths_are_those_of_the_font(bold):
    face = font(bold=bold)
    glyphs, widths = face.getBestCmap(), face["hmtx"].metrics
    known = [chr(code) for code in glyphs if is_known(chr(code))]
    assert len(known) > 190
    for character in known:
        units, _ = widths[glyphs[ord(character)]]
        assert text_width(character, 2048, bold=bold) == units, character


@pytest.mark.parametrize("bold", [False, True])
def test_letters_of_most_scripts_are_no_wider_than_they_are_taken_for(bold):
    face = font(bold=bold)
    glyphs, widths = face.getBestCmap(), face["hmtx"].metrics
    wider = {
        code
        for code, name in glyphs.items()
        if widths[name][0] > text_width(chr(code), 2048, bold=bold)
        and not metrics.combining(chr(code))
    }
    greek = range(0x391, 0x3CA)
    assert not wider & {*greek}
    assert len(wider) < 0.1 * len(glyphs)


@pytest.mark.parametrize("text", ["", "abc", "W" * 50, "i" * 50, "\u00d7 and \u4e2d\u6587" * 9])
@pytest.mark.parametrize("width", [1, 8, 40, 400])
def test_a_text_that_does_not_fit_is_cut_where_it_must(text, width):
    cut = fitting(text, 9.5, width)
    if text_width(text, 9.5) <= width:
        assert cut == text
    else:
        kept = cut.removesuffix("..")
        assert text.startswith(kept)
        assert text_width(cut, 9.5) <= width or kept == ""
        assert text_width(f"{text[: len(kept) + 1]}..", 9.5) > width
