"""`table`: images and labels by the rows of CSV, TSV and Parquet files."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import archspec
from archspec.data import byteranges, dataset
from archspec.data.names import TEST, TRAIN, VALIDATION
from archspec.data.recipe import DataRecipe
from archspec.data.sources import SOURCES, keys_of
from archspec.errors import UsageError
from archspec.ops.shape import Shape

GREY = Shape((4, 4, 1))

PETS = {"cats/1.png": "cat", "cats/2.png": "cat", "dogs/3.png": "dog", "dogs/4.png": "dog"}


@pytest.fixture
def pets(tmp_path):
    """Four pictures of different levels, in a folder for each class."""
    for level, name in enumerate(PETS, start=1):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4), 10 * level).save(path)
    return tmp_path


def table(root: Path, *rows, header=("filename", "label"), name="labels.csv", **form) -> Path:
    path = root / name
    encoding = form.pop("encoding", "utf-8")
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, **form).writerows([header, *rows])
    return path


def with_column(root: Path, name: str, values) -> Path:
    """Write the table of the pets with a third column."""
    rows = [(*pair, value) for pair, value in zip(PETS.items(), values, strict=True)]
    return table(root, *rows, header=("filename", "label", name))


def of(path: Path | str, **options) -> DataRecipe:
    return DataRecipe(source="table", path=str(path), **options)


def load(path: Path | str, **options):
    recipe = of(path, **options)
    loaded = SOURCES["table"].load(recipe, GREY)
    assert SOURCES["table"].preview(recipe, GREY).class_names == loaded.class_names
    return loaded


def fails(path: Path | str, words: str, **options) -> None:
    with pytest.raises(UsageError) as caught:
        SOURCES["table"].load(of(path, **options), GREY)
    assert words in str(caught.value)


def assert_pixels_of_folder(path: Path, pets: Path, shape: Shape, **options) -> None:
    """Assert that a table of the pets gives the pixels that the folder of the files gives."""
    options |= {"validation": 0, "test": 0}
    here = dataset.load(of(path, **options), shape)
    there = dataset.load(DataRecipe(source="folder", path=str(pets), **options), shape)
    np.testing.assert_array_equal(*[each.train.pixels.read(np.arange(4)) for each in (here, there)])
    assert here.train.labels.tolist() == there.train.labels.tolist()


def labels(loaded) -> list[str]:
    return [loaded.class_names[number] for number in loaded.labels]


def levels(images) -> list[int]:
    """The level of each picture, which identifies it."""
    pixels = [images.get(i) for i in range(len(images.names))]
    opened = (Image.open(io.BytesIO(p) if isinstance(p, bytes) else p) for p in pixels)
    return [image.getpixel((0, 0)) for image in opened]


# CSV and TSV


def test_a_folder_of_images_with_a_table_points_to_the_table(pets):
    path = table(pets, ("0.png", "cat"))
    Image.new("L", (4, 4)).save(pets / "0.png")
    with pytest.raises(UsageError, match=f"if {path} gives their classes, name it as the data"):
        SOURCES["folder"].load(DataRecipe(source="folder", path=str(pets)), GREY)
    assert keys_of(str(path)) == {"source": "table", "path": str(path)}


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (("filename", "label"), {}),
        (("File Name", "Class"), {"delimiter": ";", "name": "labels.CSV"}),
        (("image_path", "category"), {"delimiter": "\t", "name": "labels.tsv"}),
        (("path", "label"), {"encoding": "utf-8-sig", "quoting": csv.QUOTE_ALL}),
        (("img", "Target"), {"encoding": "utf-16", "delimiter": "\t"}),
    ],
)
def test_a_table_is_read_as_people_write_it(pets, header, form):
    loaded = load(table(pets, *PETS.items(), header=header, **form))
    assert labels(loaded) == list(PETS.values())
    assert levels(loaded.images) == [10, 20, 30, 40]
    assert loaded.parts is None


def test_the_rows_give_the_pixels_that_a_folder_of_the_same_files_gives(pets):
    assert_pixels_of_folder(table(pets, *PETS.items()), pets, GREY)


def test_other_columns_are_ignored_and_the_likelier_of_two_is_taken(pets):
    rows = [(i, name, "x", label) for i, (name, label) in enumerate(PETS.items())]
    loaded = load(table(pets, *rows, header=("id", "filename", "note", "label")))
    assert levels(loaded.images) == [10, 20, 30, 40]
    assert loaded.notes == ("images from the column `filename`, labels from `label`",)


def test_a_column_of_paths_is_known_by_its_values(pets):
    assert labels(load(table(pets, *PETS.items(), header=("what", "label")))) == [*PETS.values()]


def test_columns_can_be_named(pets):
    rows = [
        (name, label, "train" if "1" in name or "3" in name else "dev")
        for name, label in PETS.items()
    ]
    path = table(pets, *rows, header=("a", "b", "c"))
    loaded = load(path, images="a", labels="b", split="c")
    assert loaded.parts.tolist() == [TRAIN, VALIDATION, TRAIN, VALIDATION]
    fails(path, "no column `d`, which `labels` names; its columns: a, b, c", labels="d")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            ("x", "y2"),
            "the labels is not obvious; name it: `labels: COLUMN`; its other columns: y2",
        ),
        (("x", "label", "class"), "each of the columns `label`, `class` may be meant; name one"),
        (("path", "file", "label"), "each of the columns `path`, `file` may be meant"),
    ],
)
def test_what_is_not_obvious_is_asked_for(pets, header, words):
    rows = [(name, "a", "b")[: len(header)] for name in PETS]
    fails(table(pets, *rows, header=header), words)


def test_no_column_that_could_be_images_is_asked_for(pets):
    fails(table(pets, (1, "cat"), header=("a", "label")), "name it: `images: COLUMN`")


def test_a_first_row_of_data_is_not_a_header(pets):
    fails(
        table(pets, *PETS.items(), header=("cats/0.png", "cat")), "write the columns' names above"
    )


@pytest.mark.parametrize("column", ["split", "Subset", "fold"])
def test_a_column_of_parts_is_found(pets, column):
    for name in ("5", "6"):
        Image.new("L", (4, 4)).save(pets / f"{name}.png")
    rows = [*((*pair, "Train") for pair in PETS.items()), ("5", "cat", "val"), ("6", "dog", "TEST")]
    loaded = load(table(pets, *rows, header=("filename", "label", column)))
    assert loaded.parts.tolist() == [TRAIN] * 4 + [VALIDATION, TEST]
    assert loaded.notes[0].endswith(f", parts from `{column}`")


def test_numbers_of_folds_are_ignored_with_a_note_and_refused_in_a_column_that_is_named(pets):
    path = with_column(pets, "fold", [0, 1, 0, 1])
    loaded = load(path)
    assert loaded.parts is None
    assert loaded.notes[0].endswith("labels from `label`; `fold` names no parts and is not used")
    fails(path, "labels.csv:2: the column `fold` says `0`, but must say", split="fold")


def test_what_is_held_out_is_part_of_the_fingerprint(pets):
    digests = set()
    for parts in (["train", "test"] * 2, ["test", "train"] * 2, ["train"] * 4):
        digests.add(load(with_column(pets, "split", parts)).digest)
    assert len(digests) == 3


def test_a_table_of_one_part_is_not_split(pets):
    assert load(with_column(pets, "split", ["test"] * 4)).parts is None


def test_a_column_of_groups_is_kept_together(pets):
    path = with_column(pets, "owner", "ABAB")
    loaded = load(path, group="owner")
    assert loaded.groups == ["A", "B", "A", "B"]
    assert loaded.notes[0].endswith(", groups from `owner`")
    assert load(path, group=r"(\w+)/").groups is None
    assert load(path).digest != loaded.digest
    path = with_column(pets, "owner", ["A", "B", "", "B"])
    fails(path, "labels.csv:4: the column `owner`, which `group` names, is empty", group="owner")


def test_a_row_of_no_known_part_is_named(pets):
    path = with_column(pets, "split", ["train", "train", "tset", "test"])
    fails(path, "labels.csv:4: the column `split` says `tset`")


def test_a_missing_suffix_is_tried_and_the_folder_beside_the_table_found(pets):
    (pets / "images").mkdir()
    for number, name in enumerate(PETS, start=1):
        (pets / name).rename(
            pets / "images" / f"{number}.PNG" if number == 4 else pets / "images" / Path(name).name
        )
    loaded = load(table(pets, *enumerate(PETS.values(), start=1), header=("id", "label")))
    assert levels(loaded.images) == [10, 20, 30, 40]
    assert f"the images of the table are in {pets / 'images'}" in loaded.notes


def test_of_several_folders_the_one_called_like_the_table_has_the_images(pets):
    for level, folder in ((10, "train_images"), (20, "test_images")):
        (pets / folder).mkdir()
        for number in (7, 8):
            Image.new("L", (4, 4), level + number).save(pets / folder / f"{number}.png")
    rows = [(7, "cat"), (8, "dog")]
    path = table(pets, *rows, header=("id", "label"), name="train_labels.csv")
    assert levels(load(path).images) == [17, 18]
    fails(table(pets, *rows, header=("id", "label")), "is in test_images/ and in train_images/")


def test_paths_may_be_absolute_or_of_windows(pets):
    rows = [(pets / name, label) for name, label in [*PETS.items()][:2]]
    rows += [(name.replace("/", "\\"), label) for name, label in [*PETS.items()][2:]]
    assert levels(load(table(pets, *rows)).images) == [10, 20, 30, 40]


def test_a_row_without_its_file_or_its_label_is_named(pets):
    rows = [*PETS.items(), ("cats/5.png", "cat"), ("http://a.test/6.png", "cat"), ("", "dog")]
    path = table(pets, *rows, ("dogs/4.png", ""))
    fails(path, "4 of 8 image files")
    fails(path, "labels.csv:6: cats/5.png (no such file in")
    fails(path, "labels.csv:7: http://a.test/6.png (a URL: download the images)")
    fails(path, "labels.csv:8 (no image)")
    fails(path, "labels.csv:9: dogs/4.png (no label)")
    loaded = load(path, on_error="skip")
    assert len(loaded.labels) == 4
    assert len(loaded.skipped) == 4


def test_a_part_without_any_label_is_left_out(pets):
    rows = [(*pair, "train") for pair in PETS.items()]
    rows[1:2] = [("cats/2.png", "", "test")]
    loaded = load(table(pets, *rows, header=("filename", "label", "split")))
    assert labels(loaded) == ["cat", "dog", "dog"]
    assert [reason for _, reason in loaded.skipped] == ["no label"]


def test_two_rows_of_an_image_agree_or_are_an_error(pets):
    again = load(table(pets, *PETS.items(), ("./cats/1.png", "cat")))
    assert [reason.rsplit("/")[-1] for _, reason in again.skipped] == ["labels.csv:2 again"]
    fails(
        table(pets, *PETS.items(), ("cats/1.png", "dog")),
        "has another class than the same image",
    )


@pytest.mark.parametrize(
    ("written", "class_names"),
    [
        (["b", "a", "b", "C"], ("C", "a", "b")),
        (["10", "9", "10", "9"], ("9", "10")),
        (["1.0", "2.0", "1", "2"], ("1", "2")),
        (["007", "008", "007", "008"], ("007", "008")),
        (["NA", "None", "NA", "None"], ("NA", "None")),
    ],
)
def test_classes_are_the_labels_that_occur_in_order(pets, written, class_names):
    loaded = load(table(pets, *zip(PETS, written, strict=True)))
    assert loaded.class_names == class_names


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("0.5", "the labels are numbers such as 0.5"),
        ("a" * 201, "a label is a text, not a class's name"),
        ("a\x1b[31m", "a class has a name that cannot be shown"),
    ],
)
def test_a_label_that_cannot_name_a_class_is_refused(pets, written, words):
    fails(table(pets, *((name, written) for name in PETS)), words)


def test_a_column_for_each_class_has_one_1_in_each_row(pets):
    rows = [
        (name, 33, *row, "0.0") for name, row in zip(PETS, ["10", "10", "01", "01"], strict=True)
    ]
    header = ("image", "age", "mel", "nv", "unk")
    loaded = load(table(pets, *rows, header=header))
    assert labels(loaded) == ["mel", "mel", "nv", "nv"]
    rows[2] = (*rows[2][:2], 1, 1, 0)
    fails(table(pets, *rows, header=header), "labels.csv:4: 2 of the columns `mel` ... `nv` are 1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is empty: it needs a header"),
        (b"PK\x03\x04" + bytes(99), "is a spreadsheet or an archive, not text: save it as CSV"),
        (b"filename,label\n", "there are no images with a label in"),
        (b"filename,label\na.png\n", "labels.csv:2 has 1 fields, but the header has 2"),
        (b'filename,label\n"a.png,cat\n', "labels.csv:2 has 1 fields, but the header has 2"),
        (b'filename,label\n"' + b"a" * 200_000, "is a quotation mark not closed?"),
        (b"filename,label\n\xe9.png,cat\n", "is not UTF-8 text"),
        (b"label,label,filename\na,b,c.png\n", "has two columns `label`: rename one of them"),
        (b"filename,label\na\0.png,cat\n", "no such file in"),
    ],
)
def test_the_mistake_in_a_broken_table_is_named(tmp_path, text, words):
    path = tmp_path / "labels.csv"
    path.write_bytes(text)
    fails(path, words)


def test_a_table_that_is_too_large_is_not_read(pets, monkeypatch):
    path = table(pets, *PETS.items())
    monkeypatch.setattr("archspec.data.csvtable.MOST_BYTES", 10)
    fails(path, "save it as Parquet, or only its columns of paths and labels")


def test_several_tables_are_the_parts_that_their_names_say(pets, monkeypatch):
    table(pets, *[*PETS.items()][::2], name="train.csv")
    table(pets, *[*PETS.items()][1::2], name="test.csv")
    assert load(pets).parts.tolist() == [TEST, TEST, TRAIN, TRAIN]
    assert load(pets / "tr*.csv").parts is None
    table(pets, *PETS.items(), name="other.csv")
    fails(pets, "other.csv beside test.csv")
    fails(pets / "valid*.csv", "there is no file")
    monkeypatch.chdir(pets)
    fails(Path(f"{{train,{pets}/test}}.csv"), "relative and absolute paths")


# A whole run


NET = """
name: pets
input: [4, 4, 1]
layers: [flatten, {fc: 2}]
train: {data: {source: table, path: labels.csv, images: where, labels: what}, epochs: 1}
"""


@pytest.mark.keras
def test_a_run_trained_on_a_table_is_evaluated_on_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = []
    for number in range(30):
        name, what = f"{number}.png", "ab"[number % 2]
        Image.new("L", (4, 4), 200 * (number % 2) + number).save(tmp_path / name)
        rows.append((name, what, ("train", "train", "dev", "test", "test")[number // 2 % 5]))
    table(tmp_path, *rows, header=("where", "what", "split"))
    (tmp_path / "net.yaml").write_text(NET, encoding="utf-8")
    run = archspec.fit("net.yaml")
    data = json.loads((run.folder / "data.json").read_text(encoding="utf-8"))
    assert data["images"] == {"train": 12, "validation": 6, "test": 12}
    assert data["class_names"] == ["a", "b"]
    own = archspec.evaluate(run.folder, data="labels.csv")
    assert "labels.csv, test: 12 images" in str(own)
    table(
        tmp_path,
        *[row for row in rows if row[2] == "dev"],
        header=("where", "what", "split"),
        name="new.csv",
    )
    assert "new.csv, all: 6 images" in str(archspec.evaluate(run.folder, data="new.csv"))


# Parquet

pyarrow = pytest.importorskip("pyarrow")


def parquet(path: Path, columns: dict, names: list[str] | None = None) -> Path:
    from pyarrow import parquet

    written = pyarrow.table(columns)
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        written = written.replace_schema_metadata(metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(written, path, row_group_size=2)
    return path


def encoded(root: Path) -> list[bytes]:
    return [(root / name).read_bytes() for name in PETS]


@pytest.fixture
def published(pets):
    """Image sets as Hugging Face writes them: two files to train on, one to test."""
    files = ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")
    for number, file in enumerate(files):
        images = [{"bytes": b, "path": "1.png"} for b in encoded(pets)]
        columns = {"image": images, "label": [1, 1, 0, number % 2], "boxes": [[1, 2]] * 4}
        parquet(pets / "hub" / "data" / f"{file}.parquet", columns, ["dog", "cat"])
    return pets / "hub"


def test_a_published_set_has_its_parts_and_the_names_of_its_classes(published):
    loaded = load(published)
    assert loaded.class_names == ("dog", "cat")
    assert loaded.parts.tolist() == [TEST] * 4 + [TRAIN] * 8
    assert loaded.labels.tolist() == [1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 1]
    assert levels(loaded.images) == [10, 20, 30, 40] * 3
    assert loaded.images.names[5].endswith("train-00000-of-00002.parquet, row 1")
    assert keys_of(str(published)) == {"source": "table", "path": str(published)}


def test_images_in_a_table_are_the_pixels_of_their_files(pets):
    path = parquet(pets / "pets.parquet", {"img": encoded(pets), "class": [*PETS.values()]})
    assert_pixels_of_folder(path, pets, Shape((3, 2, 3)), resize="crop")


def test_pixels_in_a_table_are_not_read(pets):
    path = parquet(pets / "pets.parquet", {"image": [[0, 255]] * 4, "label": [0, 1, 0, 1]})
    fails(path, "the column `image` of")
    fails(path, "an image is an encoded file, as bytes, or a path")


def test_labels_in_bytes_or_categories_are_names(pets):
    for column in (
        pyarrow.array([label.encode() for label in PETS.values()]),
        pyarrow.array([*PETS.values()]).dictionary_encode(),
    ):
        path = parquet(pets / "pets.parquet", {"image": encoded(pets), "label": column})
        assert labels(load(path)) == [*PETS.values()]


def test_paths_and_numbers_in_parquet_are_as_in_csv(pets):
    columns = {"file_name": [*PETS], "label": pyarrow.array([2, 2, 1, 1], "int64")}
    loaded = load(parquet(pets / "pets.parquet", columns))
    assert loaded.class_names == ("1", "2")
    assert levels(loaded.images) == [10, 20, 30, 40]


def test_rows_without_bytes_are_named(pets):
    images = pyarrow.array(
        [{"bytes": None, "path": "/home/me/1.png"}, {"bytes": None, "path": None}],
        pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]),
    )
    path = parquet(pets / "pets.parquet", {"image": images, "label": [0, 1]}, ["a", "b"])
    fails(path, "row 0: /home/me/1.png (no bytes in the table, and no file at this path")
    fails(path, "row 1 (no image)")


@pytest.mark.parametrize(
    ("column", "names", "words"),
    [
        ([[0], [1], [0], [1]], None, "holds list<"),
        ([0, 1, 2, 0], ["a", "b"], "row 2: the label 2 is not one of 2 classes"),
        ([0, None, -1, 1], ["a", "b"], "2 of 4 image files"),
    ],
)
def test_values_that_are_not_labels_are_named(pets, column, names, words):
    columns = {"image": encoded(pets), "label": column}
    fails(parquet(pets / "pets.parquet", columns, names), words)


def test_a_damaged_image_in_a_table_is_named_by_its_row(pets):
    images = [b"no image", *encoded(pets)[1:]]
    path = parquet(pets / "pets.parquet", {"image": images, "label": [*PETS.values()]})
    fails(path, "pets.parquet, row 0 (not a")
    assert levels(load(path, on_error="skip").images) == [20, 30, 40]


def test_a_damaged_parquet_file_is_named(pets):
    path = parquet(pets / "pets.parquet", {"image": encoded(pets), "label": [0, 1, 0, 1]})
    content = path.read_bytes()
    words = r"^cannot read .*pets\.parquet|pets\.parquet is damaged, or not a Parquet file"
    for broken in (b"", b"PAR1", content[:-10], content[:20] + b"\xff" * 60 + content[80:]):
        path.write_bytes(broken)
        with pytest.raises(UsageError, match=words):
            load(path)


def test_a_table_with_too_many_rows_is_not_read(pets, monkeypatch):
    path = parquet(pets / "pets.parquet", {"image": encoded(pets), "label": [0, 1, 0, 1]})
    monkeypatch.setattr("archspec.data.parquettable.MOST_ROWS", 3)
    fails(path, "has 4 rows, more than 3")


def test_a_disk_without_room_for_the_images_is_named(pets, monkeypatch):
    path = parquet(pets / "pets.parquet", {"image": encoded(pets), "label": [0, 1, 0, 1]})
    monkeypatch.setattr(byteranges, "DISK_KEPT", 2**80)
    fails(path, "Set TMPDIR to a folder on a larger disk")


def test_parquet_is_an_extra(pets, monkeypatch):
    path = parquet(pets / "pets.parquet", {"image": encoded(pets), "label": [0, 1, 0, 1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    fails(path, "pip install 'keras-archspec[parquet]'")
