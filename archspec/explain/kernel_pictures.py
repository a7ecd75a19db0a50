"""Pictures of kernels: in color, by channel, as curves, as slices, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from archspec.explain.gallery import Chart, Item, Picture
from archspec.explain.kernels import Kernels
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: Final = 256
"""Largest number of filters that are shown if each is a single picture."""

MOST_ROWS: Final = 16
"""Largest number of filters that are shown if each is a row of channels or slices."""

MOST_COLUMNS: Final = 16
"""Largest number of channels of a filter that are shown."""

MOST_LINES: Final = 8
"""Largest number of filters of signals in one chart."""

BELOW: Final = {"below each": "its number: its L2 norm (~ if it is noisy)"}
"""Fact that explains the text below tiles."""

COLOURS: Final = 3
"""Number of channels of a color image."""


def drawn(kernels: Kernels, marks: Sequence[str], scale: str, most: int | None) -> Item:
    """Return the kernels of a layer, at most the `most` strongest, as a picture or as curves.

    `marks` are texts below the filters, beside their numbers. With the scale `filter` each has its
    own, with `layer` all have the same.
    """
    rank, channels = len(kernels.space), kernels.channels
    if rank == 0:
        return _matrix(kernels, most or MOST)
    if rank == 1 and channels == 1:
        return _curves(kernels, marks, min(most or MOST_LINES, MOST_LINES))
    in_colour = rank == 2 and channels == COLOURS and kernels.is_of_image
    if not in_colour and (rank == 3 or (rank == 2 and channels > 1)):
        return _rows(kernels, marks, scale, most or MOST_ROWS)
    kept = strongest(kernels.norms, most or MOST)
    values = kernels.values[kept]
    own: Literal["tile"] | None = "tile" if scale == "filter" else None
    title = _title(kernels, len(kept))
    tiles = [f"{number}: {marks[number]}" for number in kept]
    if in_colour:
        limits = float(values.min()), float(values.max())
        return Picture(
            "filters", title, values, "pixels", BELOW, limits, tiles=tiles, own_scale=own
        )
    if rank == 1:
        values = values.swapaxes(1, 2)
        title += f", a row for each of {channels} channels"
    else:
        values = values[..., 0]
    return Picture(
        "filters", title, values, "signed", BELOW, _ends(values), tiles=tiles, own_scale=own
    )


def strongest(norms: NDArray[Any], most: int) -> NDArray[Any]:
    """Return the numbers of the filters with the largest norms, in ascending order."""
    return np.sort(np.argsort(-norms, kind="stable")[:most])


def _title(kernels: Kernels, shown: int) -> str:
    return f"{_counted(shown, len(kernels.values), kernels.what)} of {kernels.call.name}"


def _counted(shown: int, count: int, what: str) -> str:
    return f"{count} {what}" if shown == count else f"the {shown} strongest of {count} {what}"


def _ends(values: NDArray[Any]) -> tuple[float, float]:
    """Return the limits that clip nothing."""
    most = float(abs(values).max(initial=0.0)) or 1.0
    return -most, most


def _matrix(kernels: Kernels, most: int) -> Picture:
    """Return a row for each filter, whose weights have no positions."""
    flat = kernels.values.reshape(len(kernels.values), -1)
    kept = strongest(kernels.norms, most)
    title = f"{_title(kernels, len(kept))}, a row for each, of {flat.shape[1]} weights"
    return Picture("filters", title, flat[kept], "signed")


def _curves(kernels: Kernels, marks: Sequence[str], most: int) -> Chart:
    """Return kernels of signals of one channel as curves."""
    kept = strongest(kernels.norms, most)
    return Chart(
        "filters",
        _title(kernels, len(kept)),
        "tap",
        "weight",
        {
            f"{number}: {marks[number]}": list(enumerate(kernels.values[number, :, 0].tolist()))
            for number in kept
        },
    )


def _rows(kernels: Kernels, marks: Sequence[str], scale: str, most: int) -> Picture:
    """Return a row for each of the strongest filters: its channels, or slices of one channel."""
    order = np.argsort(-kernels.norms, kind="stable")[:most]
    values = kernels.values[order]
    energies = (values.reshape(len(order), -1, kernels.channels).astype(np.float64) ** 2).sum(
        axis=1
    )
    if len(kernels.space) == 3:
        best = energies.argmax(axis=1)
        values = values[np.arange(len(order)), ..., best]
        across = f"slices of {'its channel' if kernels.channels == 1 else 'its strongest channel'}"
    else:
        channels = strongest(energies.sum(axis=0), MOST_COLUMNS)
        values = np.moveaxis(values[..., channels], -1, 1)
        listed = ", ".join(map(str, channels))
        across = f"{_counted(len(channels), kernels.channels, 'channels')} ({listed})"
    columns = values.shape[1]
    below = [[f"{number}: {marks[number]}", *[""] * (columns - 1)] for number in order]
    tiles = values.reshape(-1, *values.shape[2:])
    return Picture(
        "filters",
        f"{_title(kernels, len(order))}, the strongest first; in each row {across}",
        tiles,
        "signed",
        BELOW,
        _ends(tiles),
        tiles=[name for row in below for name in row],
        columns=columns,
        own_scale="row" if scale == "filter" else None,
    )
