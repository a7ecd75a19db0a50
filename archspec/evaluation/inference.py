"""Images -> a trained network's probabilities or numbers, a batch at a time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from archspec.data.targets import TargetScale
from archspec.data.task import TaskKind
from archspec.evaluation.mistakes import MistakeTally
from archspec.evaluation.scores import TaskScores
from archspec.evaluation.tally import tally_of
from archspec.graph.graph import MAIN_OUTPUT
from archspec.lazy import np
from archspec.recipe.compilation import gives_probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archspec.data.dataset import Data, Subset

T = TypeVar("T")


def scores_of(
    keras: Any, model: Any, data: Data, part: Subset, *, batch: int, mistakes: MistakeTally
) -> TaskScores:
    """Return the scores of a model's main output on a part of the data.

    Its worst mistakes are added to `mistakes`.
    """
    batch, kind, scale = min(batch, len(part)), data.task.kind, data.scale
    tally = tally_of(data.task)

    def read(step: int) -> tuple[Any, Any, Any]:
        chosen = slice(step * batch, (step + 1) * batch)
        indices = part.indices[chosen]
        return indices, data.preprocessing(part.pixels.read(indices)), part.labels[chosen]

    for indices, images, labels in ahead(read, math.ceil(len(part) / batch)):
        predicted = answers(keras, model, images, batch=batch, kind=kind, scale=scale)
        tally.add(labels, predicted)
        mistakes.add(indices, labels, predicted)
    return tally.scores()


def answers(
    keras: Any,
    model: Any,
    images: Any,
    *,
    batch: int,
    kind: TaskKind = "classification",
    scale: TargetScale | None = None,
) -> NDArray[np.float64]:
    """Return (images, outputs): a model's main output, as its task means it.

    They are probabilities of classes, from logits by a softmax; probabilities of labels, from
    logits by a sigmoid; or numbers, in the units of the labels.

    Fewer images than `batch` are padded, because the backends would compile the network again for
    another number of them, as in the last batch.
    """
    count = len(next(iter(images.values())) if isinstance(images, dict) else images)

    def padded(given: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([given, np.repeat(given[:1], batch - count, axis=0)])

    if count < batch:
        images = keras.tree.map_structure(padded, images)
    output = main_output(model)
    predicted = model.predict_on_batch(images)
    predicted = np.asarray(predicted[MAIN_OUTPUT] if isinstance(predicted, dict) else predicted)[
        :count
    ]
    predicted = predicted.astype(np.float64)
    if kind == "regression":
        return predicted if scale is None else scale.original(predicted)
    if gives_probabilities(keras, output):
        return predicted
    if kind == "multi_label":
        halves: NDArray[np.float64] = np.tanh(predicted / 2)  # does not overflow
        return (1 + halves) / 2
    powers = np.exp(predicted - predicted.max(axis=1, keepdims=True))
    softmax: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return softmax


def main_output(model: Any) -> Any:
    """Return the tensor at the end of a network's `layers`, which may also have heads."""
    return model.outputs[0] if len(model.outputs) == 1 else model.output[MAIN_OUTPUT]


def ahead(make: Callable[[int], T], count: int) -> Iterator[T]:
    """Yield `make(0)`, `make(1)`, ..., each made in another thread while the one before is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting = deque([pool.submit(make, 0)] if count else [])
        for index in range(1, count + 1):
            if index < count:
                waiting.append(pool.submit(make, index))
            yield waiting.popleft().result()


def averages(keras: Any, logs: Mapping[str, Any]) -> dict[str, float]:
    """Return a number for each measure; for a metric with a value per class, their mean."""
    return {
        name: value if isinstance(value, float) else float(keras.ops.convert_to_numpy(value).mean())
        for name, value in logs.items()
    }
