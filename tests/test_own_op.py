"""The op of the page about new families, as a package of somebody else has it."""

import re
import textwrap
from pathlib import Path

import pytest
from support.commands import BACKEND, run

PAGE = Path(__file__).parents[1] / "docs" / "adding-a-family.md"

pytestmark = pytest.mark.keras


def test_the_op_of_the_page_is_a_kind_by_its_entry_point(tmp_path):
    """A folder with the metadata of an installed package is what `pip install` leaves."""
    text = PAGE.read_text(encoding="utf-8").partition("## An op of your own")[2]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "coordinates.py").write_text(code, encoding="utf-8")
    metadata = tmp_path / "coordinates-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: coordinates\nVersion: 1.0\n")
    group = toml.replace('project.entry-points."archspec.ops"', "archspec.ops").replace('"', "")
    (metadata / "entry_points.txt").write_text(group)
    (tmp_path / "net.yaml").write_text(
        textwrap.dedent("""
            name: net
            input: [6, 5, 2]
            layers: [coordinates, conv: 3]
            expect: {params: 111}
        """)
    )
    done = run("build", "net.yaml", "--verify", engine=BACKEND, cwd=tmp_path)
    assert "all equal" in done.stdout + done.stderr, done.stdout + done.stderr
    assert "6x5x4" in done.stdout
