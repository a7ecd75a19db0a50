"""The check sum of TensorFlow's checkpoints."""

import numpy as np
import pytest
from support.checkpoints import crc32c as bit_by_bit

from archspec.imports import checksum
from archspec.imports.checksum import crc32c


def test_the_sum_is_that_of_the_standard():
    """RFC 3720, section B.4, has the sums of these bytes."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize("length", [0, 1, 1023, 1024, 1025, 3 * 1024, 9 * 1024 + 7])
def test_stretches_that_are_run_through_at_once_have_the_sum_of_the_whole(length, monkeypatch):
    monkeypatch.setattr(checksum, "_BATCH", 4)
    data = np.random.default_rng(length).integers(0, 256, length, np.uint8).tobytes()
    assert crc32c(data) == bit_by_bit(data)
