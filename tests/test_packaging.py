"""The installed package: the whole tree under one name, and third parties' kinds."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import archspec.specs

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = {"archspec": "archspec", "archspec.cli": "cli", "archspec.specs": "specs"}


def archspec_command(*arguments: str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with the folder `path` before everything that is installed."""
    return subprocess.run(
        [sys.executable, "-m", "archspec.cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(path)},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list_of_packages_is_the_tree():
    found = {"archspec.cli", "archspec.specs"}
    for init in (ROOT / "archspec").rglob("__init__.py"):
        found.add(".".join(init.parent.relative_to(ROOT).parts))
    assert sorted(SETUPTOOLS["packages"]) == sorted(found)
    assert SETUPTOOLS["package-dir"] == FOLDERS


def test_every_folder_with_modules_is_a_package():
    for package in ("archspec", "cli", "specs"):
        for module in (ROOT / package).rglob("*.py"):
            assert (module.parent / "__init__.py").is_file()


def test_the_version_is_said_once_and_the_same():
    assert PROJECT["project"]["version"] == archspec.__version__
    assert importlib.metadata.version("keras-archspec") == archspec.__version__


def test_the_specs_are_found_where_they_are_written():
    """Also in an editable install, where they are outside the package's folder."""
    assert archspec.specs.__file__ is not None
    installed = {path.name for path in Path(archspec.specs.__file__).parent.glob("*.yaml")}
    assert installed == {path.name for path in (ROOT / "specs").glob("*.yaml")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without a network from a copy of what belongs to it."""
    setuptools = importlib.metadata.version("setuptools")
    if int(setuptools.partition(".")[0]) < 77:
        pytest.skip(f"setuptools {setuptools} cannot read this pyproject.toml: it needs 77")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in FOLDERS.values():
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('..'))"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_all_of_the_tree_and_nothing_else(wheel):
    expected = {"archspec/py.typed"}
    for package, folder in FOLDERS.items():
        for pattern in (
            "**/*.py",
            "**/*.json",
            "**/*.css",
            "**/*.html",
            "**/*.js",
            "**/LICENSE.*",
            *(["*.yaml", "*.jsonl"] if folder == "specs" else []),
        ):
            for path in (ROOT / folder).glob(pattern):
                place = path.relative_to(ROOT / folder).as_posix()
                expected.add(f"{package.replace('.', '/')}/{place}")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected


def test_the_wheel_lists_and_costs_its_own_specs(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    where = subprocess.check_output(
        [sys.executable, "-c", "import archspec.specs; print(archspec.specs.__file__)"],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=tmp_path,
        text=True,
    )
    assert Path(where.strip()) == site / "archspec/specs/__init__.py"
    listed = archspec_command("list", "--format", "json", path=site, cwd=tmp_path)
    assert "vgg" in {each["family"] for each in json.loads(listed.stdout)}
    assert archspec_command("build", "vgg16", path=site, cwd=tmp_path).returncode == 0


BLOCK = '''
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.ops.fields import Count


class Twice(Block, kind="twice", main="filters"):
    """The same convolution twice. (Nobody, never)"""

    filters: Count
    """Filters of both."""

    def expand(self, b, x):
        return b(Conv(filters=self.filters), b(Conv(filters=self.filters), x))
'''


@pytest.fixture(scope="module")
def third_party(tmp_path_factory):
    """A folder as `pip install --target` leaves it, with a distribution that adds a kind."""
    site = tmp_path_factory.mktemp("site")
    (site / "twice.py").write_text(BLOCK, encoding="utf-8")
    info = site / "twice-1.0.dist-info"
    info.mkdir()
    metadata = "Metadata-Version: 2.1\nName: twice\nVersion: 1.0\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    points = "[archspec.blocks]\ntwice = twice:Twice\n"
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    spec = "name: two\ninput: [8, 8, 3]\nlayers:\n  - twice: 4\n"
    (site / "two.yaml").write_text(spec, encoding="utf-8")
    return site


def test_a_third_party_s_kind_is_built(third_party):
    done = archspec_command(
        "build", "two.yaml", "--format", "json", path=third_party, cwd=third_party
    )
    assert done.returncode == 0, done.stderr
    first, second = (3 * 3 * 3 + 1) * 4, (3 * 3 * 4 + 1) * 4
    assert json.loads(done.stdout)["totals"]["params"] == first + second


def test_a_third_party_s_kind_is_explained(third_party):
    done = archspec_command("show", "twice", path=third_party, cwd=third_party)
    assert "The same convolution twice." in done.stdout
    assert "Filters of both." in done.stdout
    listed = archspec_command("list", "--kinds", path=third_party, cwd=third_party)
    assert "twice\tblock\tThe same convolution twice. (Nobody, never)" in listed.stdout


def test_a_third_party_s_kind_is_in_the_schema(third_party):
    done = archspec_command("schema", path=third_party, cwd=third_party)
    arguments = json.loads(done.stdout)["$defs"]["arguments.twice"]
    assert arguments["properties"]["filters"]["description"] == "Filters of both."


def test_a_misspelt_kind_of_a_third_party_is_suggested(third_party):
    wrong = (third_party / "two.yaml").read_text(encoding="utf-8").replace("twice", "twize")
    (third_party / "wrong.yaml").write_text(wrong, encoding="utf-8")
    done = archspec_command("build", "wrong.yaml", path=third_party, cwd=third_party)
    assert done.returncode == 1
    assert "did you mean `twice`?" in done.stderr


def test_an_entry_point_that_is_no_kind_is_refused(third_party, tmp_path):
    points = "[archspec.blocks]\ntwice = twice:Block\n"
    info = tmp_path / "twice-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: twice\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    (tmp_path / "twice.py").write_text(BLOCK, encoding="utf-8")
    done = archspec_command("build", str(third_party / "two.yaml"), path=tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "the installed entry point `twice` is not an op or block of that kind" in done.stderr
