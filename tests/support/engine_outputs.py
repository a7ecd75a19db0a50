"""Build networks, run them and train them for a step, on the backend that KERAS_BACKEND names.

python -m support.engine_outputs NETWORKS OUTPUTS, where NETWORKS is a JSON file of specs by name.
OUTPUTS is an .npz file of arrays, whose names are NETWORK:ARRAY. Weights and inputs come from
NumPy, so that all backends have the same.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from support.backends import write
from support.networks import seeded
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.keras_model.build import build
from archspec.keras_model.engine import load_keras
from archspec.keras_model.verify import verify

Arrays = dict[str, np.ndarray]

RATE = 0.01
"""Learning rate of the step."""

SAMPLES = 64
"""Values of a layer's output that are compared, of a network that is not trained."""


def outputs_of(text: str, *, train: bool) -> Arrays:
    """Return a network's outputs, and its weights after a step of training.

    Of one that is not trained, they are samples of the outputs of all layers: after a softmax that
    is nearly certain, almost any two networks agree.
    """
    keras = load_keras()
    keras.utils.clear_session()  # the last network's
    graph = expand(spec_of(text))
    model = build(graph)
    verification = verify(graph, model)
    assert not verification.mismatches, str(verification)
    random = np.random.default_rng(0)
    seeded(model, random)
    shapes = graph.input_shapes
    x = {name: random.normal(size=(2, *shape)).astype("float32") for name, shape in shapes.items()}
    given = x if len(x) > 1 else next(iter(x.values()))
    if not train:
        ends = {layer.name: layer.output for layer in model.layers}
        layers = keras.Model(model.input, ends).predict_on_batch(given)
        return {name: _samples(y) for name, y in layers.items()}
    outputs = model.predict_on_batch(given)
    named = outputs if isinstance(outputs, dict) else {"output": outputs}
    arrays = {f"output {name}": np.asarray(y).astype("float32") for name, y in named.items()}
    is_random = any("seed" in variable.path for variable in model.variables)
    is_finite = all(np.isfinite(y).all() for y in arrays.values())
    if is_random or not (is_finite and model.trainable_weights):
        return arrays
    # XLA, which JAX always uses, takes the others long to begin.
    jit = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.SGD(RATE), "mse", jit_compile=jit)
    targets = {name: random.normal(size=y.shape).astype("float32") for name, y in named.items()}
    model.train_on_batch(given, targets if len(named) > 1 else next(iter(targets.values())))
    for weight in model.weights:
        arrays[f"trained {weight.path}"] = keras.ops.convert_to_numpy(weight)
    return arrays


def _samples(y: Any) -> np.ndarray:
    flat = np.asarray(y).astype("float32").reshape(-1)
    return flat[:: max(1, len(flat) // SAMPLES)]


def main(networks: str, outputs: str) -> None:
    specs = json.loads(Path(networks).read_text(encoding="utf-8"))
    write(outputs, {n: partial(outputs_of, s["spec"], train=s["train"]) for n, s in specs.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
