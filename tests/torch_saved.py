"""Bytes that autograd saves for small networks of every block and for published ones, measured.

    KERAS_BACKEND=torch python tests/torch_saved.py > tests/torch_saved.json

Each network's forward pass runs on PyTorch, in training. `saved_tensors_hooks` shows what autograd
saves; each piece of memory counts once, and the model's own variables do not. The rule of
`archspec.cost.estimate.torch_saved` must give the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from support.specs import spec_of

import archspec
from archspec.spec.document import Spec

BATCH: Final = 3
DTYPES: Final = ("float32", "mixed_bfloat16")

SMALL: Final[dict[str, dict[str, Any]]] = yaml.safe_load(
    Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
)
"""The input and the layers of each small network."""

PUBLISHED: Final = (
    "lenet5",
    "vgg16",
    "resnet50",
    "squeezenet_v1_1",
    "mobilenet_v2",
    "densenet121",
    "xception",
    "convnext_tiny",
    "vit_s_16",
)


def spec(name: str) -> Spec:
    """Return a network by its name in `SMALL`, or as it comes with archspec."""
    if name not in SMALL:
        return archspec.load(name)
    return spec_of(json.dumps({"name": "small", **SMALL[name]}))


def saved_bytes(model: Any, torch: Any) -> int:
    """Return the bytes that autograd saves in a forward pass of a model."""
    own = {variable.value.untyped_storage().data_ptr() for variable in model.variables}
    saved: dict[int, tuple[int, Any]] = {}

    def pack(tensor: Any) -> Any:
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in own:
            # The tensor is held, or other values would come to the same address.
            saved[memory.data_ptr()] = memory.nbytes(), tensor
        return tensor

    images = [torch.zeros((BATCH, *each.shape[1:])) for each in model.inputs]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(images, training=True)
    del output
    return sum(size for size, _ in saved.values())


def measured(names: Iterable[str]) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield the bytes of each network by its name and dtype."""
    import keras
    import torch

    for name in names:
        found = {}
        for dtype in DTYPES:
            keras.config.set_dtype_policy(dtype)
            found[dtype] = saved_bytes(archspec.build(spec(name)), torch)
        yield name, found


def main() -> None:
    import keras
    import torch

    versions = {"keras": keras.__version__, "torch": torch.__version__.partition("+")[0]}
    data = {"versions": versions, "batch": BATCH, "saved": dict(measured((*SMALL, *PUBLISHED)))}
    sys.stdout.write(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
