"""Files of keras.applications as specs: the same tables, and with weights the same outputs.

docs/importing.md says which of them were measured, and what came out.
"""

import pytest
from faithful import APPLICATIONS
from imported import measure

pytestmark = pytest.mark.keras

SMALL = "MobileNet"
"""A network that takes seconds."""


def test_a_small_network_comes_back_with_its_outputs():
    _comes_back(SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*APPLICATIONS.values()} - {SMALL}))
def test_a_network_comes_back_with_its_outputs(name):
    _comes_back(name)


def _comes_back(name: str) -> None:
    outcome = measure(name)
    assert outcome.is_same_table
    assert outcome.prepared < 1e-6
    assert outcome.logits < 1e-6
