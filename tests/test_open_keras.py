"""Open extents in Keras: one model that takes inputs of any size, and agrees with the table."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from support.random_specs import specs
from support.specs import spec_of
from test_open import LAYERS, OPEN

import archspec
from archspec.compile.expand import expand
from archspec.errors import SpecError
from archspec.graph.sizes import larger, smallest
from archspec.keras_model.engine import load_keras
from archspec.spec.document import choose, validate
from archspec.spec.source import parse
from archspec.spec.writing import to_yaml

pytestmark = pytest.mark.keras


@pytest.mark.parametrize("name", LAYERS)
def test_one_model_runs_at_every_size_as_the_model_of_that_size_does(name: str) -> None:
    text = "{name: net, input: %s, layers: [%s]}"
    opened = spec_of(text % (OPEN, LAYERS[name]))
    graph = expand(opened)
    assert archspec.verify(graph).mismatches == ()
    model = archspec.build(graph)
    least = smallest(graph)
    assert least is not None
    random = np.random.default_rng(0)
    to_numpy = load_keras().ops.convert_to_numpy
    for steps in ((0, 0), (1, 2), (6, 3)):
        sizes = larger(graph, least, steps)
        closed = archspec.build(graph.at(sizes))
        closed.set_weights(model.get_weights())
        images = random.normal(size=(2, *sizes.values(), 3)).astype("float32")
        ours, theirs = (to_numpy(each(images)) for each in (model, closed))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # of one channel
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec=specs(several=False))
def test_random_networks_of_any_size_are_those_of_each_size(spec: dict[str, Any]) -> None:
    extent = spec["input"]
    source = parse(to_yaml({**spec, "input": [*[None] * (len(extent) - 1), extent[-1]]}))
    try:
        graph = expand(choose(validate(source), source, None, {}))
    except SpecError:
        assume(False)  # a step needs a size
    least = smallest(graph)
    assert least is not None
    opened = archspec.report(choose(validate(source), source, None, {}))
    for steps in ((0, 0, 0), (3, 2, 1)):
        sizes = larger(graph, least, steps)
        closed = archspec.report(opened.spec or "", at=tuple(sizes.values()))
        for figure, total in opened.totals._asdict().items():
            value = total if isinstance(total, int) else total.at(sizes)
            assert value == getattr(closed.totals, figure), figure
    assert archspec.verify(graph).mismatches == ()
