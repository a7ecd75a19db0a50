"""`archspec import`: a model file becomes a spec."""
# ruff: noqa: N999  (a module is called like its command)

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from .options import Option, Place, format_option
from .output import as_json, check_outputs, echo, tell, uncollected, write

SUFFIXES = (".yaml", ".yml", ".json", ".csv")


@click.command(name="import")
@click.argument("file", type=Place())
@click.option("--name", metavar="NAME", default="", help="The network's name.  [the model's]")
@format_option("text", "json")
@click.option(
    "-o",
    "--out",
    "outputs",
    cls=Option,
    aliases={"--output": None},
    multiple=True,
    metavar="FILE",
    help="Write .yaml (the spec), .csv (each layer's name in the file and in the spec) or .json "
    "(both). May be given several times.",
)
def command(file: str, name: str, form: str, outputs: tuple[str, ...]) -> None:
    """Make a spec of a model file of Keras, ONNX, TFLite, Caffe, Darknet or PyTorch.

    Blocks are recognised, and what repeats is a loop. FILE is a .keras, .h5, .onnx, .tflite or .pt2
    file, a Keras configuration, a SavedModel's folder, a .cfg or a .prototxt. The spec is compiled
    and compared with the model, layer by layer, before it is written. Without -o it is printed.

    \b
    archspec import model.keras
    archspec import model.onnx -o net.yaml
    archspec import yolov3.cfg -o yolov3.yaml -o names.csv
    """
    check_outputs(outputs, SUFFIXES, specs=[file])
    with uncollected():
        from archspec.decompile.importing import import_model

        imported = import_model(file, name=name)
        if not outputs or form == "json":
            echo(as_json(imported.to_dict()) if form == "json" else imported.text)
        tell(imported.notes)
        for path in outputs:
            match Path(path).suffix:
                case ".json":
                    write(as_json(imported.to_dict()), path)
                case ".csv":
                    write(_csv(imported.names), path)
                case _:
                    imported.save(path)
            echo(f"wrote {path}", err=True)


def _csv(names: Mapping[str, str]) -> str:
    """Return names as lines of CSV."""
    import csv
    import io

    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(("layer", "step"))
    writer.writerows(names.items())
    return lines.getvalue()
