"""Outputs of archspec's networks with keras.applications' weights: equal to keras.applications'.

That its counts are right does not make a network faithful: padding, epsilons, the order of layers
and the place of a stride change no count. What is measured is in docs/faithful.md.
"""

import pytest
from faithful import APPLICATIONS, EVEN, ODD, measure

from archspec.keras_model.engine import load_keras
from archspec.spec.loading import locate

pytestmark = pytest.mark.keras

ONE_A_FAMILY = {locate(variant)[0]: variant for variant in reversed(APPLICATIONS)}

LONG = {
    *("densenet121", "efficientnet_v2_b0", "inception_resnet_v2", "inception_v3"),
    *("nasnet_mobile", "resnet50v2_keras"),
}
"""Those that take longest; the layers and paddings of most of them are in the others too."""


def test_every_network_of_keras_applications_is_compared():
    functions = {name for name, each in vars(load_keras().applications).items() if callable(each)}
    assert {*APPLICATIONS.values()} == functions


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(variant, marks=[pytest.mark.slow] if variant in LONG else [])
        for variant in ONE_A_FAMILY.values()
    ],
)
def test_a_family_computes_what_keras_applications_does(variant):
    _is_faithful(variant, ODD)


@pytest.mark.slow
@pytest.mark.parametrize("variant", APPLICATIONS)
def test_a_network_computes_what_keras_applications_does(variant):
    _is_faithful(variant, EVEN)


def _is_faithful(variant: str, size: int) -> None:
    distances = measure(variant, size)
    assert distances.before > 0.1
    assert distances.prepared < 1e-6
    assert distances.features < 1e-4
    assert distances.logits < 1e-4
