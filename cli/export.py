"""`archspec export`: a model for other programs, proven by running it there."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .engine import EngineCommand
from .options import (
    BoundedNumber,
    NetworkName,
    Whole,
    files_option,
    format_option,
    load_spec,
    set_option,
    variant_option,
)
from .output import as_json, echo

if TYPE_CHECKING:
    from archspec.evaluation.trained import Trained
    from archspec.keras_model.export import Exported, UnequalError
    from archspec.spec.document import Spec

MODELS = ("best", "final")
"""Names of the models in a run's folder, the preferred one first."""

SPECS = (".yaml", ".yml")
"""Suffixes of specs."""


@click.command("export", cls=EngineCommand)
@click.argument("source", type=NetworkName(), metavar="RUN|SPEC")
@variant_option
@set_option
@files_option(
    "Write .onnx, .tflite, .keras, .weights.h5, or a SavedModel (a folder: no suffix).",
    metavar="PATH",
    required=True,
)
@click.option("--which", type=click.Choice(MODELS), help="The run's model.  [best]")
@click.option(
    "--tolerance",
    type=BoundedNumber(min=0),
    metavar="X",
    default=1e-4,
    help="Largest difference between the file's outputs and the model's.  [1e-4]",
)
@click.option(
    "--opset",
    type=Whole(1),
    metavar="N",
    help="Version of ONNX's operators: 13 to 18 on TensorFlow, 18 to 23 on torch and JAX.  [the "
    "converter's]",
)
@click.option("--force", is_flag=True, help="Replace existing files.")
@format_option("text", "json")
def command(
    source: str,
    variant: str | None,
    settings: dict[str, Any],
    outputs: tuple[str, ...],
    which: str | None,
    tolerance: float,
    opset: int | None,
    force: bool,
    form: str,
) -> None:
    """Write a model for other programs, each file proven by running it.

    RUN is a run's folder, or a .keras file. What is written takes batches of any size, and has to
    give what the model gives for images of the run's test, or random ones, or it is not kept. The
    network of a SPEC is written untrained, with the random weights that Keras draws.

    Layers keep their names, in ONNX too.

    \b
    archspec export runs/lenet-1 -o lenet.onnx
    archspec export runs/lenet-1 -o serving/lenet/1/ -o lenet.tflite
    KERAS_BACKEND=tensorflow archspec export best.keras -o lenet.tflite
    archspec export resnet50 --set classes=10 -o resnet50.onnx --opset 17
    """
    from archspec.display import renderer
    from archspec.keras_model.export import UnequalError, check_target, export

    forms = {path: check_target(path, force=force) for path in outputs}
    if opset is not None and not any(each.opsets for each in forms.values()):
        raise click.BadParameter("only an .onnx file has an opset", param_hint="--opset")
    if saved := _saved(source, which):
        if variant or settings:
            option = "--variant" if variant else "--set"
            raise click.UsageError(f"{option} goes with a spec, and {source} is a model")
        model, images, kind = _trained(saved, outputs)
    else:
        if which:
            raise click.UsageError(f"--which goes with a run's folder, and {source} is a spec")
        model, images, kind = _untrained(load_spec(source, variant, settings)), None, "random"
    written: list[Exported | UnequalError] = []
    for path in outputs:
        try:
            written.append(
                export(
                    model,
                    path,
                    inputs=images,
                    tolerance=tolerance,
                    force=force,
                    opset=opset if forms[path].opsets else None,
                )
            )
        except UnequalError as error:
            written.append(error)
    if form == "json":
        echo(as_json([_plain(each, kind) for each in written]))
    for each in written:
        if isinstance(each, UnequalError):
            echo(f"error: {each}; --tolerance accepts more", err=True)
        elif form == "text":
            examples = f"{kind} {'images' if len(model.inputs) == 1 else 'examples'}"
            echo(renderer(each.RENDERER).text(each, examples=examples))
    if any(isinstance(each, UnequalError) for each in written):
        raise click.exceptions.Exit(1)


def _plain(written: Exported | UnequalError, kind: str) -> dict[str, Any]:
    if isinstance(written, Exception):
        return {"path": str(written.exported.path), "error": str(written)}
    return {**written.to_dict(), "tried": kind}


def _trained(saved: Path, outputs: Sequence[str]) -> tuple[Any, Any, str]:
    """Return the model in a .keras file, examples to try, None for random ones, and their kind."""
    from archspec.errors import UsageError
    from archspec.keras_model.engine import load_file
    from archspec.keras_model.verify import other_network

    run = _run_of(saved)
    for path in outputs:
        if Path(path).exists() and saved.samefile(path):
            raise click.BadParameter(f"{path} is the model itself", param_hint="-o")
    _use_the_cpu()
    model = load_file(saved)
    if run and run.graph and (different := other_network(run.graph, model)):
        raise UsageError(f"{saved} is not the model of its run: {different}")
    return model, *_images(run)


def _untrained(spec: Spec) -> Any:
    """Return the Keras model of a spec, with the same random weights each time."""
    from archspec.compile.network import graph_of
    from archspec.keras_model.build import build
    from archspec.keras_model.engine import load_keras

    graph = graph_of(spec)
    _use_the_cpu()
    load_keras().utils.set_random_seed(0)
    model = build(graph)
    echo(f"note: {graph.name} is not trained: its weights are random, of seed 0", err=True)
    return model


def _use_the_cpu() -> None:
    """Have an engine that has not started yet run on the CPU.

    A GPU multiplies what it has rounded to ten bits, so that nothing could be compared.
    """
    if "keras" not in sys.modules:
        os.environ.update(CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu")


def _saved(source: str, which: str | None) -> Path | None:
    """Return the .keras file of a run, or SOURCE itself if it is one; None if it is a spec."""
    from archspec.errors import UsageError, beside
    from archspec.runs import storage
    from archspec.runs.outcome import saved_model

    place = Path(source)
    kind = storage.kind_of(place)
    if kind == "folder":
        if which is None:
            return saved_model(place)
        if storage.exists(place / f"{which}.keras"):
            return place / f"{which}.keras"
        raise UsageError(f"{source} holds no {which}.keras: no run saved a model there")
    if place.suffix == ".keras" and kind == "file":
        if which:
            raise click.UsageError(f"--which goes with a run's folder, and {source} is a file")
        return place
    if not kind and place.suffix not in SPECS and len(place.parts) > 1:
        raise UsageError(f"there is no run {source}{beside(place)}")
    return None


def _run_of(saved: Path) -> Trained | None:
    """Return the run whose model this is; None if it is not in a run's folder."""
    from archspec.evaluation import trained
    from archspec.runs import storage
    from archspec.runs.files import DATA, SPEC

    if not all(storage.exists(saved.parent / name) for name in (DATA, SPEC)):
        return None
    (run,) = trained.find(saved)
    return run


def _images(run: Trained | None) -> tuple[Any, str]:
    """Return the run's test examples as the network sees them, None for random ones; and a name."""
    from archspec.data import dataset
    from archspec.errors import ArchspecError
    from archspec.keras_model.export import enough

    if run is None or not (run.recipe and run.inputs and run.preprocessing):
        return None, "random"
    try:
        recipe = run.recipe.data.model_copy(update={"cache": False})
        data = dataset.load(recipe, run.inputs, kind=run.kind)
        kind, part = ("test", data.test) if len(data.test) else ("training", data.train)
        size = sum(shape.size for shape in run.inputs.values())
        pixels = part.pixels.read(part.indices[: enough(size)])
        return run.preprocessing(pixels), kind
    except (ArchspecError, OSError) as error:
        echo(f"note: tried with random examples, not with the run's: {error}", err=True)
        return None, "random"
