"""The worst mistakes of a network on its test images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.data.values import Range
from archspec.evaluation.mistakes import MistakeTally, as_bytes, of_classes


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 20), st.integers(0, 99))
def test_the_surest_mistakes_are_kept_whatever_the_batches(images, most, batch, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(1_000)[:images]
    labels = rng.integers(0, 3, images)
    probabilities = rng.dirichlet((1, 1, 1), images).round(1)  # some are equally sure
    tally = MistakeTally(of_classes, most)
    for start in range(0, images, batch):
        part = slice(start, start + batch)
        tally.add(numbers[part], labels[part], probabilities[part])

    predicted = probabilities.argmax(axis=1)
    wrong = [i for i in range(images) if predicted[i] != labels[i]]
    wrong.sort(key=lambda i: (-probabilities[i].max(), numbers[i]))
    assert [each.image for each in tally.worst()] == [numbers[i] for i in wrong[:most]]
    assert all(each.truth != each.predicted for each in tally.worst())


@pytest.mark.parametrize(
    ("values", "limits", "expected"),
    [
        ([[0.0, 0.5, 1.0]], Range(0.0, 1.0), [0, 128, 255]),
        ([[-1.0, 0.0, 2.0]], Range(-1.0, 1.0), [0, 128, 255]),  # whiter than white is white
        ([[10.0, 20.0, 30.0]], None, [0, 128, 255]),  # its own extremes
        ([[7.0, 7.0, 7.0]], None, [0, 0, 0]),
    ],
)
def test_an_image_is_shown_from_black_to_white(values, limits, expected):
    image = np.array(values)[..., np.newaxis]
    assert as_bytes(image, limits).ravel().tolist() == expected


@pytest.mark.parametrize(("channels", "shown"), [(1, 1), (2, 1), (3, 3), (7, 1)])
def test_channels_that_are_not_colours_are_not_shown_as_colours(channels, shown):
    assert as_bytes(np.zeros((4, 5, channels)), Range(0, 1)).shape == (4, 5, shown)
