"""Files that are written whole or not at all."""

import os
from pathlib import Path

import pytest

from archspec import atomic
from archspec.errors import UsageError


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = atomic.save(tmp_path / "notes.txt", "old")

    def die_half_way() -> None:
        with atomic.whole(path) as partial:
            partial.write_text("half of the n", encoding="utf-8")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        die_half_way()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_synced_by_a_descriptor_that_may_write(tmp_path, monkeypatch):
    """Windows refuses any other."""
    fcntl = pytest.importorskip("fcntl")
    modes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: modes.append(fcntl.fcntl(file, fcntl.F_GETFL)))
    atomic.save(tmp_path / "a.txt", "text")
    assert [mode & os.O_ACCMODE for mode in modes] == [os.O_RDWR]


def test_text_has_the_same_bytes_on_every_system(tmp_path):
    assert atomic.save(tmp_path / "a.txt", "é\n").read_bytes() == b"\xc3\xa9\n"


def test_a_file_that_is_replaced_hands_on_who_may_read_it(tmp_path):
    path = atomic.save(tmp_path / "secret.txt", "old")
    path.chmod(0o600)
    atomic.save(path, "new")
    assert (path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_a_link_stays_one(tmp_path):
    target = atomic.save(tmp_path / "target.txt", "old")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    atomic.save(link, "new")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/a.txt", "cannot write .*missing/a.txt: No such file or directory"),
        ("", "cannot write .*: Is a directory"),
        ("a\0b.txt", "cannot be a path: it has a null character"),
        ("a" * 300, "cannot write .*: File name too long"),
    ],
)
def test_what_cannot_be_written_is_said_with_its_path(tmp_path, name, message):
    with pytest.raises(UsageError, match=message):
        atomic.save(Path(f"{tmp_path}/{name}"), "text")
    assert list(tmp_path.iterdir()) == []
