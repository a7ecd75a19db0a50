"""`archspec export`: a trained model for other programs, proven by running it there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .engine import EngineCommand
from .options import BoundedNumber, Option, Place, format_option
from .output import as_json, echo

if TYPE_CHECKING:
    from archspec.evaluation.trained import Trained
    from archspec.keras_model.export import Exported, UnequalError

MODELS = ("best", "final")
"""Names of the models in a run's folder, the preferred one first."""


@click.command("export", cls=EngineCommand)
@click.argument("run", type=Place())
@click.option(
    "-o",
    "--out",
    "outputs",
    cls=Option,
    aliases={"--output": None},
    multiple=True,
    required=True,
    metavar="PATH",
    help="Write .onnx, .tflite, .keras, .weights.h5, or a SavedModel (a folder: no suffix). May be "
    "given several times.",
)
@click.option("--which", type=click.Choice(MODELS), help="The run's model.  [best]")
@click.option(
    "--tolerance",
    type=BoundedNumber(min=0),
    metavar="X",
    default=1e-4,
    help="Largest difference of an output to the model's.  [1e-4]",
)
@click.option("--force", is_flag=True, help="Replace existing files.")
@format_option("text", "json")
def command(
    run: str,
    outputs: tuple[str, ...],
    which: str | None,
    tolerance: float,
    force: bool,
    form: str,
) -> None:
    """Write a trained model for other programs, each file proven by running it.

    RUN is a run's folder, or a .keras file. What is written takes batches of any size, and has to
    give what the model gives for images of the run's test, or random ones, or it is not kept.

    \b
    archspec export runs/lenet-1 -o lenet.onnx
    archspec export runs/lenet-1 -o serving/lenet/1/ -o lenet.tflite
    KERAS_BACKEND=tensorflow archspec export best.keras -o lenet.tflite
    """
    from archspec.display import renderer
    from archspec.errors import UsageError
    from archspec.keras_model.engine import load_file
    from archspec.keras_model.export import UnequalError, check_target, export
    from archspec.keras_model.verify import other_network

    for path in outputs:
        check_target(path, force=force)
    saved = _saved(run, which)
    run_of = _run_of(saved)
    for path in outputs:
        if Path(path).exists() and saved.samefile(path):
            raise click.BadParameter(f"{path} is the model itself", param_hint="-o")
    if "keras" not in sys.modules:
        # A GPU multiplies what it has rounded to ten bits, so that nothing could be compared.
        os.environ.update(CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu")
    model = load_file(saved)
    if run_of and run_of.graph and (different := other_network(run_of.graph, model)):
        raise UsageError(f"{saved} is not the model of its run: {different}")
    images, kind = _images(run_of)
    written: list[Exported | UnequalError] = []
    for path in outputs:
        try:
            written.append(export(model, path, inputs=images, tolerance=tolerance, force=force))
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


def _saved(run: str, which: str | None) -> Path:
    """Return the .keras file of a run, or RUN itself if it is one."""
    from archspec.errors import UsageError
    from archspec.runs import storage
    from archspec.runs.outcome import saved_model

    place = Path(run)
    kind = storage.kind_of(place)
    if kind == "folder":
        if which is None:
            return saved_model(place)
        if storage.exists(place / f"{which}.keras"):
            return place / f"{which}.keras"
        raise UsageError(f"{run} holds no {which}.keras: no run saved a model there")
    if place.suffix == ".keras" and kind == "file":
        if which:
            raise click.UsageError(f"--which goes with a run's folder, and {run} is a file")
        return place
    if kind:
        raise UsageError(f"{run} is neither a run's folder nor a .keras file")
    raise UsageError(f"there is no run {run}{_hint(run)}")


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


def _hint(run: str) -> str:
    """Return a suggestion for a run that does not exist."""
    from archspec.errors import UsageError, beside
    from archspec.spec.loading import find

    if (near := beside(Path(run))) or not run.isidentifier():
        return near
    try:
        find(run)
    except UsageError:
        return ""
    return f"; it is a network, which `archspec fit {run}` trains"
