"""Filters: kernels of layers, with their norms, their noise, and fitted Gabor functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final, Unpack

from archspec.errors import UsageError
from archspec.explain import gabors
from archspec.explain.gallery import Exhibit, Gallery, Picture, Table
from archspec.explain.kernel_pictures import MOST, drawn
from archspec.explain.kernels import LEVEL, Kernels, chosen_kernels, likeness, noise_likeness
from archspec.explain.method import Allowed, method
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable
from archspec.lazy import np

FAINT: Final = 0.1
"""Share of a layer's median norm below which a filter is called faint."""


@method
def filters(
    run: Explainable,
    *,
    layer: Annotated[Sequence[str] | None, Allowed(metavar="LAYER")] = None,
    scale: Annotated[str, Allowed(words=("filter", "layer"))] = "filter",
    most: Annotated[int | None, Allowed(1, 4_096)] = None,
    gabor: bool = False,
    **common: Unpack[Common],
) -> Gallery:
    """Return the kernels of layers, with their norms and a measure of noise; no image is needed.

    Kernels of the image are shown as images; deeper ones as a row of channels for each of the
    strongest filters; a fully connected layer behind a flattened map as kernels as large as the
    map. On a scale of its own a nearly dead filter looks alive, so its L2 norm stands below it, and
    one below a tenth of the layer's median is called faint.

    A kernel is noisy if its neighbouring weights are no more alike than those of 95 % of kernels of
    white noise of its size. Their likeness is the autocorrelation at a distance of one tap,
    2 sum(v w) / sum(v^2 + w^2) over all pairs of neighbours (v, w) of all channels, in the
    direction, along an axis or a diagonal, in which it is largest. For 3x3 kernels of one
    channel it says little: 95 % of noise is below 0.83, and Sobel's kernel has 0.80.

    With `gabor=True`, a exp(-(x'^2 + (g y')^2) / 2 s^2) cos(2 pi x' / l + phi) + b is fitted to
    each kernel that has at most 4 channels (of several, to the pattern that explains most of them),
    by least squares from 8 starts; R^2 is given beside that of 20 kernels of white noise of the
    same size. It takes 5x5 weights: 3x3 are as many as the parameters.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        layer: a layer, or a block for all of its kernels; by default all layers with kernels.
        scale: `filter`: each filter is on a scale of its own, up to its largest absolute weight
            (kernels of color images run from their least to their largest weight); `layer`: all
            filters of a layer that are shown are on one scale.
        most: largest number of filters of a layer that are shown, the strongest by norm; by default
            256, or 16 of deep layers.
        gabor: whether to fit Gabor functions to kernels of 5x5 and more.
        **common: `normalize`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each layer. Its pictures hold kernels, (filters, height,
        width) or with colours at the end; its table `filters` has a row for each filter, also for
        those that are not shown.

    Raises:
        UsageError: there is no such run or layer; no layer has a kernel, or none a Gabor function
            can be fitted to.

    Example:
        >>> filters("runs/digits", layer="conv1")[0].items[0].values.shape
        (16, 5, 5)

    """
    study = Study.open(run, None, looks=False, **common)
    kernels = chosen_kernels(study.subject, layer)
    reasons = {each.call.name: no_gabor(each) for each in kernels} if gabor else {}
    notes = [f"no Gabor functions: {name}: {why}" for name, why in reasons.items() if why]
    if gabor and len(notes) == len(kernels):
        raise UsageError(f"no Gabor function can be fitted: {notes[0].partition(': ')[2]}")
    if gabor and layer and notes:
        raise UsageError(notes[0])
    fitted = [each for each in kernels if gabor and not reasons[each.call.name]]
    total = len(kernels) + sum(len(each.values) + gabors.RANDOM for each in fitted)

    def exhibits() -> Iterator[Exhibit]:
        done = 0

        def tick() -> None:
            nonlocal done
            study.tick(done, total)
            done += 1

        for each in kernels:
            tick()
            yield _exhibit(study, each, scale, most, tick if each in fitted else None)

    return study.gallery(exhibits(), notes)


def no_gabor(kernels: Kernels) -> str | None:
    """Return why no Gabor function can be fitted to the kernels of a layer; None if one can."""
    least = gabors.SMALLEST
    if len(kernels.space) != 2:
        return "a Gabor function is of two dimensions, and its kernels are not"
    if min(kernels.space) < least:
        height, width = kernels.space
        return (
            f"its kernels are {height}x{width}, {height * width} numbers for the 9 parameters of a "
            f"Gabor function: it takes {least}x{least}"
        )
    if kernels.channels > gabors.COLOURS:
        return f"its kernels have {kernels.channels} channels, and a Gabor function has one"
    return None


def _exhibit(
    study: Study, kernels: Kernels, scale: str, most: int | None, tick: Callable[[], None] | None
) -> Exhibit:
    """Return the exhibit of a layer, with Gabor functions if there is a `tick` for them."""
    norms = kernels.norms
    median = float(np.median(norms))
    faint = norms < FAINT * median
    facts: dict[str, Any] = {"median norm": median, "faint": int(faint.sum())}
    columns: dict[str, Any] = {"norm": norms, "faint": faint}
    summary = (
        f"{len(norms)} {kernels.what} of {kernels.size}, norm {norms.min():.2g} to "
        f"{norms.max():.2g}, {faint.sum()} faint"
    )
    noisy = np.zeros(len(norms), bool)
    if kernels.space:
        alike = likeness(kernels.values)
        limit = noise_likeness(kernels.values.shape[1:], study.seed)
        noisy = alike < limit
        facts |= {"noisy": int(noisy.sum()), "likeness of noise": limit}
        columns |= {"likeness": alike, "noisy": noisy}
        summary += f", {noisy.sum()} noisy"
    marks = [f"{norm:.2g}{'~' if rough else ''}" for norm, rough in zip(norms, noisy, strict=True)]
    items = [drawn(kernels, marks, scale, most)]
    if tick is not None:
        fits, result = _gabors(study, kernels, tick)
        facts |= result
        columns |= _parameters(fits)
        items.append(_fitted(fits))
        summary += (
            f"; median R2 of Gabor functions {result['Gabor R2']:.2f}, of white noise "
            f"{result['R2 of noise']:.2f}"
        )
    table = Table(
        "filters",
        f"{kernels.what} of {kernels.call.name}",
        ["filter", *columns],
        [[number, *row] for number, row in enumerate(zip(*columns.values(), strict=True))],
    )
    return Exhibit(kernels.call.name, summary, [*items, table], facts)


def _gabors(
    study: Study, kernels: Kernels, tick: Callable[[], None]
) -> tuple[list[gabors.Fit | None], dict[str, float]]:
    """Return the Gabor function of each filter, and R^2 beside that of white noise."""
    fits = []
    for number, kernel in enumerate(kernels.values):
        tick()
        fits.append(gabors.fit(gabors.pattern(kernel), study.seed + number))
    noise = np.array(gabors.random_r2(kernels.values.shape[1:], study.seed, tick))
    result = np.array([each.r2 if each else 0.0 for each in fits])
    limit = float(np.quantile(noise, LEVEL))
    return fits, {
        "Gabor R2": float(np.median(result)),
        "R2 of noise": float(np.median(noise)),
        f"filters above {LEVEL:.0%} of noise ({limit:.2f})": int((result > limit).sum()),
    }


def _fitted(fits: Sequence[gabors.Fit | None]) -> Picture:
    """Return the Gabor functions as a picture, like the kernels."""
    kept = [(number, each) for number, each in enumerate(fits) if each][:MOST]
    return Picture(
        "gabors",
        "the nearest Gabor functions, and R2 of each",
        np.array([each.values for _, each in kept]),
        "signed",
        tiles=[f"{number}: {each.r2:.2f}" for number, each in kept],
        own_scale="tile",
    )


def _parameters(fits: Sequence[gabors.Fit | None]) -> dict[str, list[float | None]]:
    """Return the table's columns on the Gabor functions."""
    names = ("r2", "wavelength", "orientation", "phase", "sigma", "aspect", "amplitude", "offset")
    return {f"gabor {name}": [getattr(each, name, None) for each in fits] for name in names}
