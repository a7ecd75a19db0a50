"""docs/costs.md: its commands print what it shows."""

import re

import pytest
from pages import ROOT, commands, run
from support import commands as support

PAGE = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("command", "output"), commands(PAGE))
def test_a_command_prints_what_the_page_shows(command, output):
    assert run(command) == output


def test_where_nothing_fits_the_page_shows_what_fits_prints():
    ((command, output),) = re.findall(r"```text\n\$ archspec (fits .*)\n((?:.*\n)*?)```", PAGE)
    done = support.run(*command.split())
    assert (done.returncode, done.stdout) == (1, output)
