"""A figure in every format: the same picture and bytes, safe whatever names are in it."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.commands import imported_by, run

import archspec
from archspec.errors import UsageError
from archspec.render.figure import drawing as marks
from archspec.render.figure.drawing import Drawing, Group, Look
from archspec.render.figure.formats import FORMATS, encoded
from archspec.render.figure.metrics import text_width
from archspec.render.figure.writing import STYLES, drawing

SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = {
    "markup": "</title><script>alert(1)</script><!-- ]]> &amp; 'a' \"b\"",
    "tex": r"\end{document} \input{/etc/passwd} $x_1^2$ 50% #1 {~} -- ``quoted'' [*] <<a>> |",
    "lines": "one\ntwo\r\nthree\ttab",
    "controls": "turned \u202egnp.exe\u202c, null \0, bell \a, surrogate \ud800",
    "mixed": "Gr\u00f6\u00dfe \u00d7 \u4e2d\u6587 \u05e2\u05d1\u05e8 \u0645\u0631 \U0001f600",
    "long": "name " * 2_000,
    "empty": " ",
}


def of_names(text: str) -> Drawing:
    """A drawing in which every text that it can have is this one."""
    inside = [
        marks.Rect(20, 40, 160, 40, "convolution", 6, dashed=True),
        marks.Text(100, 60, text, 9.5),
        marks.Text(30, 72, text, 9.5, "quiet", bold=True, anchor="start"),
    ]
    line = marks.Path(((20, 90), (100, 90), (100, 110)), "shortcut", 6, arrow=True, dashed=True)
    return Drawing(text, text, 200, 120, [Group(text, text, inside), line])


def texts(drawn: Drawing) -> list[str]:
    return [
        mark.text for mark in drawn.walk() if isinstance(mark, marks.Text) and mark.text.strip()
    ]


@pytest.fixture(scope="module")
def figure():
    return archspec.draw("inception_bottleneck", show=["params"], bar="macs")


@pytest.fixture(scope="module")
def drawn(figure):
    return drawing(figure)


# Every format


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_figure_is_the_same_bytes_each_time_and_light_or_dark(drawn, suffix):
    """`auto` is light, except where the viewer can choose."""
    themes = ("auto", "light", "dark")
    auto, light, dark = files = [encoded(drawn, suffix, Look(theme)) for theme in themes]
    again = themes if auto != light else ("dark",)  # else light was the same twice already
    assert [encoded(drawn, suffix, Look(theme)) for theme in again] == files[-len(again) :]
    assert light != dark
    assert (auto == light) == (suffix not in {".svg", ".html"})


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_any_name_can_be_written(suffix, text):
    assert encoded(of_names(text), suffix)


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_drawing_is_a_file(suffix):
    assert encoded(Drawing("", "", 1, 1), suffix)


def test_neither_a_style_of_matplotlib_nor_its_backend_changes_a_picture(tmp_path):
    """Nor is the library's state of figures, `pyplot`, imported at all."""
    (tmp_path / "matplotlibrc").write_text(
        "font.family: serif\nfont.size: 30\nlines.linewidth: 9\nsavefig.bbox: tight\n"
        "savefig.transparent: True\npdf.fonttype: 3\ntext.usetex: True\nfigure.dpi: 300\n"
    )
    code = "import archspec, sys; figure = archspec.draw('lenet5')\n"
    code += "figure.save('lenet5.png'); figure.save('lenet5.pdf')\n"
    code += "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    done = run(code=code, cwd=tmp_path, MPLBACKEND="module://no_such_module")
    assert done.returncode == 0, done.stderr
    for name in ("lenet5.png", "lenet5.pdf"):
        plain = archspec.draw("lenet5").save(tmp_path / f"plain-{name}")
        assert (tmp_path / name).read_bytes() == plain.read_bytes()


@pytest.mark.parametrize("suffix", [".svg", ".html", ".tex", ".json"])
def test_what_is_not_painted_needs_no_matplotlib(tmp_path, suffix):
    code = f"import archspec; archspec.draw('lenet5').save('a{suffix}')"
    assert not {"matplotlib", "numpy", "keras"} & imported_by(code, cwd=tmp_path)


# SVG


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_svg_is_xml_whatever_the_names(text):
    root = ET.fromstring(encoded(of_names(text), ".svg"))  # noqa: S314
    assert root.find(f"{SVG}title") is not None
    assert root.get("role") == "img"
    assert {each.tag for each in root.iter()} <= {
        SVG + name for name in ("svg", "title", "desc", "style", "g", "rect", "text", "path")
    } | {f"{SVG}polygon"}


def test_svg_names_itself_and_every_part(drawn):
    root = ET.fromstring(encoded(drawn, ".svg"))  # noqa: S314
    assert root.get("aria-label") == root.findtext(f"{SVG}title") == drawn.title
    assert root.findtext(f"{SVG}desc") == drawn.description
    groups = [mark for mark in drawn.walk() if isinstance(mark, Group)]
    named = [(each.get("data-path"), each.findtext(f"{SVG}title")) for each in root.iter(f"{SVG}g")]
    assert named == [(group.path, group.title) for group in groups]


def test_svg_has_no_ids_so_that_several_stand_in_a_page(drawn):
    written = encoded(drawn, ".svg")
    assert " id=" not in written
    assert "url(" not in written


def test_every_mark_of_an_svg_has_its_colours_without_a_style_sheet(drawn):
    """Some viewers know no style sheets; all would be black in them."""
    root = ET.fromstring(encoded(drawn, ".svg"))  # noqa: S314
    for name in ("rect", "path", "polygon", "circle", "text"):
        for each in root.iter(SVG + name):
            assert re.fullmatch("#[0-9a-f]{3,6}|none", each.get("fill", ""))


@pytest.mark.parametrize(("theme", "rules"), [("auto", True), ("light", False), ("dark", False)])
def test_an_svg_has_a_style_sheet_only_to_follow_its_viewer(drawn, theme, rules):
    written = encoded(drawn, ".svg", Look(theme))
    assert ("<style>" in written) == rules
    assert ("prefers-color-scheme" in written) == rules


def test_a_text_has_its_width_in_every_font(open_page, drawn, tmp_path):
    """Another font is stretched to the width that the boxes were made for."""
    path = tmp_path / "figure.svg"
    path.write_text(
        re.sub('font-family="[^"]*"', 'font-family="monospace"', encoded(drawn, ".svg"))
    )
    widths = open_page(path).evaluate(
        "[...document.querySelectorAll('text')].map(each =>"
        " [each.getBBox().width, each.textLength.baseVal.value])"
    )
    assert len(widths) == len(texts(drawn))
    for width, wanted in widths:
        assert width == pytest.approx(wanted, abs=0.5)


@pytest.mark.parametrize("suffix", [".svg", ".html"])
def test_spelled_control_characters_do_not_overflow(open_page, tmp_path, suffix):
    path = tmp_path / f"figure{suffix}"
    text = marks.Text(100, 40, "a\u202eb", 11)
    path.write_text(encoded(Drawing("", "", 200, 80, [text]), suffix), encoding="utf-8")
    width = open_page(path).evaluate("document.querySelector('svg text').getBBox().width")
    assert width == pytest.approx(text_width("a\u202eb", 11), abs=0.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_svg_follows_its_viewer(open_page, drawn, tmp_path, scheme):
    path = tmp_path / "figure.svg"
    path.write_text(encoded(drawn, ".svg"))
    page = open_page(path, color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.querySelector('rect')).fill")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 25, 31)"}[scheme]


# PNG


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(float)


PICTURES = {
    "graph": lambda: archspec.draw("lenet5", bar="macs"),
    "maps": lambda: archspec.draw("lenet5", style="maps"),
    "table": lambda: archspec.draw("lenet5", style="table"),
    "difference": lambda: archspec.draw(archspec.diff("vgg16", "vgg19")),
    "plot": lambda: archspec.draw(archspec.compare("vgg16", "resnet50")),
    "roofline": lambda: archspec.draw(archspec.roofline("lenet5", "h100")),
    "front": lambda: archspec.sweep("vgg16", {"classes": "2..20"}).figure(),
}
"""A figure of each style."""


def test_there_is_a_figure_of_each_style():
    assert set(PICTURES) == set(STYLES)


@pytest.mark.parametrize("style", PICTURES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_png_is_the_picture_that_a_browser_makes_of_the_svg(open_page, tmp_path, style, theme):
    drawn = drawing(PICTURES[style]())
    path = tmp_path / "figure.html"
    path.write_text(f"<body style='margin:0'>{encoded(drawn, '.svg', Look(theme))}")
    page = open_page(path, device_scale_factor=2, viewport={"width": 1200, "height": 900})
    theirs = pixels(page.locator("svg").screenshot())
    ours = pixels(encoded(drawn, ".png", Look(theme)))
    assert np.abs(np.subtract(ours.shape, theirs.shape)).max() <= 2
    height, width, _ = np.minimum(ours.shape, theirs.shape) // 16 * 16
    ours, theirs = ours[:height, :width], theirs[:height, :width]
    assert np.abs(ours - theirs).mean() < 6  # of 255: letters have other edges
    # No mark is elsewhere: means over squares of 16 pixels are nearly the same.
    means = [
        each.reshape(height // 16, 16, width // 16, 16, 3).mean(axis=(1, 3, 4))
        for each in (ours, theirs)
    ]
    assert np.abs(np.subtract(*means)).max() < 60


@pytest.mark.parametrize("scale", [0.5, 1, 1.7, 3])
def test_the_scale_of_a_png_is_its_pixels_to_a_point(drawn, scale):
    height, width, _ = pixels(encoded(drawn, ".png", Look(scale=scale))).shape
    assert width == pytest.approx(drawn.width * scale, abs=1)
    assert height == pytest.approx(drawn.height * scale, abs=1)


@pytest.mark.parametrize("scale", [100, 1e9, 1e308])
def test_a_png_that_is_too_large_is_refused_before_it_is_made(figure, tmp_path, scale):
    with pytest.raises(UsageError, match=r"would be too large; `scale=` can be up to \d+"):
        figure.save(tmp_path / "a.png", scale=scale)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("made", "advice"),
    [
        (lambda: archspec.draw("lenet5"), r"; `archspec.draw\(..., depth=1\)` folds blocks"),
        (lambda: archspec.draw("lenet5", depth=1), ""),
        (
            lambda: archspec.draw("lenet5", style="maps"),
            r"; `archspec.draw\(..., style='maps', depth=1\)` folds blocks",
        ),
        (
            lambda: archspec.draw(archspec.diff("lenet5", "nin_cifar10")),
            r"; `archspec.diff\(..., depth=1\)` folds blocks",
        ),
        (lambda: archspec.draw("lenet5", style="table"), ""),
    ],
)
def test_what_is_too_large_names_the_call_that_draws_less(made, advice, tmp_path):
    with pytest.raises(UsageError, match=f"SVG and PDF have no such limit{advice}$"):
        made().save(tmp_path / "large.png", scale=900)


def test_the_scale_that_the_message_names_is_possible(figure, tmp_path):
    with pytest.raises(UsageError) as raised:
        figure.save(tmp_path / "a.png", scale=1_000)
    named = float(re.search(r"up to ([\d.]+),", str(raised.value))[1])
    assert figure.save(tmp_path / "a.png", scale=named).stat().st_size > 0


# PDF


PDFTOTEXT = shutil.which("pdftotext")


@pytest.mark.skipif(PDFTOTEXT is None, reason="no pdftotext is installed")
@pytest.mark.parametrize("style", PICTURES)
def test_the_text_of_a_pdf_can_be_copied(tmp_path, style):
    drawn = drawing(PICTURES[style]())
    path = tmp_path / "figure.pdf"
    path.write_bytes(encoded(drawn, ".pdf"))
    copied = subprocess.run(
        [PDFTOTEXT, "-raw", path, "-"], capture_output=True, text=True, check=True
    ).stdout
    assert sorted(copied.split()) == sorted(" ".join(texts(drawn)).split())


def test_a_pdf_has_a_title_and_no_date(drawn):
    written = encoded(drawn, ".pdf")
    assert b"/Title (inception_bottleneck)" in written
    assert b"Date" not in written


def test_a_page_of_a_pdf_is_no_larger_than_viewers_show():
    tall = Drawing("tall", "", 100, 50_000, [marks.Text(50, 20, "top", 11)])
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", encoded(tall, ".pdf"))
    width, height = map(float, box.groups())
    assert height <= 14_400
    assert width / height == pytest.approx(100 / 50_000, rel=0.01)


# TikZ

PDFLATEX = shutil.which("pdflatex")
LUALATEX = shutil.which("lualatex")


def compiled(program: str, path: Path) -> str:
    """Compile a TeX file, and return what its page says."""
    done = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:]
    if PDFTOTEXT is None:
        return ""
    return subprocess.run(
        [PDFTOTEXT, "-raw", path.with_suffix(".pdf"), "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


needs_tex = pytest.mark.skipif(
    PDFLATEX is None
    or not shutil.which("kpsewhich")
    or not subprocess.run(
        ["kpsewhich", "standalone.cls"], capture_output=True, check=False
    ).stdout.strip(),
    reason="no LaTeX with the class standalone is installed",
)


@needs_tex
@pytest.mark.parametrize("style", PICTURES)
def test_tikz_compiles_by_itself(tmp_path, style):
    drawn = drawing(PICTURES[style]())
    path = tmp_path / "net.tex"
    path.write_text(encoded(drawn, ".tex"), encoding="utf-8")
    page = compiled(PDFLATEX, path)
    if page:
        plain = page.replace("\u223c", "~").replace("\u2212", "-")  # as TeX's fonts have them
        assert sorted(plain.split()) == sorted(" ".join(texts(drawn)).split())


@needs_tex
@pytest.mark.parametrize("name", ["markup", "tex", "lines", "long", "empty"])
def test_names_do_not_become_commands_of_tex(tmp_path, name):
    path = tmp_path / "net.tex"
    path.write_text(encoded(of_names(HOSTILE[name]), ".tex"), encoding="utf-8")
    page = compiled(PDFLATEX, path)
    if page and name == "tex":
        assert r"\end{document} \input{/etc/passwd}" in page
        assert "50% #1 {\u223c} -- ``quoted" in page
        assert "[*] <<a>> |" in page


def test_a_figure_that_tex_cannot_draw_is_refused():
    with pytest.raises(UsageError, match="of 100 x 20,000 points is larger than TeX can draw"):
        encoded(Drawing("tall", "", 100, 20_000), ".tex")


@needs_tex
def test_two_figures_are_parts_of_a_document(tmp_path):
    for name, theme in (("a", "light"), ("b", "dark")):
        archspec.draw("lenet5").save(tmp_path / f"{name}.tex", theme=theme)
    path = tmp_path / "paper.tex"
    path.write_text(
        r"\documentclass{article}\usepackage{tikz}\begin{document}\catcode34=13 "
        r"Before \resizebox{5cm}{!}{\input{a}} and \resizebox{5cm}{!}{\input{b.tex}} after."
        r"\end{document}"
    )
    page = compiled(PDFLATEX, path)
    if page:
        assert {"Before", "after."} <= set(page.split())


@needs_tex
@pytest.mark.skipif(LUALATEX is None, reason="no lualatex is installed")
def test_other_letters_compile_with_the_program_that_the_comment_names(tmp_path):
    path = tmp_path / "net.tex"
    written = encoded(of_names(HOSTILE["mixed"]), ".tex")
    assert "% lualatex FILE" in written
    path.write_text(written, encoding="utf-8")
    compiled(LUALATEX, path)


# HTML


def test_a_page_zooms_by_buttons_and_keys(open_page, figure, tmp_path):
    page = open_page(figure.save(tmp_path / "net.html"), viewport={"width": 800, "height": 600})
    width = "document.querySelector('main svg').getBoundingClientRect().width"
    natural = page.evaluate(width)
    assert page.locator("output").inner_text() == "100 %"
    page.keyboard.press("+")
    assert page.evaluate(width) == pytest.approx(1.25 * natural, abs=1)
    assert page.locator("output").inner_text() == "125 %"
    page.get_by_role("button", name="smaller").click()
    assert page.evaluate(width) == pytest.approx(natural, abs=1)
    page.keyboard.press("0")
    assert page.evaluate(width) == pytest.approx(800, abs=1)
    page.get_by_role("button", name="natural size").click()
    assert page.evaluate(width) == pytest.approx(natural, abs=1)


def test_a_wide_figure_fits_a_narrow_window(open_page, figure, tmp_path):
    page = open_page(figure.save(tmp_path / "net.html"), viewport={"width": 360, "height": 600})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_page_prints_the_figure_alone_and_light(open_page, figure, tmp_path):
    page = open_page(figure.save(tmp_path / "net.html"), color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("header").is_visible()
    fill = "getComputedStyle(document.querySelector('.ink')).fill"
    assert page.evaluate(fill) == "rgb(21, 25, 31)"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_name_becomes_a_part_of_a_page(open_page, tmp_path, text):
    path = tmp_path / "net.html"
    path.write_text(encoded(of_names(text), ".html"), encoding="utf-8")
    page = open_page(path)
    assert page.locator("script").count() == 1
    assert page.locator("main svg g rect").count() == 1


# JSON and Python


def test_json_has_every_mark(figure, tmp_path):
    data = json.loads(figure.save(tmp_path / "a.json").read_text())
    assert data == json.loads(json.dumps(figure.to_dict()))
    inside = [each for mark in data["marks"] for each in [mark, *mark.get("marks", [])]]
    words = [each["text"] for each in inside if each["mark"] == "text"]
    assert {"inception_bottleneck", "CONV1-128", "28x28x128"} <= set(words)


@pytest.mark.parametrize(
    ("path", "look", "message"),
    [
        (
            "a.gif",
            {},
            r"a.gif: the suffix says what to write: .svg, .pdf, .png, .html, .tex,",
        ),
        ("a", {}, "the suffix says"),
        ("a.md", {}, "the suffix says"),
        ("no/a.svg", {}, "cannot write no/a.svg: No such file"),
        ("a.svg", {"theme": "drak"}, r"`theme='drak'` must be one of .* did you mean `dark`\?"),
        ("a.png", {"scale": 0}, "`scale=0` must be a finite number above 0"),
        ("a.png", {"scale": float("nan")}, "`scale=nan` must be"),
        (3, {}, "`path=3` must be a path"),
    ],
)
def test_a_mistake_of_save(figure, tmp_path, monkeypatch, path, look, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        figure.save(path, **look)
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_gets_the_picture_and_nothing_that_it_would_prefer(figure):
    assert figure._repr_svg_() == encoded(drawing(figure), ".svg")
    assert not hasattr(figure, "_repr_markdown_")
