"""`archspec draw` as a user runs it: files, standard output, mistakes, completion."""

import json
import xml.etree.ElementTree as ET

import pytest
from support.commands import on_terminal, run

import archspec
from archspec import figure
from archspec.cli import draw


def test_the_command_and_the_library_know_the_same_words():
    assert draw.STYLES == figure.STYLES
    assert draw.MEASURES == figure.MEASURES
    assert draw.THEMES == figure.THEMES


def test_svg_is_what_a_pipe_gets():
    done = run("draw", "lenet5")
    assert (done.returncode, done.stderr) == (0, "")
    assert ET.fromstring(done.stdout).get("aria-label") == "lenet5"  # noqa: S314


def test_a_file_is_written_for_each_o_and_said(tmp_path):
    names = ["net.svg", "net.pdf", "net.png", "net.html", "net.tex", "net.json"]
    done = run("draw", "lenet5", *(word for name in names for word in ("-o", name)), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [f"wrote {name}" for name in names]
    for name in names:
        again = archspec.draw("lenet5").save(tmp_path / f"again-{name}")
        assert (tmp_path / name).read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["--format", "html"], "<!doctype html>"),
        (["--format", "tex"], "% lenet5"),
        (["--format", "svg", "--theme", "dark"], "<svg"),
        (["--json"], "{"),
        (["--style", "table"], "lenet5"),
        (["--style", "table", "--format", "md"], "###"),
        (["--style", "table", "--format", "csv"], "stage,"),
        (["--style", "table", "--format", "tex"], "\\begin{tabular}"),
    ],
    ids=" ".join,
)
def test_a_format_is_printed(arguments, start):
    done = run("draw", "lenet5", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(start)


def test_what_is_printed_may_be_beside_a_file(tmp_path):
    done = run("draw", "lenet5", "--json", "-o", "net.svg", cwd=tmp_path)
    assert json.loads(done.stdout)["name"] == "lenet5"
    assert (tmp_path / "net.svg").is_file()


def test_a_terminal_is_not_flooded():
    shown = on_terminal("draw", "specs/mine.yaml:wide")
    assert "a figure goes to a file: add -o wide.svg, or --format svg" in shown
    assert "<svg" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet5", "--bar", "parms"], "`--bar parms` must be one of params, macs, other_ops"),
        (["lenet5", "--show", "params,mcas"], "did you mean `macs`?"),
        (["lenet5", "--color", "kinds"], "did you mean `kind`?"),
        (["lenet5", "--style", "grph"], "did you mean `graph`?"),
        (["lenet5", "--theme", "drak"], "did you mean `dark`?"),
        (["lenet5", "-o", "net.gif"], "net.gif: the suffix says what to write: .svg, .pdf, .png"),
        (["lenet5", "-o", "-"], "-: the suffix says what to write"),
        (["lenet5", "-o", "net.md"], "net.md: the suffix says what to write"),
        (["lenet5", "-o", "no/net.svg"], "no/net.svg: there is no folder no"),
        (["lenet5", "-o", "net.svg", "-o", "./net.svg"], "./net.svg is given twice"),
        (["lenet5", "-o", "n" * 300 + ".svg"], "n.svg: File name too long"),
        (["lenet5", "-o", "net.svg", "--scale", "3"], "--scale goes with -o NAME.png"),
        (["lenet5", "-o", "net.png", "--scale", "0"], "0.0 is not in the range x>0"),
        (["lenet5", "-o", "net.png", "--scale", "900"], "would be too large; `--scale` can be up"),
        (["lenet5", "--format", "csv"], "--format csv goes with --style table"),
        (["lenet5", "alexnet", "--style", "maps"], "the style maps draws one network, not 2"),
        (["lenett5"], "did you mean `lenet5`?"),
        ([], "Missing argument 'SPEC...'"),
    ],
)
def test_a_mistake_of_draw(arguments, message, tmp_path):
    done = run("draw", *arguments, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
