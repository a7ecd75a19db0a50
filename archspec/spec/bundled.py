"""The specs that come with archspec.

Their data stands in `specs/parsed.jsonl` too, a line for each family, so that no YAML is parsed for
them: with PyYAML's import, that takes a tenth of `archspec build`. `make docs` writes the file:

    python -m archspec.spec.bundled
"""

from __future__ import annotations

import os
import re
from binascii import crc32
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from archspec.spec.located import LINE_BREAK
from archspec.spec.source import Source, content, parse, read

PARSED: Final = "parsed.jsonl"
"""Name of the file with the family, the checksum of its text and its data on each line."""


@cache
def bundled() -> Mapping[str, Path]:
    """Return the specs that come with archspec: family to file."""
    return {path.stem: path for path in sorted(_folder().glob("*.yaml"))}


def _folder() -> Path:
    import archspec.specs  # noqa: PLC0415  (a path of one's own does not need it)

    return Path(archspec.specs.__file__).parent


def read_bundled(family: str) -> Source:
    """Return the source of a spec that comes with archspec.

    Its text is parsed if the file of parsed specs has the data of another text: when the spec was
    edited since.
    """
    import json  # noqa: PLC0415

    path = bundled()[family]
    raw = content(path)
    line = _lines().get(family)
    record = json.loads(line) if line else None
    if record is None or record["crc32"] != crc32(raw):
        return parse(raw, os.fspath(path))
    return Source(os.fspath(path), tuple(LINE_BREAK.split(raw.decode())), record["spec"], (), None)


def outlines(*keys: str) -> Iterator[Mapping[str, Any]]:
    """Yield the values of some keys of every bundled spec."""
    for family in bundled():
        data = read_bundled(family).data
        yield {key: value for key, value in data.items() if key in keys}


def names_of_networks() -> list[str]:
    """Return the names of all bundled families, and of their variants."""
    specs = outlines("variants")
    return [*bundled(), *(variant for spec in specs for variant in spec.get("variants", ()))]


def mentioning(name: str) -> Iterator[str]:
    """Yield the families among whose variants this name may be, the likely ones first."""
    if not re.fullmatch(r"\w{1,100}", name):
        return
    key = re.compile(rf"^  {name}\s*:".encode(), re.MULTILINE)
    families = sorted(bundled(), key=lambda family: not name.startswith(family))
    for family in families:
        if key.search(bundled()[family].read_bytes()):
            yield family


@cache
def _lines() -> Mapping[str, bytes]:
    """Return the lines of the parsed specs by family."""
    lines = (_folder() / PARSED).read_bytes().splitlines()
    return {line.split(b'"', 4)[3].decode(): line for line in lines}


def parsed_specs() -> str:
    """Return the content of the file of parsed specs, from the texts of all."""
    import json  # noqa: PLC0415

    records = (
        {"family": family, "crc32": crc32(content(path)), "spec": read(path).data}
        for family, path in bundled().items()
    )
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)


if __name__ == "__main__":
    (_folder() / PARSED).write_text(parsed_specs(), encoding="utf-8")
