"""docs/figures.md: its pictures are what its commands draw, and its Python runs."""

import re

import pytest
from pages import ROOT, commands
from support.commands import run

FOLDER = ROOT / "docs" / "figures"
PAGE = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [command for command, _ in commands(PAGE)]
LARGEST = 25_000
"""Bytes of a picture: it is committed again whenever it changes."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_picture_is_what_its_command_draws(command, tmp_path):
    *words, path = command.split()
    drawn = tmp_path / "drawn.svg"
    assert run(*words[1:], drawn).returncode == 0
    assert (ROOT / path).read_bytes() == drawn.read_bytes()


def test_every_picture_is_shown_and_small():
    drawn = {command.rpartition("/")[2] for command in COMMANDS}
    assert drawn == {path.name for path in FOLDER.iterdir()}
    assert drawn == set(re.findall(r"!\[[^]]+\]\(figures/([^)]+)\)", PAGE))
    assert set(re.findall(r"docs/figures/([\w.]+)", README)) <= drawn
    for path in FOLDER.iterdir():
        assert path.stat().st_size < LARGEST


def test_the_python_runs(tmp_path):
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1].replace("mine.yaml", "lenet5")
    done = run(code=f"import archspec\n{code}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"mine.pdf", "mine.png"}
