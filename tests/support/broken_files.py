"""Model files with something changed at random: a byte, a number, a name, a member of a zip."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

TESTS = Path(__file__).parent.parent
FOLDERS = (TESTS / "model_files", TESTS / "modelfiles")
NO_MODELS = {".py", ".md", ".txt", ".npz", ".npy"}

MOST_BYTES = 300_000
"""Size of the largest file that is changed."""

NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"7",
    b"2147483647",
    b"4294967296",
    b"1e999",
    b"9" * 40,
    b"0.5",
    b"null",
)
WORDS = (b'""', b"[]", b"{}", b"true", b'"\\u0000"', b"\x1b[31m", b"../../x", b"NaN", b"a" * 5000)
BYTES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\x0f", b"\0" * 8)


def files() -> list[Path]:
    """Return every model file of the tests, in the order of their names."""
    found = (path for folder in FOLDERS for path in sorted(folder.rglob("*")))
    return [
        path
        for path in found
        if path.is_file() and path.suffix not in NO_MODELS and path.stat().st_size <= MOST_BYTES
    ]


def changed(content: bytes, random: Random) -> bytes:
    """Return the bytes of a file with one to four changes."""
    if content.startswith(b"PK\x03\x04") and random.random() < 0.8:
        return _changed_zip(content, random)
    for _ in range(random.choice((1, 1, 2, 4))):
        content = _changed_once(content, random)
    return content


def _changed_zip(content: bytes, random: Random) -> bytes:
    """Return a zip with a member that is changed, left out or called otherwise."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(members))
    what = random.random()
    if what < 0.05:
        del members[name]
    elif what < 0.1:
        members[f"../{name}"] = members.pop(name)
    else:
        for _ in range(random.choice((1, 1, 2, 4))):
            members[name] = _changed_once(members[name], random)
    target = io.BytesIO()
    with zipfile.ZipFile(
        target, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as z:
        for member, text in members.items():
            z.writestr(member, text)
    return target.getvalue()


def _changed_once(content: bytes, random: Random) -> bytes:
    if not content:
        return random.choice(BYTES)
    at = random.randrange(len(content))
    length = random.choice((1, 4, 40, 400))
    changes = list(_bytes_changed(content, at, length, random))
    if b"\0" not in content[:1000]:
        changes = [*_text_changed(content, random), *changes]
    return random.choice(changes)


def _bytes_changed(content: bytes, at: int, length: int, random: Random) -> Iterator[bytes]:
    yield content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]
    yield content[:at] + random.choice(BYTES) + content[at + 1 :]
    yield content[:at] + random.randbytes(min(length, 8)) + content[at + min(length, 8) :]
    yield content[:at]
    yield content[:at] + content[at + length :]
    yield content[:at] + content[at : at + length] * random.choice((2, 3, 50)) + content[at:]
    scattered = bytearray(content)
    for _ in range(20):
        scattered[random.randrange(len(content))] = random.choice((0, 1, 127, 128, 255))
    yield bytes(scattered[: random.choice((len(content), len(content) // 2 + 1))])


def _text_changed(content: bytes, random: Random) -> Iterator[bytes]:
    numbers = list(re.finditer(rb"-?[0-9][0-9.]*", content))
    if numbers:
        number = random.choice(numbers)
        yield content[: number.start()] + random.choice(NUMBERS) + content[number.end() :]
        yield content[: number.start()] + random.choice(WORDS) + content[number.end() :]
    words = list(re.finditer(rb"[A-Za-z_]{2,}", content))
    if words:
        one, other = random.choice(words), random.choice(words)
        yield content[: one.start()] + other[0] + content[one.end() :]
        yield content[: one.start()] + random.choice(WORDS) + content[one.end() :]
    brackets = list(re.finditer(rb"[\[{]", content))
    if brackets:
        place = random.choice(brackets).start()
        yield (
            content[:place]
            + content[place : place + 1] * random.choice((1, 50, 5000))
            + content[place:]
        )
    lines = content.split(b"\n")
    if len(lines) > 3:
        i = random.randrange(len(lines) - 1)
        yield b"\n".join([*lines[:i], *lines[i + 1 :]])
        yield b"\n".join([*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]])
