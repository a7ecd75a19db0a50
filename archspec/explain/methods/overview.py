"""Overview: what is quick to compute of an image and a network, on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack

from archspec.errors import UsageError
from archspec.explain import embedding
from archspec.explain.features import points_of
from archspec.explain.gallery import Exhibit, Gallery, Item, Picture, Table
from archspec.explain.kernels import chosen_kernels
from archspec.explain.method import ClassName, LayerName, method
from archspec.explain.methods.activations import activations, default_layers
from archspec.explain.methods.filters import filters
from archspec.explain.methods.grad_cam import grad_cam
from archspec.explain.methods.guided import guided
from archspec.explain.methods.occlusion import occlusion
from archspec.explain.methods.saliency import saliency
from archspec.explain.methods.smoothgrad import smoothgrad
from archspec.explain.samples import ImagesLike, Samples, drawn, joined
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP: Final = 5
"""Number of classes that are listed, the most probable first."""

NOISY: Final = 10
"""Number of noisy copies for smoothgrad: enough to see, at a fifth of its usual cost."""

NEAREST: Final = 8
"""Number of neighbours that are shown."""

SEARCHED: Final = 1_000
"""Largest number of images of the data among which neighbours are searched."""

PIXELS: Final = 2**24
"""Largest number of pixel values of these images: 111 images of 224x224x3."""

PARTS: Final[dict[str, tuple[Callable[..., Gallery], dict[str, Any], int]]] = {
    "saliency": (saliency, {}, 1),
    "smoothgrad": (smoothgrad, {"samples": NOISY}, 1),
    "grad-cam": (grad_cam, {}, 1),
    "guided": (guided, {}, 1),
    "occlusion": (occlusion, {}, 2),
}
"""Attribution methods: function, arguments, and number of its pictures that are shown."""


@method
def overview(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: ClassName = None,
    layer: LayerName = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return classes, maps, filters, attributions and neighbours of images, on one page.

    For each image: the most probable classes, the maps of the first and the last layer that has
    any, saliency, SmoothGrad of 10 copies, Grad-CAM, guided backpropagation, occlusion, and the
    nearest neighbours in features among up to 1,000 images of the data. Of the network: the first
    filters. Each is the result of the method of that name. Notes name what a network
    does not allow; the rest is shown.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`; by default the
            first of the test part.
        target: the class, by name; by default the most probable one.
        layer: the layer in whose features neighbours are searched; by default the penultimate one.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image, and one for the network.

    Raises:
        UsageError: there is no such run, image, class or layer, or the network is not a classifier.

    """
    study = Study.open(run, images, **common)
    samples = study.samples.only([0]) if images is None else study.samples
    if target is not None:
        study.subject.class_index(target)
    if layer is not None:
        study.subject.layer(layer)
    work = _Work(study, samples, target, layer)
    return study.gallery(work.exhibits(), work.notes)


@dataclass
class _Work:
    """The parts of the page, one after the other."""

    study: Study
    samples: Samples
    target: str | int | None
    layer: str | None
    notes: list[str] = field(default_factory=list)
    """Parts that are missing, with the reasons."""
    done: int = 0

    def exhibits(self) -> Iterator[Exhibit]:
        scores = self.study.subject.scores(self.samples.pixels, self.study.batch)
        near = self._part("neighbours", self._neighbours) or [[]] * len(self.samples)
        for number in range(len(self.samples)):
            yield self._of_image(number, scores[number], near[number])
        if result := self._part("filters", self._filters):
            first = result[0]
            yield replace(first, summary=f"first filters: {first.summary}")

    def _part(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a part, or None with a note if the network does not allow it."""
        try:
            result = make()
        except UsageError as error:
            self.notes.append(f"no {name}: {error}")
            result = None
        self.done += 1
        self.study.tick(self.done, 2 + len(self.samples) * (1 + len(PARTS)))
        return result

    def _of_image(self, number: int, scores: NDArray[Any], near: Sequence[Item]) -> Exhibit:
        """Return the exhibit of one image."""
        study, subject = self.study, self.study.subject
        shares = subject.probabilities(scores[None])[0]
        chosen = study.target(self.target, scores)
        facts = study.facts_of(scores, chosen)
        if self.samples.labels is not None:
            facts["true class"] = subject.class_names[self.samples.labels[number]]
        rows = [
            [subject.class_names[each], shares[each], scores[each]]
            for each in (-scores).argsort(kind="stable")[:TOP]
        ]
        one = self.samples.only([number])
        items: list[Item] = [
            study.picture_of(one.pixels[0]),
            Table("classes", "most probable classes", ["class", "probability", "score"], rows),
        ]
        for name in PARTS:
            taken = partial(self._taken, name, one, chosen)
            items += self._part(name, taken) or ()
        items += self._part("activations", lambda: self._activations(one)) or ()
        return Exhibit(
            self.samples.names[number],
            study.summary("overview", facts),
            [*items, *near],
            facts,
        )

    def _taken(self, name: str, one: Samples, target: int) -> list[Item]:
        """Return the first pictures of a method behind the image itself."""
        function, options, count = PARTS[name]
        common = {"batch": self.study.batch, "seed": self.study.seed}
        result = function(self.study.subject, one, target=target, **options, **common)
        return [_named(name, item) for each in result for item in each.items[1 : count + 1]]

    def _activations(self, one: Samples) -> list[Item]:
        """Return the maps of the first layer and of the last one that has any."""
        calls = default_layers(self.study.subject.circuit)
        if not calls:
            raise UsageError(f"{self.study.subject.name} has no layer with weights")
        names = list(dict.fromkeys([calls[0].name, calls[-1].name]))
        result = activations(self.study.subject, one, layer=names, batch=self.study.batch)
        return [item for each in result for item in each.items[1:]]

    def _filters(self) -> Gallery:
        """Return the kernels of the first layer that has any."""
        subject = self.study.subject
        return filters(subject, layer=[chosen_kernels(subject, None)[0].call.name])

    def _neighbours(self) -> list[list[Item]]:
        """Return for each image the nearest images of the data, in the features of a layer."""
        study, subject, queries = self.study, self.study.subject, self.samples
        call = subject.penultimate if self.layer is None else subject.layer(self.layer)
        data = study.load("test" if study.data is None else "all", most=None)
        most = max(NEAREST, min(SEARCHED, PIXELS // subject.shape.size))
        data = data.only(drawn(len(data), most, study.seed))
        count = len(queries)
        points = points_of(study, joined(queries, data), call, "l2", 1)
        order = embedding.nearest(
            points.features, min(NEAREST + count + 1, len(points.samples) - 1)
        )
        names = points.samples.names
        result: list[list[Item]] = []
        for query in range(count):
            near = [n for n in order[query] if n >= count and names[n] != names[query]][:NEAREST]
            tiles = [
                names[n]
                if data.labels is None
                else f"{names[n]}: {subject.class_names[data.labels[n - count]]}"
                for n in near
            ]
            picture = Picture(
                "neighbours",
                f"nearest in {call.name}, of {len(data):,} images of {data.where}",
                points.pixels[near],
                "pixels",
                limits=subject.range,
                tiles=tiles,
            )
            result.append([picture] if near else [])
        return result


def _named(method: str, item: Item) -> Item:
    """Return a picture of a method, named after it."""
    if item.name == item.title == method:
        return item
    name = method if item.name == method else f"{method}-{item.name}"
    return replace(item, name=name, title=f"{method}: {item.title}")
