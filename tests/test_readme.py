"""README.md: its spec, its mistake and its Python are real."""

import re

import pytest
from pages import ROOT, counted

import archspec
from archspec.render.errors import render

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
SPEC = re.search(r"```yaml\n# mine.yaml\n(.*?)```", PAGE, re.DOTALL)[1]
OPEN = re.search(r"```yaml\n# unet.yaml\n(.*?)```\n(.*?)\n\n", PAGE, re.DOTALL)
MISTAKE = re.search(r"\$ archspec build mine.yaml\n(.*?)```", PAGE, re.DOTALL)[1]
PYTHON = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_page_says_how_many_networks_there_are():
    """Count them again by `make docs`."""
    assert "networks](docs/families.md)" in PAGE
    assert counted(PAGE) == PAGE


def test_the_spec_keeps_its_own_budget(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(SPEC)
    checks = archspec.report(archspec.load(path)).checks
    assert {check.figure for check in checks} == {"params", "macs"}
    assert all(check.holds for check in checks)


def test_the_spec_of_any_size_has_the_figures_below_it(tmp_path):
    path = tmp_path / "unet.yaml"
    path.write_text(OPEN[1])
    spec = archspec.load(path)
    totals = archspec.report(spec).totals
    at_256 = archspec.report(spec, at="256x256").totals.macs / 1e9
    for figure in (f"{totals.params:,} parameters", f"`{totals.macs}` MACs", f"{at_256:.2f} G"):
        assert figure in OPEN[2]


def test_the_mistake_is_shown_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = SPEC.replace("residual: {filters:", "residual: {filter:")
    (tmp_path / "mine.yaml").write_text("# mine.yaml\n" + wrong)
    with pytest.raises(archspec.SpecError) as raised:
        archspec.report(archspec.load("mine.yaml"))
    assert render(raised.value) == MISTAKE.rstrip("\n")


@pytest.mark.keras
def test_the_python_runs(tmp_path, monkeypatch, blank_pictures):  # noqa: ARG001
    monkeypatch.chdir(tmp_path)
    code = PYTHON.replace("epochs=5", "epochs=1, data='digits'").replace("mine.yaml", "lenet5")
    exec(code.replace("epochs=10", "epochs=2"), {})  # noqa: S102
    assert (tmp_path / "runs" / "lenet5-1" / "summary.md").is_file()
