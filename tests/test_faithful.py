"""Outputs of archspec's networks with keras.applications' weights: equal to keras.applications'.

That its counts are right does not make a network faithful: padding, epsilons, the order of layers
and the place of a stride change no count. What is measured is in docs/faithful.md.
"""

from pathlib import Path

import pytest
from faithful import APPLICATIONS, EVEN, ODD, measure
from support.specs import features_of, telling

from archspec.keras_model.engine import load_keras
from archspec.spec.loading import locate

pytestmark = pytest.mark.keras

FAMILIES = {Path(locate(variant)[0]).stem: variant for variant in reversed(APPLICATIONS)}
"""Each family's first variant."""


def test_every_network_of_keras_applications_is_compared():
    functions = {name for name, each in vars(load_keras().applications).items() if callable(each)}
    assert {*APPLICATIONS.values()} == functions


@pytest.mark.parametrize("family", telling({name: features_of(name) for name in FAMILIES}))
def test_a_family_computes_what_keras_applications_does(family):
    _is_faithful(FAMILIES[family], ODD)


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
