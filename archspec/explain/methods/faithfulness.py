"""Faithfulness: tests of attribution maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Unpack

from archspec.errors import UsageError
from archspec.explain import map_trials, replacements
from archspec.explain.attribution import ATTRIBUTIONS, Maps, check_places, maps_by
from archspec.explain.gallery import Exhibit, FactValue, Gallery, Table
from archspec.explain.method import Allowed, PixelValue
from archspec.explain.method import method as declared
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable
from archspec.explain.trial_results import RANDOM, Bench, Verdict, charts

ALL: Final = "all"
CONTROL: Final = "edges"
CHECKS: Final = ("curves", "sanity", "pointing", "completeness")


@declared
def faithfulness(
    run: Explainable,
    images: ImagesLike = None,
    *,
    method: Annotated[Sequence[str], Allowed(words=(*ATTRIBUTIONS, ALL), metavar="METHOD")] = (
        "saliency",
    ),
    check: Annotated[Sequence[str], Allowed(words=CHECKS, metavar="TRIAL")] = CHECKS,
    fill: PixelValue = "mean",
    steps: Annotated[int, Allowed(1, 10_000)] = 28,
    draws: Annotated[int, Allowed(2, 1_000)] = 5,
    count: Annotated[int, Allowed(1)] = 32,
    **common: Unpack[Common],
) -> Gallery:
    """Return tests of attribution maps, beside random ones and an edge detector.

    Curves: the probability of the class while the most important pixels of a map are replaced
    (deletion: a small area is good) or inserted into an empty image (insertion: a large area is
    good), against random orders; Petsiuk, Das and Saenko 2018, RISE, section 4.3. Sanity:
    Spearman's correlation of |map| while layers are re-initialised, the last one first: a map of
    the network has to change; Adebayo et al. 2018, section 3. Pointing: in joined halves of images
    of two classes, whether a class's map is largest on its half, by chance 50 %; after Zhang et al.
    2016, section 4.2. Completeness: the difference of a map's sum and the score above the
    baseline's, where they should be equal.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-31`.
        method: a method whose maps are tried, or `all` for those that the network allows.
        check: a trial: `curves`, `sanity`, `pointing` or `completeness`; by default all of them.
        fill: the replacement of pixels: `mean`, `black`, `white`, `blurred`, or a raw pixel's
            value.
        steps: number of times that pixels are replaced.
        draws: number of random orders that the curves are compared with.
        count: number of images of the part of the data, where none are numbered.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each method, and for `edges`, the absolute slope of the image,
        which knows nothing of the network; a last one has all methods in one picture and table.

    Raises:
        UsageError: there is no such run or image, or a method that is named refuses the network.

    """
    fill = replacements.checked("fill", fill)
    study = Study.open(run, images, **common)
    check_places(study.subject)
    named = [each for each in dict.fromkeys(method) if each != ALL]
    functions: dict[str, Maps] = {each: maps_by(each, "method") for each in named}
    if ALL in method:
        functions |= {each: maps_by(each) for each in ATTRIBUTIONS if each not in functions}
    functions[CONTROL] = map_trials.edges
    notes: list[str] = []

    def exhibits() -> Iterator[Exhibit]:
        bench = Bench(study, tuple(check), fill, steps, draws, count, len(functions))
        result: dict[str, Verdict] = {}
        for name, maps in functions.items():
            try:
                result[name] = bench.of(name, maps)
            except UsageError as error:
                if name in named:
                    raise
                notes.append(f"left out {name}: {error}")
                continue
            yield result[name].exhibit(bench)
        notes.extend(bench.notes)
        yield _together(bench, result)

    return study.gallery(exhibits(), notes, fill=fill)


def _together(bench: Bench, result: Mapping[str, Verdict]) -> Exhibit:
    """Return all methods in one picture and one table."""
    columns = [
        "method",
        "deletion area",
        "insertion area",
        "Spearman without the last layer",
        "Spearman without all",
        "points at its class",
        "missing",
    ]
    random: list[FactValue] = [value[0] for value in bench.random.values()] or [None, None]
    rows = [each.row() for each in result.values()]
    rows.append([RANDOM, *random, None, None, 0.5 if bench.pairs else None, None])
    table = Table("faithfulness", "all methods", columns, rows)
    return Exhibit(
        "together", f"{len(result)} methods beside random", [*charts(bench, result), table]
    )
