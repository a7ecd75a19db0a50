"""TensorFlow, JAX and PyTorch give the same maps, up to the rounding of float32."""

import numpy as np
import pytest
from support.backends import BACKENDS, ERROR, cases, installed, maps_of, missing

pytestmark = pytest.mark.keras

NOISE = 1e-4
"""Tolerance of rounding, as a share of the largest value of an array."""


@pytest.fixture(scope="session", params=BACKENDS)
def both(request):
    """Return the results of a backend, and those of the first installed one."""
    if reason := missing(request.param):
        pytest.skip(reason)
    return maps_of(request.param), maps_of(installed()[0])


@pytest.mark.parametrize("case", cases())
def test_every_backend_gives_the_same_maps(case, both):
    found, expected = (maps[case] for maps in both)
    assert ERROR not in found, str(found[ERROR])
    assert ERROR not in expected, str(expected[ERROR])
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        if array.dtype.kind == "f":
            assert np.isfinite(array).all(), name
            noise = NOISE * np.abs(array).max(initial=0)
            np.testing.assert_allclose(found[name], array, rtol=0, atol=noise, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], array, err_msg=name)
