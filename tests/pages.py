"""Pages whose commands are run: what a console block shows is what its commands print.

python tests/pages.py PAGE...   runs all commands of the pages, writes down what they print, and
                                counts the networks that come with archspec
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from support.commands import BACKEND
from support.commands import run as commands_run

import archspec

ROOT = Path(__file__).parents[1]

_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[tuple[str, str]]:
    """Each command of a page, and the output that stands below it."""
    listed: list[tuple[str, str]] = []
    for block in _BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            listed.append((command, output))
    return listed


def run(command: str) -> str:
    """Return what a command prints in the checkout: a shell's, or `archspec ... | FILTER`."""
    first, bar, rest = command.partition(" | ")
    words = shlex.split(first)
    if words[0] != "archspec":
        return _shell(command)
    done = commands_run(*words[1:], cwd=ROOT, engine=BACKEND if words[1] == "probe" else "")
    assert done.returncode == 0, done.stderr
    return _shell(rest, done.stdout) if bar else done.stdout


def _shell(command: str, input: str = "") -> str:  # noqa: A002
    return subprocess.run(
        ["sh", "-c", command], input=input, capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


def counted(page: str) -> str:
    """Return a page that says how many networks come with archspec, with today's numbers."""
    listed = archspec.networks()
    now = f"{len(listed.families)} families with {len(listed)} networks"
    return re.sub(r"\d+ families with \d+ networks", now, page)


def _renewed(page: str) -> str:
    def block(match: re.Match[str]) -> str:
        names = re.findall(r"^\$ (.*)\n", match[0], re.MULTILINE)
        return "".join(f"$ {name}\n{run(name)}" for name in names)

    return counted(_BLOCK.sub(block, page))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(_renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
