"""`archspec build`: what a network costs, and the network itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .engine import EngineCommand
from .options import (
    Words,
    convention_option,
    engine_option,
    files_option,
    format_option,
    inference_option,
    load_network,
    memory_options,
    rows_options,
    spec_options,
)
from .output import (
    FORMATS,
    SUFFIXES,
    as_json,
    check_outputs,
    echo,
    screen,
    tell,
    uncollected,
    write,
)

if TYPE_CHECKING:
    from archspec.cost.report import Report
    from archspec.imports.model import Network


@click.command(name="build", cls=EngineCommand)
@spec_options
@memory_options
@engine_option
@convention_option
@click.option(
    "--stored",
    type=Words("int8", "int4", "sparse:0.9"),
    metavar="FORM",
    default="",
    help="Show the bytes of the weights stored as int8, int4 or sparse:0.9 (the share of zeros).",
)
@rows_options
@click.option("--columns", metavar="A,B,..", help="Columns to show, such as layer,params,macs.")
@click.option("--formulas", is_flag=True, help="Show how each number is computed.")
@format_option(*FORMATS)
@files_option(
    "Write .html (a page with figure and table), .keras (the model), .json, .csv, .md, .txt (the "
    "report) or .yaml (the spec, its variables resolved)."
)
@inference_option
@click.option("--verify", is_flag=True, help="Build the Keras model and prove the table by it.")
@click.option(
    "--weights",
    metavar="FILE",
    help="Give the Keras model the weights of a .keras or .h5 file, or of keras.applications: "
    "imagenet.",
)
def command(
    spec: str,
    variant: str | None,
    settings: dict[str, Any],
    depth: int | None,
    ops: bool,
    columns: str | None,
    formulas: bool,
    form: str,
    outputs: tuple[str, ...],
    inference: bool,
    verify: bool,
    weights: str | None,
    **costing: Any,
) -> None:
    """Show what a network costs; write it as a model or a report.

    SPEC is a file, a network that comes with archspec (vgg), or a variant of one (vgg16); or a
    model file of Keras, ONNX, TFLite, PyTorch (.pt2), Darknet or Caffe, or a SavedModel's folder.

    \b
    archspec build vgg16
    archspec build resnet50 --depth 2 --batch 32
    archspec build densenet201 -o densenet201.html
    archspec build vgg --variant vgg19 --set classes=10 --set input=[64,64,3]
    archspec build fcn8s --at 500x500
    archspec build model.keras
    archspec build specs/mine.yaml -o mine.keras --verify
    archspec build resnet50_keras --weights imagenet -o resnet50.keras
    """
    check_outputs(outputs, (".html", ".keras", ".yaml", *SUFFIXES), specs=[spec])
    if any(path.endswith(".yaml") for path in outputs):
        from archspec.imports.loading import needs_spec

        needs_spec(spec, "a .yaml file")
    _check(form, columns, outputs, weights, formulas=formulas, verify=verify)
    names = [name.strip() for name in columns.split(",")] if columns else None
    layout: dict[str, Any] = {"depth": depth, "ops": ops, "columns": names}
    with uncollected():
        from archspec.cost.report import report
        from archspec.imports.loading import as_network, is_model_file

        loaded = as_network(load_network(spec, variant, settings), inference=inference)
        costs = report(loaded, **costing)
        if form == "text":
            layout["arithmetic"] = formulas
            echo(_rendered(costs, form, **layout, **screen()))
        else:
            echo(_rendered(costs, form, **layout))
    model = None
    if weights is not None or (verify and any(path.endswith(".keras") for path in outputs)):
        model = _model(loaded, weights)
    if verify:  # without a model, by one that has no values
        _verify(loaded, model)
    for path in outputs:
        _write(path, loaded, costs, model, layout)
        echo(f"wrote {path}", err=True)
        if Path(path).suffix == ".keras" and weights is None and is_model_file(spec):
            tell([f"its weights are random; `archspec import {spec} -o {path}` keeps the file's"])


def _check(
    form: str,
    columns: str | None,
    outputs: Sequence[str],
    weights: str | None,
    *,
    formulas: bool,
    verify: bool,
) -> None:
    """Refuse options that do not go together, before any work is done."""
    if formulas and form != "text":
        raise click.UsageError("--formulas goes with --format text")
    if formulas and columns:
        raise click.UsageError("--columns does not go with --formulas, which has its own")
    if columns and "json" in {form, *(SUFFIXES.get(Path(path).suffix) for path in outputs)}:
        raise click.UsageError("--columns does not go with JSON, which has every figure")
    if weights is not None and not (verify or any(path.endswith(".keras") for path in outputs)):
        raise click.UsageError("--weights goes with a model: add -o NAME.keras, or --verify")
    if weights not in (None, "imagenet") and not Path(str(weights)).is_file():
        raise click.BadParameter(f"there is no file {weights}", param_hint="--weights")


def _rendered(costs: Report, form: str, **layout: Any) -> str:
    if form == "json":
        return as_json(costs.to_dict(depth=layout["depth"], ops=layout["ops"]))

    from archspec.render import report

    return str(getattr(report, form)(costs, **layout))


def _model(spec: Network, weights: str | None) -> Any:
    from archspec.keras_model.build import build

    model = build(spec)
    if weights is not None:
        from archspec.keras_model.weights import copy

        copied = copy(weights, model)
        for line in (f"{copied} from {weights}", *copied.notes):
            echo(line, err=True)
    return model


def _verify(spec: Network, model: Any) -> None:
    from archspec.keras_model.verify import verify

    result = verify(spec, model)
    echo(str(result), err=True)
    if result.mismatches:
        raise click.exceptions.Exit(1)


def _write(path: str, spec: Network, costs: Report, model: Any, layout: dict[str, Any]) -> None:
    suffix = Path(path).suffix
    if suffix == ".keras":
        model = model or _model(spec, None)
        from archspec.atomic import saving

        with saving(path) as partial:  # in which Keras writes in place
            model.save(partial)
    elif suffix == ".yaml":
        from archspec.spec.writing import to_yaml

        write(to_yaml(spec.to_dict()), path)
    elif suffix == ".html":
        from archspec.render.page import document

        document.write(costs, Path(path), **{k: v for k, v in layout.items() if k != "arithmetic"})
    else:
        form = SUFFIXES[suffix]
        options = {k: v for k, v in layout.items() if k != "arithmetic" or form == "text"}
        write(_rendered(costs, form, **options), path)
