"""Several inputs, vectors, and steps that share weights: the graph, its costs and its bounds."""

import json

import pytest
from support.specs import spec_of

import archspec
from archspec.compile.expand import expand
from archspec.cost.report import report
from archspec.errors import SpecError, UsageError
from archspec.graph.graph import Graph
from archspec.keras_model.engine import load_keras
from archspec.spec.document import choose, validate
from archspec.spec.source import parse
from archspec.training.transfer import freeze

PAIR = "inputs: {left: [16, 16, 3], right: [16, 16, 3]}"
TOWER = "{name: tower, layers: [conv: 8, {residual: 8, name: unit}, global_avg_pool, fc: 4]}"


def graph_of(layers: str, inputs: str = PAIR, more: str = "") -> Graph:
    """Expand steps on the inputs."""
    return expand(spec_of(f"name: net\n{inputs}\n{more}\nlayers: [{layers}]"))


def owners(graph: Graph) -> dict[str, str]:
    """The path of each layer that has no weights of its own, and that of the one that has them."""
    return {node.name: node.layer.owner for node in graph.nodes if node.layer.owner}


def codes(text: str) -> list[str]:
    with pytest.raises(SpecError) as error:
        expand(spec_of(text))
    return [diagnostic.code for diagnostic in error.value.diagnostics]


# Inputs


def test_layers_begin_at_the_first_input_and_from_reads_any():
    graph = graph_of("{conv: 4, name: a}, {conv: 4, from: right, name: b}, {add: a}")
    assert graph.inputs == {"left": 0, "right": 1}
    read = {node.name: [graph.nodes[i].name for i in node.inputs] for node in graph.nodes}
    assert read["a/convolution"] == ["left"]
    assert read["b/convolution"] == ["right"]


def test_one_input_with_a_name_is_the_only_input():
    graph = graph_of("{fc: 4, from: latent}", "inputs: {latent: [100]}")
    assert graph.inputs == {"latent": 0}
    assert graph.input == (100,)


def test_a_vector_becomes_an_image():
    """The beginning of DCGAN's generator: a vector of noise, spread over a map."""
    graph = graph_of("fc: 4096, {reshape: [4, 4, 256]}", "input: [100]")
    assert graph.output == (4, 4, 256)
    assert [node.layer.params for node in graph.nodes] == [0, 100 * 4096 + 4096, 0]
    assert report(spec_of("{name: n, input: [3], layers: [fc: 2]}")).fields[1] is None


def test_shapes_of_inputs_are_computed_as_that_of_one_is():
    text = 'name: n\nvars: {size: 8}\ninputs: {a: ["=size", "=size", 3], b: ["=size * 2"]}\n'
    graph = expand(spec_of(text + "layers: [flatten, {concat: b}]"))
    assert graph.input_shapes == {"a": (8, 8, 3), "b": (16,)}


def test_variants_and_values_from_outside_give_all_inputs():
    text = (
        "name: n\ninputs: {a: [4], b: [4]}\nvariants: {n: {}, wide: {inputs: {a: [8], b: [8]}}}\n"
    )
    source = parse(text + "layers: [{add: [a, b]}]")
    shapes = {
        variant: expand(choose(validate(source), source, variant, {})).input_shapes
        for variant in ("n", "wide")
    }
    assert shapes == {"n": {"a": (4,), "b": (4,)}, "wide": {"a": (8,), "b": (8,)}}
    given = choose(validate(source), source, "wide", {"inputs": {"a": [2], "b": [2]}})
    assert expand(given).input == (2,)
    assert expand(given).inputs == {"a": 0, "b": 1}
    assert given.to_dict()["inputs"] == {"a": [2], "b": [2]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"input": [4]}, "names its inputs: set `inputs`, not `input`"),
        ({"inputs": [4]}, "`inputs` must be set to a mapping"),
        ({"inputs": {}}, "`inputs` must be set to a mapping"),
        ({"inputs": {"1": [4]}}, 'an input cannot be called "1"'),
        ({"inputs": {"a": [4], "b": {}}}, "`b` cannot be set to a mapping"),
        ({"inputs": {"a": [4], "b": [0]}}, "`b` needs whole numbers from 1"),
        ({"inputs": {"a": [4], "b": [4], "c": [4]}}, "`c`, as it was set: no step uses this input"),
    ],
)
def test_wrong_values_from_outside_are_refused(value, message):
    source = parse("name: n\ninputs: {a: [4], b: [4]}\nlayers: [{add: [a, b]}]")
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        expand(choose(validate(source), source, None, value))


def test_an_input_of_a_head_that_is_left_out_goes_with_it():
    heads = "heads: {aux: {layers: [{concat: right}, fc: 2]}}"
    inputs = "inputs: {left: [4], right: [4]}"
    text = f"name: n\n{inputs}\n{heads}\nlayers: [fc: 4]"
    assert expand(spec_of(text)).inputs == {"left": 0, "right": 1}
    assert expand(spec_of(text.replace("layers: [{", "when: false, layers: [{"))).inputs == {
        "left": 0
    }


def test_values_of_inputs_with_unlike_axes_have_no_receptive_field():
    spec = spec_of(
        "name: n\ninputs: {image: [8, 8, 2], sound: [8, 2]}\nlayers:\n"
        "  - {conv: 2, name: a}\n  - {conv: 2, from: sound, name: b}\n"
        "  - {global_avg_pool: , from: a, name: c}\n  - {global_avg_pool: , from: b}\n  - add: c"
    )
    fields = dict(zip([n.name for n in expand(spec).nodes], report(spec).fields, strict=True))
    assert fields["a/convolution"].size == (3, 3)
    assert fields["b/convolution"].size == (3,)
    assert fields["add1"] is None


def test_memory_holds_every_input_to_the_end():
    one = report(spec_of("{name: n, input: [8], layers: [fc: 8, fc: 8]}")).memory_model
    two = report(
        spec_of("{name: n, inputs: {a: [8], b: [8]}, layers: [fc: 8, fc: 8, {add: b}]}")
    ).memory_model
    assert two.forward_values == one.forward_values + 8


# Shared weights


def test_parameters_are_counted_once_and_work_each_time():
    alone = expand(spec_of(f"name: n\ninput: [16, 16, 3]\nlayers: [{TOWER}]"))
    graph = graph_of(f"{TOWER}, {{share: tower, from: right, name: twin}}, {{add: tower}}")
    count = {"params", "trainable", "kernels"}
    for figure in ("params", "trainable", "kernels", "macs"):
        once = sum(getattr(node.layer, figure) for node in alone.nodes)
        found = sum(getattr(node.layer, figure) for node in graph.nodes)
        assert found == once * (1 if figure in count else 2)
    assert owners(graph)["twin/unit/conv1/convolution"] == "tower/unit/conv1/convolution"
    assert graph.shape_at("twin/unit") == (14, 14, 8)


def test_a_shared_step_is_a_row_that_names_the_other():
    rows = report(
        spec_of(
            f"name: n\n{PAIR}\nlayers: [{TOWER}, {{share: tower, from: right}}, {{add: tower}}]"
        )
    ).rows(1)
    shared = {row.path: (row.shared_with, row.label, row.params) for row in rows}
    assert shared["share1"] == ("tower", shared["tower"][1], 0)


@pytest.mark.parametrize(
    ("layers", "shared"),
    [
        # A share of a share has the weights of the first; repeats apply them one after the other.
        (
            "{fc: 4, name: a}, {fc: 4, name: b}, {share: b, name: c}, {share: c, repeat: 2}",
            {"c": "b", "share1": "b", "share2": "b"},
        ),
        # A branch, and a step inside one.
        (
            "{name: n, branches: {x: [fc: 4], y: []}, merge: add}, {share: n/x}, {share: n/x/fc1}",
            {"share1/fc1": "n/x/fc1", "share2": "n/x/fc1"},
        ),
        # A step inside what is shared already, by its path there.
        (
            "{name: g, layers: [{fc: 4, name: a}, {fc: 4, name: b}]}, {share: g}, "
            "{share: share1/b}",
            {"share1/a": "g/a", "share1/b": "g/b", "share2": "g/b"},
        ),
        # A block of the spec, and a step in it that shares another's weights.
        (
            "{twice: , name: t}, {share: t}",
            {"t/again": "t/a", "share1/a": "t/a", "share1/again": "t/a"},
        ),
        # A name that is computed, in a loop.
        (
            '{fc: 4, name: a, repeat: 2}, {for: {i: [2, 1]}, layers: [{share: ="a" + str(i)}]}',
            {"share1": "a2", "share2": "a1"},
        ),
    ],
)
def test_what_may_be_shared(layers, shared):
    blocks = "blocks: {twice: {layers: [{fc: 4, name: a}, {share: a, name: again}]}}"
    graph = graph_of(layers, "input: [4]", blocks)
    found = {
        name.removesuffix("/fully_connected"): owner.removesuffix("/fully_connected")
        for name, owner in owners(graph).items()
    }
    assert found == shared


def test_what_a_shared_step_reads_outside_stays_the_same():
    graph = graph_of(
        "{fc: 3, name: a}, {fc: 3}, {name: g, layers: [{fc: 3, name: b}, {add: a}]}, "
        "{share: g, name: h}",
        "input: [3]",
    )
    read = {node.name: [graph.nodes[i].name for i in node.inputs] for node in graph.nodes}
    assert read["h/add1"] == ["h/b/fully_connected", "a/fully_connected"]


def test_a_step_that_is_left_out_gives_its_weights_to_the_next_that_uses_them():
    """Without its head, nothing needs the step that the head starts from."""
    text = (
        "name: n\ninput: [4]\nheads: {aux: {from: a, layers: [fc: 2]}}\n"
        "layers: [{fc: 4, name: a}, {share: a, from: input, name: b}, {share: a}]"
    )
    whole = expand(spec_of(text))
    assert set(owners(whole)) == {"b/fully_connected", "share1/fully_connected"}
    graph = expand(spec_of(text.replace("from: a, layers", "from: a, when: false, layers")))
    assert owners(graph) == {"share1/fully_connected": "b/fully_connected"}
    assert sum(node.layer.params for node in graph.nodes) == 20
    assert [scope.owner for scope in graph.scopes] == ["", "b"]


# Bounds


def test_a_network_may_have_a_thousand_inputs_and_no_more():
    def spec(number: int) -> str:
        names = [f"i{n}" for n in range(number)]
        inputs = {name: [1] for name in names}
        return json.dumps({"name": "n", "inputs": inputs, "layers": [{"concat": names}]})

    assert len(expand(spec_of(spec(1_000))).inputs) == 1_000
    assert codes(spec(1_001)) == ["limit"]


def test_ten_thousand_rounds_share_one_step():
    graph = graph_of("{fc: 4, name: a}, {share: a, repeat: 10000}", "input: [4]")
    assert sum(node.layer.params for node in graph.nodes) == 20
    assert set(owners(graph).values()) == {"a/fully_connected"}


def test_sharing_that_grows_exponentially_ends_with_a_mistake():
    steps = ["{fc: 4, name: g0}"] + [
        f"{{name: g{n}, layers: [{{share: g{n - 1}}}, {{share: g{n - 1}}}]}}" for n in range(1, 60)
    ]
    assert codes(f"name: n\ninput: [4]\nlayers: [{', '.join(steps)}]") == ["limit"]


def test_names_that_are_copied_count_as_steps():
    """Steps that are left out cost no layers, but their groups' names would fill the memory."""
    group = "{name: g, layers: [{fc: 4}, {repeat: 9000, name: e, layers: [{fc: 4, when: false}]}]}"
    assert codes(f"name: n\ninput: [4]\nlayers: [{group}, {{share: g, repeat: 9000}}]") == ["limit"]


# Keras


@pytest.fixture(scope="module")
def pads() -> str:
    """A convolution on extents of which each needs other padding."""
    return """
    name: pads
    inputs: {a: [9, 9, 3], b: [8, 8, 3], c: [12, 7, 3]}
    layers:
      - {conv: {filters: 4, kernel: 3, stride: 2, padding: 1, norm: batch}, name: t}
      - {share: t, from: b, name: u}
      - {share: t, from: c, name: v}
      - {global_avg_pool: , name: p1, from: t}
      - {global_avg_pool: , name: p2, from: u}
      - {global_avg_pool: , name: p3, from: v}
      - concat: [p1, p2, p3]
    """


@pytest.mark.keras
def test_a_shared_layer_pads_each_input_as_its_own_would_be(pads):
    import numpy as np

    to_numpy = load_keras().ops.convert_to_numpy
    model = archspec.build(spec_of(pads))
    assert archspec.verify(spec_of(pads), model).mismatches == ()
    assert model.count_params() == 3 * 3 * 3 * 4 + 4 * 4
    random = np.random.default_rng(0)
    shapes = {"a": (9, 9, 3), "b": (8, 8, 3), "c": (12, 7, 3)}
    images = {name: random.random((2, *shape), "float32") for name, shape in shapes.items()}
    together = to_numpy(model(images))
    for number, (name, shape) in enumerate(shapes.items()):
        alone = archspec.build(
            spec_of(
                f"name: n\ninput: {[*shape]}\nlayers: [{{conv: {{filters: 4, kernel: 3, stride: 2, "
                "padding: 1, norm: batch}, name: t}, global_avg_pool]"
            )
        )
        for ours, theirs in zip(alone.weights, model.weights, strict=True):
            ours.assign(theirs)
        expected = to_numpy(alone(images[name]))
        np.testing.assert_allclose(together[:, 4 * number : 4 * number + 4], expected, atol=1e-6)


@pytest.mark.keras
def test_a_shared_layer_is_verified_where_it_reads_its_own_output():
    """Causal padding is a layer of its own, which each use has to itself."""
    step = "{conv: {filters: 2, kernel: 3, padding: causal}, name: a}"
    steps = f"[{step}, {{share: a, name: b}}, {{share: a, name: c, from: input}}, add: b]"
    assert archspec.verify(spec_of(f"{{name: n, input: [4, 2], layers: {steps}}}")).mismatches == ()


@pytest.mark.keras
def test_a_saved_model_has_shared_layers_and_several_inputs(pads, tmp_path):
    import numpy as np

    model = archspec.build(spec_of(pads))
    model.save(tmp_path / "pads.keras")
    loaded = archspec.load_model(tmp_path / "pads.keras")
    assert archspec.verify(spec_of(pads), loaded).mismatches == ()
    copy = archspec.build(spec_of(pads), weights=tmp_path / "pads.keras")
    images = {"a": np.ones((1, 9, 9, 3)), "b": np.ones((1, 8, 8, 3)), "c": np.ones((1, 12, 7, 3))}
    ours, theirs = (load_keras().ops.convert_to_numpy(each(images)) for each in (copy, model))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.keras
def test_a_model_whose_layers_are_not_shared_is_not_the_network():
    shared = spec_of("name: n\ninput: [4]\nlayers: [{fc: 4, name: a}, {share: a, name: b}]")
    apart = spec_of("name: n\ninput: [4]\nlayers: [{fc: 4, name: a}, {fc: 4, name: b}]")
    found = {each.what for each in archspec.verify(shared, archspec.build(apart)).mismatches}
    assert {"calls", "parameters"} <= found


@pytest.mark.keras
def test_freezing_a_shared_step_freezes_the_layers_that_have_its_weights():
    text = "name: n\ninput: [4]\nlayers: [{fc: 4, name: a}, {fc: 4, from: input, name: b}, "
    spec = spec_of(text + "{share: a, from: input, name: c}, {add: [a, b, c]}, fc: 2]")
    model = archspec.build(spec)
    assert freeze(model, expand(spec), "c", ()) == 20
    trained = {layer.name for layer in model.layers if layer.weights and layer.trainable}
    assert trained == {"b-fully_connected", "fc1-fully_connected"}


@pytest.mark.keras
def test_probe_feeds_noise_to_several_inputs():
    text = f"name: n\n{PAIR}\nlayers: [{TOWER}, {{share: tower, from: right}}, {{add: tower}}]"
    probed = archspec.probe(spec_of(text), batch=2)
    assert len(probed.activities) == len(expand(spec_of(text)).nodes)
    with pytest.raises(UsageError, match="`n` has 2 inputs: it is fed noise alone"):
        archspec.probe(spec_of(text), data="digits")
