"""`archspec.explain` against other tools and against the bare network, side by side in one run.

    python benchmarks/explain.py             # all
    python benchmarks/explain.py saliency    # some: saliency, maximize, occlusion, embed, start

`saliency` and `maximize` (200 steps) are set against tf-keras-vis on TensorFlow, on a network of
32x32 pixels. Install it without its dependencies, which are here but for two:

    pip install --target peers --no-deps tf-keras-vis==0.8.7 deprecated imageio
    PYTHONPATH=peers python benchmarks/explain.py saliency maximize

`occlusion` is that of VGG16 at 224x224 (patch 32, stride 16, random weights) against its 169
forward passes in batches of 32, tracing included; `embed` is what the 1,797 digits take beside the
forward pass and t-SNE itself; `start` is a whole process, against `archspec evaluate`.

All figures are of processor time, which other work on the machine changes less than the clock;
ratios are medians of the rounds' ratios, the sides taking turns. The load is said first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from run import ARCHSPEC, chosen, whole_process

import archspec
from archspec.explain.attribution import maps_by
from archspec.explain.gradient import compiled
from archspec.explain.subject import open_subject

ROUNDS = 7
BATCH = 32

DIGITS = """
name: digits
input: [8, 8, 1]
layers:
  - conv: {filters: 16, kernel: 3, padding: same, activation: relu}
  - max_pool: 2
  - flatten
  - fc: {units: 64, activation: relu}
  - fc: 10
"""


def processor(work: Callable[[], Any]) -> float:
    """Seconds of processor time that a call takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def compare(
    name: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    other: str,
    rounds: int = ROUNDS,
    *,
    warm: bool = True,
) -> None:
    """Print a line: seconds of both sides, and the median of their ratios."""
    if warm:
        ours()
        theirs()
    pairs = [(processor(ours), processor(theirs)) for _ in range(rounds)]
    mine, others = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / two for one, two in pairs)
    print(f"{name:34} {mine:9.4f} s   {other} {others:9.4f} s   {ratio:6.3f}x", flush=True)


def network() -> Any:
    """A network of 32x32 pixels with ten classes, as a tutorial has it, with random weights."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = x = keras.Input((32, 32, 3))  # functional: tf-keras-vis takes no Sequential of Keras 3
    for layer in (
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ):
        x = layer(x)
    return keras.Model(inputs, x)


def saliency() -> None:
    """One image a call, 32 images a call, and from the model to the first map."""
    from tf_keras_vis.saliency import Saliency  # noqa: PLC0415
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear  # noqa: PLC0415
    from tf_keras_vis.utils.scores import CategoricalScore  # noqa: PLC0415

    model = network()
    images = np.random.default_rng(0).uniform(0, 255, (BATCH, 32, 32, 3)).astype(np.float32)
    maps = maps_by("saliency")
    subject = open_subject(model, normalize="unit")
    peer = Saliency(model, model_modifier=ReplaceToLinear(), clone=True)

    def first() -> None:
        maps(open_subject(model, normalize="unit"), images[:1], [3])

    def their_first() -> None:
        Saliency(model, model_modifier=ReplaceToLinear(), clone=True)(
            CategoricalScore([3]), images[:1]
        )

    name = "tf-keras-vis"
    compare(
        "saliency of an image",
        lambda: maps(subject, images[:1], [3]),
        lambda: peer(CategoricalScore([3]), images[:1]),
        name,
        41,
    )
    compare(
        f"saliency of {BATCH} images",
        lambda: maps(subject, images, [3] * BATCH),
        lambda: peer(CategoricalScore([3] * BATCH), images),
        name,
        21,
    )
    compare("from the model to the first map", first, their_first, name)


def maximize() -> None:
    """Time from the model to the image, 200 steps, everything included."""
    from tf_keras_vis.activation_maximization import ActivationMaximization  # noqa: PLC0415
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear  # noqa: PLC0415
    from tf_keras_vis.utils.scores import CategoricalScore  # noqa: PLC0415

    model = network()

    def ours() -> None:
        archspec.explain.maximize(model, target=3, steps=200, normalize="unit")

    def theirs() -> None:
        search = ActivationMaximization(model, model_modifier=ReplaceToLinear(), clone=True)
        search(CategoricalScore([3]), steps=200)

    compare("maximize, 200 steps", ours, theirs, "tf-keras-vis", 5)


def occlusion() -> None:
    """VGG16 at 169 positions, against as many images that go through it alone."""
    subject = open_subject(keras.applications.VGG16(weights=None), normalize="caffe")
    image = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype(np.float32)
    images = np.repeat(image, 169, axis=0)
    forward = compiled(subject.circuit, lambda pixels: subject.run(pixels).output)

    def ours() -> None:
        archspec.explain.occlusion(subject, image, target=3, patch=32, stride=16, batch=BATCH)

    def bare() -> None:
        for start in range(0, len(images), BATCH):
            forward(images[start : start + BATCH])

    compare("occlusion of VGG16", ours, bare, "169 forward passes", 1, warm=False)


def embed() -> None:
    """The digits' map without the network's passes and without t-SNE."""
    from sklearn.manifold import TSNE  # noqa: PLC0415

    from archspec.explain.methods import embed as module  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        subject = open_subject(trained_digits(folder))
    parts: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            begin = time.process_time()
            try:
                return work(*args, **named)
            finally:
                parts[name] = parts.get(name, 0.0) + time.process_time() - begin

        return run

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            gallery = archspec.explain.embed(subject, "all")
            gallery.save(Path(folder, "map"))

    rests = []
    for _ in range(3):
        parts.clear()
        with (
            mock.patch.object(module, "points_of", timed("passes", module.points_of)),
            mock.patch.object(TSNE, "fit_transform", timed("t-SNE", TSNE.fit_transform)),
        ):
            total = processor(whole)
        rests.append(total - sum(parts.values()))
        said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
        print(
            f"embed of 1,797 digits: {total:.2f} s; {said}; the rest {rests[-1]:.2f} s", flush=True
        )
    print(f"{'embed beside passes and t-SNE':34} {statistics.median(rests):9.2f} s")


def trained_digits(folder: str) -> archspec.Run:
    """Train a small network on the digits for an epoch."""
    spec = Path(folder, "digits.yaml")
    spec.write_text(DIGITS, encoding="utf-8")
    return archspec.fit(spec, data="digits", epochs=1, out=Path(folder, "run"))


def start() -> None:
    """A map of an image, against an evaluation, each a whole process."""
    with tempfile.TemporaryDirectory() as folder:
        run = str(trained_digits(folder).folder)
        sides = ["explain", "saliency", run, "test:0"], ["evaluate", run]
        pairs = [[whole_process([ARCHSPEC, *side]).processor for side in sides] for _ in range(3)]
    mine, others = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / two for one, two in pairs)
    name = "explain saliency, a process"
    print(f"{name:34} {mine:9.4f} s   evaluate {others:9.4f} s   {ratio:6.3f}x")


BENCHMARKS = {
    "saliency": saliency,
    "maximize": maximize,
    "occlusion": occlusion,
    "embed": embed,
    "start": start,
}


def main() -> None:
    names = chosen(argparse.ArgumentParser(description="archspec.explain"), BENCHMARKS).names
    print(f"{keras.backend.backend()}; processor time")
    for name in names:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
