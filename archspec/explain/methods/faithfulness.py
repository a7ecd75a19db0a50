"""Faithfulness: whether what attribution maps say of a network holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Unpack

from archspec.errors import UsageError
from archspec.explain import map_trials, replacements
from archspec.explain.attribution import ATTRIBUTIONS, Maps, check_places, maps_by
from archspec.explain.gallery import Exhibit, Fact, Gallery, Table
from archspec.explain.method import Option
from archspec.explain.method import method as declared
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable
from archspec.explain.trial_results import RANDOM, Bench, Verdict, charts

if TYPE_CHECKING:
    pass

ALL: Final = "all"
COUNT: Final = 32
STEPS: Final = 28
DRAWS: Final = 5
CONTROL: Final = "edges"


CHECKS: Final = ("curves", "sanity", "pointing", "completeness")


@declared(
    method=Option(
        "A method whose maps are tried; may be given several times.  [saliency]",
        choices=(*ATTRIBUTIONS, ALL),
        several=True,
        metavar="METHOD",
    ),
    check=Option(
        f"A trial: {', '.join(CHECKS)}; may be given several times.  [all of them]",
        choices=CHECKS,
        several=True,
        metavar="TRIAL",
    ),
    fill=Option("What replaces pixels: mean, black, white, blurred, or a raw pixel's value."),
    steps=Option("How many times pixels are replaced.", "whole", 1, 10_000),
    draws=Option("Random orders that the curves are compared with.", "whole", 2, 1_000),
    count=Option("Images of the part of the data, where no numbers are given.", "whole", 1),
)
def faithfulness(
    run: Explainable,
    images: ImagesLike = None,
    *,
    method: Sequence[str] = ("saliency",),
    check: Sequence[str] = CHECKS,
    fill: str | float = "mean",
    steps: int = STEPS,
    draws: int = DRAWS,
    count: int = COUNT,
    **common: Unpack[Common],
) -> Gallery:
    """Return how far attribution maps can be trusted, beside random and beside an edge detector.

    Curves: the probability of the class while the pixels that a map holds for the most important
    are replaced (deletion: a small area is good) or put into an image without any (insertion: a
    large one is), against random orders; Petsiuk, Das and Saenko 2018, RISE, section 4.3. Sanity:
    Spearman's correlation of |map| while layers are re-initialised, the last one first: a map of
    the network has to change; Adebayo et al. 2018, section 3. Pointing: of the left half of an
    image beside the right half of one of another class, whether a class's map is largest on its
    half, by chance 50 %; after Zhang et al. 2016, section 4.2. Completeness: what a map's sum
    misses of the score above that of the baseline, where it should be equal.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-31`.
        method: methods by name, or `all` for those that the network allows.
        check: `curves`, `sanity`, `pointing`, `completeness`.
        fill: what replaces pixels: `mean`, `black`, `white`, `blurred`, or a raw pixel's value.
        steps: how many times pixels are replaced.
        draws: how many random orders are drawn.
        count: how many images of the part of the data are used where no numbers are given.
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
        found: dict[str, Verdict] = {}
        for name, maps in functions.items():
            try:
                found[name] = bench.of(name, maps)
            except UsageError as error:
                if name in named:
                    raise
                notes.append(f"left out {name}: {error}")
                continue
            yield found[name].exhibit(bench)
        notes.extend(bench.notes)
        yield _together(bench, found)

    settings: dict[str, Fact] = {
        "method": list(method),
        "check": list(check),
        "fill": fill,
        "steps": steps,
        "draws": draws,
        "count": count,
    }
    return study.gallery("faithfulness", exhibits(), settings, notes)


def _together(bench: Bench, found: Mapping[str, Verdict]) -> Exhibit:
    """All methods in one picture and one table."""
    columns = [
        "method",
        "deletion area",
        "insertion area",
        "Spearman without the last layer",
        "Spearman without all",
        "points at its class",
        "missing",
    ]
    random: list[Fact] = [value[0] for value in bench.random.values()] or [None, None]
    rows = [each.row() for each in found.values()]
    rows.append([RANDOM, *random, None, None, 0.5 if bench.pairs else None, None])
    table = Table("faithfulness", "all methods", columns, rows)
    return Exhibit(
        "together", f"{len(found)} methods beside random", [*charts(bench, found), table]
    )
