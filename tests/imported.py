"""All networks of keras.applications, saved, imported as specs, and built again from those.

python tests/imported.py             measures all, for an hour or more
python tests/imported.py NAME...     measures some, as ResNet50
python tests/imported.py --one NAME  measures one in this process; the others start one for each
"""

import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from faithful import APPLICATIONS, ODD, distances, images_for, prepared_of, randomize

import archspec
from archspec.keras_model.engine import load_keras

LAST = ("NASNetLarge", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2L", "ConvNeXtXLarge")
"""The largest networks, whose turn comes when all others are done."""


class Outcome(NamedTuple):
    """A network of keras.applications beside the one that its file became."""

    layers: int
    """Number of layers in the file."""
    lines: int
    """Number of lines of the spec, without comments."""
    is_same_table: bool
    """Whether the totals of both tables are the same, but for what `constants` counts."""
    constants: int
    """Number of parameters in the file that are constants in the spec, as a note says."""
    prepared: float
    """Largest difference of the images as the models prepare them, in standard deviations.

    A deep network with random weights may enlarge it a thousandfold, so `logits` are those of
    equally prepared images.
    """
    logits: float
    """Largest difference of outputs, in standard deviations of the file's model's."""


def measure(name: str, size: int = ODD) -> Outcome:
    """Save a network with random weights, import the file, and compare what both models give."""
    keras = load_keras()
    keras.utils.set_random_seed(1)
    theirs = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classifier_activation=None
    )
    random = np.random.default_rng(1)
    randomize(keras, theirs, random)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.keras"
        theirs.save(file)
        imported = archspec.import_model(file)
        ours = imported.build()
        file_totals, totals = (
            archspec.report(each).totals for each in (imported.model, imported.spec)
        )
    images = images_for(theirs, 2, random)
    constants = file_totals.params - totals.params
    fixed = totals._replace(
        params=file_totals.params, non_trainable=totals.non_trainable + constants
    )
    ends = [prepared_of(model) for model in (ours, theirs)]
    mine, images = (
        keras.Model(model.input, end)(images)
        for model, end in zip((ours, theirs), ends, strict=True)
    )
    (prepared,) = distances([mine], [images])
    outputs = [
        keras.Model(end, model.output)(images)
        for model, end in zip((ours, theirs), ends, strict=True)
    ]
    (logits,) = distances(outputs[:1], outputs[1:])
    return Outcome(
        len(theirs.layers),
        sum(not line.startswith("#") for line in imported.text.splitlines()),
        fixed == file_totals and file_totals.params == theirs.count_params(),
        constants,
        prepared,
        logits,
    )


def row(name: str) -> str:
    """Return the row of a network."""
    outcome = measure(name)
    table = "equal" if outcome.is_same_table else "**not equal**"
    if outcome.constants:
        table += f", {outcome.constants} parameters are constants"
    distances_of = f"{outcome.prepared:.1g} | {outcome.logits:.1g}"
    return f"| {name} | {outcome.layers} | {outcome.lines} | {table} | {distances_of} |\n"


def main(*names: str) -> None:
    """Write a table of some networks; of all without names."""
    say = sys.stdout.write
    if names[:1] == ("--one",):
        say(row(names[1]))
        return
    say("| keras.applications | layers | lines | table | images | logits |\n")
    say("|---|---|---|---|---|---|\n")
    for name in names or sorted(APPLICATIONS.values(), key=LAST.__contains__):
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        say(done.stdout or f"| {name} | failed |\n")
        sys.stdout.flush()
    engine = f"Keras {version('keras')}"
    say(f"\n{engine}, Python {platform.python_version()}, {platform.machine()}, float32.\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
