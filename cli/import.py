"""`archspec import`: a model file becomes a spec."""
# ruff: noqa: N999  (a module is called like its command)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .engine import EngineCommand
from .options import Assignment, Place, collect, files_option, format_option
from .output import as_json, check_outputs, echo, tell, uncollected, write

if TYPE_CHECKING:
    from archspec.decompile.importing import ImportedSpec

SUFFIXES = (".yaml", ".yml", ".keras", ".json", ".csv")


@click.command(name="import", cls=EngineCommand)
@click.argument("file", type=Place())
@click.option("--name", metavar="NAME", default="", help="The network's name.  [the model's]")
@click.option(
    "--set",
    "settings",
    type=Assignment("input=[256,256,3]"),
    metavar="NAME=VALUE",
    multiple=True,
    callback=collect,
    help="Set what the file leaves open: input=[256,256,3].",
)
@click.option(
    "--weights",
    type=Place(),
    metavar="FILE",
    help="The weights of a .cfg or .prototxt: a .weights or .caffemodel file.",
)
@format_option("text", "json")
@files_option(
    "Write .yaml (the spec), .keras (the model with the file's weights), .csv (each layer's name "
    "in the file and in the spec) or .json (all but the weights)."
)
@click.option(
    "--verify",
    is_flag=True,
    help="Run the spec's model, and the file in Keras, ONNX Runtime or LiteRT, and compare their "
    "outputs.",
)
def command(
    file: str,
    name: str,
    settings: dict[str, Any],
    weights: str | None,
    form: str,
    outputs: tuple[str, ...],
    verify: bool,
) -> None:
    """Make a spec of a model file of Keras, ONNX, TFLite, Caffe, Darknet or PyTorch.

    Blocks are recognised, and what repeats is a loop. FILE is a .keras, .h5, .onnx, .tflite or .pt2
    file, a Keras configuration, a SavedModel's folder, a .cfg or a .prototxt. The spec is compiled
    and compared with the model, layer by layer, before it is written. Without -o it is printed.

    \b
    archspec import model.keras
    archspec import model.onnx -o net.yaml
    archspec import model.h5 -o net.yaml -o net.keras --verify
    archspec import unet.keras --set input=[256,256,3] -o unet.yaml
    archspec import yolov3.cfg -o yolov3.yaml -o names.csv
    archspec import yolov3.cfg --weights yolov3.weights -o yolov3.keras
    """
    check_outputs(outputs, SUFFIXES, specs=[file])
    with uncollected():
        from archspec.atomic import saving
        from archspec.decompile.importing import import_model
        from archspec.text import csv_lines

        given = settings if weights is None else {**settings, "weights": weights}
        imported = import_model(file, name=name, **given)
        if not outputs or form == "json":
            echo(as_json(imported.to_dict()) if form == "json" else imported.text)
        tell(imported.notes)
        renamed = sum(path != layer for layer, path in imported.names.items())
        if renamed and not any(path.endswith(".csv") for path in outputs):
            tell([f"{renamed} layers have other names in the spec; `-o names.csv` writes both."])
        model: Any = None
        if verify or any(path.endswith(".keras") for path in outputs):
            model = imported.build()
        for path in outputs:
            match Path(path).suffix:
                case ".json":
                    write(as_json(imported.to_dict()), path)
                case ".keras":
                    with saving(path) as partial:
                        model.save(partial)
                case ".csv":
                    write(csv_lines([("layer", "step"), *imported.names.items()]), path)
                case _:
                    imported.save(path)
            echo(f"wrote {path}", err=True)
        if verify:
            _verify(imported, model)


def _verify(imported: ImportedSpec, model: Any) -> None:
    """Print how much the outputs of the spec's model differ from the file's; fail if much."""
    from archspec.decompile.weighted import compare_outputs

    difference, tolerance = compare_outputs(imported, model)
    if difference == 0:
        echo("the outputs are equal on random examples", err=True)
        return
    where = "on random examples, relative to the largest output"
    echo(f"the outputs differ by at most {difference:.1e} {where}", err=True)
    if difference > tolerance:
        echo(f"which is more than rounding explains ({tolerance:.0e})", err=True)
        raise click.exceptions.Exit(1)
