"""YAML that archspec writes is read back as what it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.spec.source import parse
from archspec.spec.writing import to_yaml

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=20),
)


@pytest.mark.parametrize(
    "text", ["1e3", "1e-3", "0o17", "0x1F", ".5", "-1", "no", "true", "~", "", "=x", "a: b", "2x"]
)
def test_text_stays_text(text):
    assert parse(to_yaml({"key": text})).data == {"key": text}


@given(st.lists(SCALARS, max_size=5))
def test_values_stay_themselves(values):
    assert parse(to_yaml({"key": values, "again": values})).data == {"key": values, "again": values}


@pytest.mark.parametrize("act", [{"leaky_relu": 0.1}, {"relu": {"max": 6}}, "relu", "prelu"])
def test_an_activation_with_its_arguments_is_a_value_from_inside_and_outside(act):
    text = """
name: net
input: [16, 16, 3]
vars: {act: {elu: 0.5}}
blocks:
  unit:
    args: {filters: int, act: {type: activation, default: {celu: 0.3}}}
    layers: [conv: {filters: =filters, activation: =act}]
layers:
  - conv: {filters: 4, activation: =act}
  - for: {each: [{leaky_relu: 0.2}, relu]}
    layers: [conv: {filters: 4, activation: =each}]
  - {let: {own: {leaky_relu: =0.1 + 0.2}}, layers: [unit: {filters: 4, act: =own}]}
  - unit: 4
"""
    spec = spec_of(text, act=act)
    graph = expand(spec)
    assert expand(spec_of(to_yaml(spec.to_dict()))) == graph
    assert graph != expand(spec_of(text))
    functions = [getattr(node.op, "function", None) for node in graph.nodes]
    given = [function for function in functions if hasattr(function, "kind")]
    slopes = [function.slope for function in given if function.kind == "leaky_relu"]
    assert slopes[-2:] == [0.2, pytest.approx(0.3)]
    assert given[-1].kind == "celu"
    assert given[-1].alpha == 0.3
