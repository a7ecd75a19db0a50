"""Model files that people write as text, Caffe's and Darknet's: what is true of both."""

from contextlib import suppress
from pathlib import Path
from random import Random
from runpy import run_path

import pytest

from archspec.errors import ArchspecError
from archspec.imports import caffe, darknet

FOLDER = Path(__file__).parent / "model_files"


@pytest.mark.parametrize(("name", "suffix"), [("caffe", ".prototxt"), ("darknet", ".cfg")])
def test_the_files_are_those_that_the_script_writes(name, suffix):
    made = run_path(str(FOLDER / f"make_{name}.py"))["FILES"]
    paths = (FOLDER / name).glob(f"*{suffix}")
    stored = {path.stem: path.read_text(encoding="utf-8") for path in paths}
    assert {file: make() for file, make in made.items()} == stored


@pytest.mark.parametrize(
    ("reader", "file", "words"),
    [
        (
            caffe,
            "caffe/squeezenet_v1_1.prototxt",
            "{|}|pad: 9|layer|-1|99999999999|\"|group: 7|\n|bottom: 'data'",
        ),
        (
            darknet,
            "darknet/yolov3_tiny.cfg",
            "[|]|=|groups=7\n|-1|99999999999|[route]\n|layers=-1,-2\n|size=0\n",
        ),
    ],
)
def test_a_damaged_file_gives_a_table_or_a_sentence(tmp_path, reader, file, words):
    text = (FOLDER / file).read_text(encoding="utf-8")
    path = tmp_path / "net"
    random = Random(0)  # noqa: S311  (it keeps no secret)
    for _ in range(60):
        at, length = random.randrange(len(text)), random.choice([0, 1, 5, 40])
        damaged = text[:at] + random.choice(words.split("|")) + text[at + length :]
        path.write_text(damaged, encoding="utf-8")
        with suppress(ArchspecError):  # anything else fails the test
            assert reader.read(path).graph.nodes
