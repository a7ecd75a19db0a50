"""Pages whose commands print what they show."""

import re

import pytest
from pages import ROOT, commands, run
from support import commands as support

PAGES = ("README.md", "docs/costs.md", "docs/counting.md", "docs/lecture.md")


@pytest.mark.parametrize(
    ("command", "output"),
    [
        pytest.param(command, output, id=command)
        for page in PAGES
        for command, output in commands((ROOT / page).read_text(encoding="utf-8"))
        if page != "docs/lecture.md" or " probe " not in command  # see test_lecture.py
    ],
)
def test_a_command_prints_what_its_page_shows(command, output):
    assert run(command) == output


def test_where_nothing_fits_the_page_shows_what_fits_prints():
    page = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")
    ((command, output),) = re.findall(r"```text\n\$ archspec (fits .*)\n((?:.*\n)*?)```", page)
    done = support.run(*command.split())
    assert (done.returncode, done.stdout) == (1, output)
