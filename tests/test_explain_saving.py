"""Saving of a gallery: whole or not at all, over its own files and no others."""

import errno
import json
import os
import unicodedata

import numpy as np
import pytest

from archspec.errors import UsageError
from archspec.explain.gallery import Exhibit, Gallery, Page, Picture, Table
from archspec.render.gallery import drawing, saving


def table(name="facts", rows=((1, 2),)):
    return Table(name, "Facts", ["a", "b"], rows)


def gallery(*exhibits, **changed):
    return Gallery(
        **{"method": "m", "network": "net", "settings": {}, "exhibits": exhibits} | changed
    )


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def test_a_folder_is_whole_and_its_record_lists_its_files(tmp_path):
    folder = gallery(Exhibit("one", "", [table()])).save(tmp_path / "out")
    assert names(folder) == ["explain.json", "index.html", "one-facts.csv"]
    record = json.loads((folder / "explain.json").read_text(encoding="utf-8"))
    assert record["files"] == names(folder)
    assert record["exhibits"][0]["items"][0]["files"] == ["one-facts.csv"]


def test_a_folder_is_replaced_and_what_others_put_there_stays(tmp_path):
    folder = gallery(Exhibit("old", "", [table()])).save(tmp_path / "out")
    (folder / "notes.txt").write_text("mine")
    (folder / "deep").mkdir()
    (folder / "deep" / "old-facts.csv").write_text("mine")
    gallery(Exhibit("new", "", [table()])).save(folder)
    assert names(folder) == ["deep", "explain.json", "index.html", "new-facts.csv", "notes.txt"]
    assert (folder / "deep" / "old-facts.csv").read_text() == "mine"


def test_a_file_that_no_gallery_wrote_is_not_written_over(tmp_path):
    folder = gallery(Exhibit("old", "", [table()])).save(tmp_path / "out")
    (folder / "new-facts.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"new-facts.csv was not written by the gallery"):
        gallery(Exhibit("new", "", [table()])).save(folder)
    assert (folder / "new-facts.csv").read_text() == "mine"
    assert "old-facts.csv" in names(folder)


@pytest.mark.parametrize("record", ["{}", '{"files": 3}', "[", '{"method": "other tool"}'])
def test_a_folder_with_a_foreign_record_is_refused(tmp_path, record):
    (tmp_path / "explain.json").write_text(record)
    with pytest.raises(UsageError, match="holds other files"):
        saving.check_folder(tmp_path)


def test_a_record_names_files_of_its_own_folder_only(tmp_path):
    other = tmp_path / "precious.csv"
    other.write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    text = json.dumps({"files": ["../precious.csv", str(other), "explain.json"]})
    (folder / "explain.json").write_text(text)
    gallery(Exhibit("new", "", [table()])).save(folder)
    assert other.read_text() == "mine"


def test_a_full_disk_leaves_the_earlier_gallery(tmp_path, monkeypatch):
    folder = gallery(Exhibit("old", "", [table()])).save(tmp_path / "out")
    before = {each.name: each.read_bytes() for each in folder.iterdir()}

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(drawing, "png", full)
    picture = Picture("map", "map", np.ones((2, 2)), "positive")
    with pytest.raises(UsageError, match=r"cannot write .*out: No space left"):
        gallery(Exhibit("new", "", [table(), picture])).save(folder)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    with pytest.raises(UsageError, match="No space left"):
        gallery(Exhibit("new", "", [picture])).save(tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()


def test_names_that_are_one_on_some_systems_are_kept_apart(tmp_path):
    same = ["photos/A.png", "a.png", "A.PNG", "\u00e9", "e\u0301", "", "b", "b-facts"]
    shown = [Exhibit(name, "", [table(rows=[[name, 0]])]) for name in same]
    shown.append(Exhibit("b", "", [table("facts-facts")]))
    shown.append(Exhibit("", "", [Page("index", "", "<p>")]))
    folder = gallery(*shown).save(tmp_path / "out")
    found = [name for name in names(folder) if name.endswith(".csv")]
    same_name = {unicodedata.normalize("NFC", name).casefold() for name in found}
    assert len(same_name) == len(same) + 1
    assert "archspec" in (folder / "index.html").read_text(encoding="utf-8")


def test_names_are_plain_and_short_on_disk(tmp_path):
    hostile = ["../../etc/x", "a\nb", "<script>", "\u0915" * 300, "con", "..", "\udcff"]
    folder = gallery(*(Exhibit(name, name, [table()]) for name in hostile)).save(tmp_path / "out")
    assert all(len(os.fsencode(name)) < 200 for name in names(folder))
    assert len(names(folder)) == len(hostile) + 2


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_file_in_the_way_is_said_before_any_work(tmp_path, where):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        saving.check_folder(tmp_path / where)
