"""docs/costs.md: its commands print what it shows."""

import pytest
from pages import ROOT, commands, run

PAGE = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("command", "output"), commands(PAGE))
def test_a_command_prints_what_the_page_shows(command, output):
    assert run(command) == output
