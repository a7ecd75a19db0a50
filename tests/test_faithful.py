"""Outputs of archspec's networks with keras.applications' weights: equal to keras.applications'.

That its counts are right does not make a network faithful: padding, epsilons, the order of layers
and the place of a stride change no count. What is measured is in docs/faithful.md.
"""

import pytest
from faithful import APPLICATIONS, measure

pytestmark = pytest.mark.keras

ONE_A_FAMILY = ("vgg16", "resnet50_keras", "resnet50v2_keras", "densenet121")


@pytest.mark.parametrize("variant", ONE_A_FAMILY)
def test_a_family_computes_what_keras_applications_does(variant):
    # An odd size at which every kind of padding puts its zeros elsewhere.
    _is_faithful(variant, 75)


@pytest.mark.slow
@pytest.mark.parametrize("variant", APPLICATIONS)
def test_a_network_computes_what_keras_applications_does(variant):
    _is_faithful(variant, 224)


def _is_faithful(variant: str, size: int) -> None:
    distances = measure(variant, size)
    assert distances.before > 0.1
    assert distances.features < 1e-4
    assert distances.logits < 1e-4
