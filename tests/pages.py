"""Pages whose commands are run: what a console block shows is what its commands print.

python tests/pages.py PAGE...   runs all commands of the pages, and writes down what they print
"""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

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
    """Return what a command prints in a shell whose directory is the checkout."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PATH": path},
    )
    return done.stdout


def _renewed(page: str) -> str:
    def block(match: re.Match[str]) -> str:
        names = re.findall(r"^\$ (.*)\n", match[0], re.MULTILINE)
        return "".join(f"$ {name}\n{run(name)}" for name in names)

    return _BLOCK.sub(block, page)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(_renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
