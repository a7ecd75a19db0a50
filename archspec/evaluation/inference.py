"""Images -> probabilities: what a trained network takes them for, a batch at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from archspec.evaluation.scores import Scores
from archspec.evaluation.tally import Tally
from archspec.graph.graph import MAIN_OUTPUT
from archspec.recipe.compilation import gives_probabilities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archspec.training.feeding import Feed

T = TypeVar("T")


def scores_of(keras: Any, model: Any, feed: Feed, class_names: Sequence[str]) -> Scores:
    """How well a model's main output tells the images of a feed apart, as they are.

    Neither the feed's order nor its augmentations matter.
    """
    part, batch = feed.part, min(feed.batch, len(feed.part))
    tally = Tally(class_names)

    def read(step: int) -> tuple[Any, Any]:
        chosen = slice(step * batch, (step + 1) * batch)
        return feed.preprocessing(part.pixels.read(part.indices[chosen])), part.labels[chosen]

    for images, labels in ahead(read, feed.steps):
        tally.add(labels, probabilities(keras, model, images, batch=batch))
    return tally.scores()


def probabilities(keras: Any, model: Any, images: Any, *, batch: int) -> NDArray[np.float64]:
    """(images, classes) of a model's main output; of logits, what a softmax makes of them.

    Fewer images than `batch` are filled up: for another number of them, as in the last batch, the
    backends would compile the network again.
    """
    import numpy as np  # noqa: PLC0415

    count = len(images)
    if count < batch:
        images = np.concatenate([images, np.repeat(images[:1], batch - count, axis=0)])
    output = main_output(model)
    found = model.predict_on_batch(images)
    found = np.asarray(found[MAIN_OUTPUT] if isinstance(found, dict) else found)[:count]
    found = found.astype(np.float64)
    if gives_probabilities(keras, output):
        return found
    found = np.exp(found - found.max(axis=1, keepdims=True))
    softmax: NDArray[np.float64] = found / found.sum(axis=1, keepdims=True)
    return softmax


def main_output(model: Any) -> Any:
    """The tensor of a network's `layers`, beside which heads may stand."""
    return model.outputs[0] if len(model.outputs) == 1 else model.output[MAIN_OUTPUT]


def ahead(make: Callable[[int], T], count: int) -> Iterator[T]:
    """`make` of 0, 1, ..: each is made in another thread while the one before is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting = deque([pool.submit(make, 0)] if count else [])
        for index in range(1, count + 1):
            if index < count:
                waiting.append(pool.submit(make, index))
            yield waiting.popleft().result()


def averages(keras: Any, logs: Mapping[str, Any]) -> dict[str, float]:
    """A number for each measure: of a metric with a value for each class, their mean."""
    return {
        name: value if isinstance(value, float) else float(keras.ops.convert_to_numpy(value).mean())
        for name, value in logs.items()
    }
