"""Networks as PyTorch's source. Outputs are compared where PyTorch is installed."""

import ast
import json
import re

import black
import numpy as np
import pytest
from hypothesis import given, settings
from support.commands import output
from support.ejected import scope_of
from support.random_specs import specs
from support.specs import family_names, graph_of, spec_of, telling_families

from archspec.compile.expand import expand
from archspec.ejection.ejecting import eject
from archspec.ejection.recording import layer_name
from archspec.ejection.torch_ejecting import written
from archspec.ejection.torch_weights import state
from archspec.errors import UsageError
from archspec.keras_model.build import build
from archspec.spec.loading import load

LARGE = {"inception_resnet_v2", "nasnet"}
"""Families whose sources take seconds."""

CANNOT = {"fcn": "`pool1` (`max_pool`) cannot be written for PyTorch: what it does depends on"}
"""Families that cannot be written, and the message that says why."""


def source_of(spec):
    return eject(spec, framework="torch")


@pytest.mark.parametrize("family", telling_families(*LARGE, *CANNOT))
def test_the_source_of_every_family_is_in_black_s_layout_and_knows_no_archspec(family):
    source = source_of(family)
    assert "archspec" not in source
    assert black.format_str(source, mode=black.Mode()) == source
    assert not unused_names(source)


def test_a_list_is_not_named_by_a_word_of_python_and_no_module_as_a_tensor():
    steps = [
        {"convolution": {"filters": 4, "kernel": 3, "padding": "same"}, "name": f"a{n}"}
        for n in range(1, 5)
    ]
    source = source_of(network(steps))
    assert "self.as2 = nn.Sequential()" in source
    compile(source, "ejected.py", "exec")


def test_an_argument_inside_of_another_call_has_its_name():
    """A frozen layer is a call around its constructor, whose first argument has no keyword."""
    spec = spec_of(
        "name: net\ninput: [8, 6, 4]\n"
        "blocks: {moved: {args: {shape: list}, layers: [parameter: "
        "{shape: =shape, trainable: false}]}}\n"
        "layers: [moved: [8, 6, 4], max_pool: 2, moved: [4, 3, 4]]"
    )
    source = source_of(spec)
    assert "def __init__(self, shape: tuple[int, ...]) -> None:" in source
    assert 'self.parameter1 = Parameter(shape, "add").requires_grad_(False)' in source


NESTED = """
  - branches:
      - [conv: 6]
      - - conv: 4
        - branches: [[conv: {filters: 4, kernel: [1, 3]}], [conv: {filters: 4, kernel: [3, 1]}]]
          merge: concat
      - - conv: 5
        - conv: {filters: 4, kernel: 3}
        - branches: [[conv: {filters: 4, kernel: [1, 3]}], [conv: {filters: 4, kernel: [3, 1]}]]
          merge: concat
      - [avg_pool: {size: 3, stride: 1, padding: same}, conv: 7]
    merge: concat
    repeat: 2
"""
"""Branches within branches of a repeated module, as the last ones of Inception-v3."""


def nested():
    return spec_of(
        "name: net\ninput: [8, 8, 4]\n"
        f"defaults: {{conv: {{kernel: 1, norm: batch, padding: same}}}}\nlayers:{NESTED}"
    )


def test_lists_and_variables_of_loops_within_loops_have_names_of_their_own():
    source = source_of(nested())
    assert "for conv4_3 in conv4_2:" in source
    for lists, item in re.findall(r"(\S+)\.append\((\w+)\)", source):
        assert lists != item
    (forward,) = [
        each
        for each in ast.walk(ast.parse(source))
        if isinstance(each, ast.FunctionDef) and each.name == "forward" and len(each.body) < 3
    ]
    loops = [each.target for each in ast.walk(forward) if isinstance(each, ast.For)]
    targets = [each.id for loop in loops for each in ast.walk(loop) if isinstance(each, ast.Name)]
    assert len(loops) == 3
    assert len({*targets}) == len(targets)


def unused_names(source):
    """The names that a module imports, and classes that it defines, but never reads."""
    tree = ast.parse(source)
    given = set()
    for item in tree.body:
        if isinstance(item, (ast.Import, ast.ImportFrom)):
            given |= {each.asname or each.name.split(".")[0] for each in item.names}
        if isinstance(item, (ast.ClassDef, ast.FunctionDef)):
            given.add(item.name)
    read = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name)}
    return given - read - {"annotations", "load_weights"}


@pytest.mark.parametrize("family", CANNOT)
def test_a_step_that_cannot_be_written_is_named(family):
    with pytest.raises(UsageError) as error:
        source_of(family)
    assert str(error.value).startswith(CANNOT[family])


@pytest.mark.parametrize(
    ("step", "lack"),
    [
        ("gru: {units: 4, reset_after: false}", "nn.GRU has no other `reset_after` than true"),
        ("lstm: {units: 4, activation: relu}", "nn.LSTM has no other `activation` than tanh"),
    ],
)
def test_a_recurrence_that_pytorch_lacks_is_named(step, lack):
    graph = graph_of(step, "[6, 3]")
    with pytest.raises(UsageError, match=lack):
        source_of(graph)


def test_a_hard_sigmoid_with_another_slope_is_written_out():
    graph = graph_of("activation: {hard_sigmoid: 0.2}")
    assert "(0.2 * x + 0.5).clamp(0, 1)" in source_of(graph)


@given(specs())
def test_random_networks_are_written_or_the_step_is_named(data):
    graph = expand(spec_of(json.dumps(data)))
    try:
        source = source_of(graph)
    except UsageError as error:
        assert "cannot be written for PyTorch: " in str(error)  # noqa: PT017
        return
    compile(source, "ejected.py", "exec")


PARAMETERS = {
    "resnet50": {"classes": 1000, "units": (3, 4, 6, 3)},
    "vgg16": {"classes": 1000, "depth": (2, 2, 3, 3, 3)},
    "densenet121": {"classes": 1000, "growth": 32, "bottleneck": 4},
    "mlp_mixer": {"classes": 1000, "channels": 512, "depth": 8},
    "digits_net": {"width": 16, "depth": 2},
    "siamese": {},
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_variables_of_a_spec_are_parameters_of_its_module(name):
    assert parameters_of(source_of(name)) == PARAMETERS[name]


def parameters_of(source):
    """The parameters of a network's module, with their defaults."""
    classes = [each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)]
    init = next(each for each in classes[-1].body if isinstance(each, ast.FunctionDef))
    names = [each.arg for each in init.args.args[1:]]
    return dict(zip(names, map(ast.literal_eval, init.args.defaults), strict=True))


def test_what_is_no_parameter_of_a_module_is_a_constant_that_its_docstring_names():
    source = source_of("resnet50")
    assert (
        """
    Other variables of its spec are constants here: style="bottleneck", keras=False.
"""
        in source
    )
    assert "self.fc1 = nn.Linear(2048, classes)" in source


def test_channels_grow_with_a_parameter_by_a_line_that_all_of_its_values_are_on():
    text = """
    name: net
    input: [8, 8, 3]
    vars: {growth: 4}
    layers:
      - {name: stem, conv: {filters: 6, padding: same}}
      - {name: more, conv: {filters: =growth, padding: same}}
      - {name: both, concat: [stem, more]}
      - global_avg_pool
      - fc: 2
    """
    assert "self.fc1 = nn.Linear(6 + growth, 2)" in source_of(spec_of(text))


def test_a_block_is_a_module_and_its_decisions_are_made_once():
    assert """\
    def __init__(
        self, in_channels: int, filters: int, stride: int, projection: bool
    ) -> None:
        super().__init__()
        self.conv1 = Conv(in_channels, filters, 1)
        self.conv2 = Conv(filters, filters, 3, stride=stride)
        self.conv3 = Conv(filters, 4 * filters, 1, activation=None)
        self.projection = None
        if projection:
            self.projection = Conv(
                in_channels, 4 * filters, 1, stride=stride, activation=None
            )
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv1(x)
        y = self.conv2(y)
        y = self.conv3(y)
        if self.projection is not None:
            x = self.projection(x)
        y = y + x
        y = self.activation(y)
        return y
""" in source_of("resnet50")


def test_what_comes_in_is_the_first_argument_of_each_module_as_in_pytorch():
    source = source_of("lenet5")
    assert "def __init__(self, in_channels: int, filters: int) -> None:" in source
    assert "def __init__(self, in_features: int, units: int) -> None:" in source
    assert "self.c5 = Fc(400, 120)\n        self.f6 = Fc(120, 84)\n" in source


def test_moving_statistics_are_buffers_and_no_parameters():
    text = """
    name: small
    input: [8, 8, 3]
    layers: [conv: {filters: 4, kernel: 3, norm: batch}, global_avg_pool, fc: 2]
    """
    (line,) = re.findall("Input .*", source_of(spec_of(text)))
    # A kernel of 3x3x3x4, scales and offsets of 4 channels, 4x2 weights and 2 biases.
    assert line == ("Input 8x8x3, output 2; 126 parameters, and 8 moving statistics in buffers.")


def test_what_repeats_is_a_sequential_of_modules_made_in_a_loop():
    source = source_of("vgg16")
    assert (
        """\
            for j in range(1, convs + 1):
                self.stages.append(Conv(in_channels if j == 1 else filters, filters))
            self.stages.append(nn.MaxPool2d(2))
"""
        in source
    )
    assert (
        "    def forward(self, x: torch.Tensor) -> torch.Tensor:\n        x = self.stages(x)"
        in source
    )


def network(steps, shape=(9, 9, 4)):
    return spec_of(json.dumps({"name": "net", "input": [*shape], "layers": steps}))


@pytest.mark.parametrize(
    ("step", "line"),
    [
        # TensorFlow's padding of 9 places by a stride of 2 is even; of 8 it is not.
        ({"convolution": {"filters": 8, "kernel": 3, "stride": 2, "padding": "same"}},
         "nn.Conv2d(4, 8, 3, stride=2, padding=1)"),
        ({"convolution": {"filters": 8, "kernel": 2, "padding": "same"}},
         'nn.Conv2d(4, 8, 2, padding="same")'),
        ({"convolution": {"filters": 8, "kernel": 2, "stride": 3, "padding": [[1, 0], [0, 1]]}},
         "nn.ZeroPad2d((0, 1, 1, 0))"),
        ({"depthwise_convolution": {"kernel": 3, "multiplier": 2, "bias": False}},
         "nn.Conv2d(4, 8, 3, groups=4, bias=False)"),
        ({"transposed_convolution": {"filters": 6, "kernel": 3, "stride": 2,
                                     "padding": 1, "output_padding": 1}},
         "nn.ConvTranspose2d(\n            4, 6, 3, stride=2, padding=1, output_padding=1\n"),
        ({"max_pool": {"size": 2, "ceil": True}}, "nn.MaxPool2d(2, ceil_mode=True)"),
        ({"avg_pool": {"size": 3, "stride": 1, "padding": "same"}},
         "nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)"),
        ({"batch_norm": {"momentum": 0.99}}, "nn.BatchNorm2d(4, eps=0.001, momentum=0.01)"),
        ({"batch_norm": {"scale": False}}, "without_weight(nn.BatchNorm2d("),
        ({"lrn": {"size": 5, "alpha": 1e-4, "divide": False}},
         "nn.LocalResponseNorm(5, alpha=0.0005)"),
        ({"activation": {"gelu": True}}, 'nn.GELU(approximate="tanh")'),
        ({"activation": "gelu"}, "nn.GELU()"),
        ({"layer_norm": {}}, "LayerNorm2d(4, eps=0.001)"),
    ],
)  # fmt: skip
def test_what_keras_means_is_said_in_pytorch_s_terms(step, line):
    assert line in source_of(network([step]))


def test_the_axis_of_a_slice_may_vary():
    cuts = [{"slice": {"axis": axis, "start": 1, "stop": 6}} for axis in ("height", "width")]
    lines = source_of(network(cuts)).splitlines()
    assert "        x = x[:, :, 1:6]" in lines
    assert "        x = x[..., 1:6]" in lines
    text = """
    name: net
    input: [9, 9, 4]
    blocks:
      cut:
        args: {axis: str}
        layers:
          - slice: {axis: =axis, start: 1, stop: 6}
          - {layers: [{convolution: {filters: 4, kernel: 1}}], repeat: 5}
    layers: [cut: height, activation: relu, cut: width]
    """
    assert 'x.narrow(2 if self.axis == "height" else 3, 1, 5)' in source_of(spec_of(text))


def test_an_unknown_framework_is_a_mistake():
    with pytest.raises(UsageError, match="there is no framework `pytorch` here"):
        eject("lenet5", framework="pytorch")
    with pytest.raises(UsageError, match="`style='sequential'` is for Keras; source of PyTorch"):
        eject("lenet5", framework="torch", style="sequential")


def test_the_command_writes_the_source():
    assert output("eject", "lenet5", "--framework", "torch") == source_of("lenet5")


def arrays_of(graph):
    """Weights as a trained network may have them, by node."""
    rng = np.random.default_rng(0)
    arrays = {}
    for node in graph.nodes:
        if node.is_input or node.layer.owner:
            continue
        made = []
        for weight in node.op.weights(*node.layer.inputs):
            inputs = int(np.prod(weight.shape[:-1])) if len(weight.shape) > 1 else 100
            values = rng.normal(0, (2 / inputs) ** 0.5, weight.shape)
            if weight.name in ("moving_variance", "gamma", "scale"):
                values = rng.uniform(0.5, 1.5, weight.shape)
            made.append(values.astype("float32"))
        arrays[node.name] = made
    return arrays


def test_weights_go_by_the_names_of_the_modules_in_pytorch_s_layout():
    graph = expand(load("lenet5"))
    writer, _ = written(graph, ("LeNet-5.",))
    arrays = arrays_of(graph)
    made = state(writer, arrays)
    assert made["c1.convolution.weight"].shape == (6, 1, 5, 5)
    kernel = arrays["c5/fully_connected"][0]
    # The first dense layer reads a map with its channels first.
    wanted = kernel.reshape(5, 5, 16, -1).transpose(3, 2, 0, 1).reshape(-1, 400)
    assert np.array_equal(made["c5.fully_connected.weight"], wanted)


def test_weights_that_are_missing_or_others_are_named():
    graph = expand(load("lenet5"))
    writer, _ = written(graph, ("LeNet-5.",))
    with pytest.raises(UsageError, match="there are no weights for `c1/convolution`"):
        state(writer, {})
    arrays = arrays_of(graph)
    arrays["c1/convolution"].pop()
    with pytest.raises(UsageError, match=r"the weights of `c1/convolution` have the shapes"):
        state(writer, arrays)


def module_of(graph):
    """An ejected module with random weights, and these by node."""
    torch = pytest.importorskip("torch")
    writer, source = written(graph, ("A network.", "", "It is tested."))
    module = scope_of(source)[writer.title]()
    arrays = arrays_of(graph)
    made = state(writer, arrays)
    module.load_state_dict({name: torch.from_numpy(each) for name, each in made.items()})
    return module.eval(), arrays


UNSEEN = {
    "resnet50": {"classes": 5, "units": (2, 1, 3, 2)},
    "vgg16": {"classes": 7, "depth": (1, 3, 2, 1, 2)},
    "densenet121": {"classes": 3, "growth": 20, "bottleneck": 3},
    "mlp_mixer": {"channels": 136, "depth": 5},
    "digits_net": {"width": 24, "depth": 3},
    "vit_s_16": {"classes": 9, "depth": 5},
}
"""Values of variables at which the ejector does not look, those of a network together."""


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.slow
def test_a_module_of_other_values_is_that_of_the_spec_at_these(name):
    torch = pytest.importorskip("torch")
    values = UNSEEN[name]
    graph = expand(load(name, **values))
    wanted, _ = module_of(graph)
    source = source_of(name)
    title = [each.name for each in ast.parse(source).body if isinstance(each, ast.ClassDef)][-1]
    module = scope_of(source)[title](**values).eval()
    weights = [*wanted.state_dict().values()]  # a loop of one round may have another name
    module.load_state_dict(dict(zip(module.state_dict(), weights, strict=True)))
    shape = graph.nodes[graph.inputs["input"]].shape
    images = torch.rand(2, shape[-1], *shape[:-1])
    with torch.no_grad():
        assert torch.equal(module(images), wanted(images))


SIZES = {"height": 65, "width": 97}
"""Extents that are tried of inputs which may have any."""


def outputs_differ(graph, spec):
    """The largest difference of the outputs of Keras's model and PyTorch's, relative.

    Where it is no larger than four times what PyTorch's own float32 differs from its float64, as
    in scores that random weights drive far from 0, rounding explains it: it counts as none.
    """
    torch = pytest.importorskip("torch")
    pytest.importorskip("keras")
    module, arrays = module_of(graph)
    model = build(spec)
    for name, values in arrays.items():
        if values:
            model.get_layer(layer_name(name)).set_weights(values)
    rng = np.random.default_rng(1)
    shapes = {name: graph.nodes[index].shape.at(SIZES) for name, index in graph.inputs.items()}
    inputs = {n: rng.uniform(0, 1, (2, *shape)).astype("float32") for n, shape in shapes.items()}
    theirs = model(inputs if len(inputs) > 1 else next(iter(inputs.values())), training=False)
    with torch.no_grad():
        first = [torch.from_numpy(np.moveaxis(each, -1, 1).copy()) for each in inputs.values()]
        ours = module(*first)
    worst = _furthest(ours, theirs)
    if worst >= 1e-5:
        with torch.no_grad():
            exact = module.double()(*(each.double() for each in first))
        worst = 0.0 if worst < 4 * _furthest(ours, exact, axis=1) else worst
    return worst


def _furthest(ours, theirs, axis=-1):
    """The largest relative difference of outputs; `axis` has the channels of the others."""
    named = isinstance(theirs, dict)
    pairs = [(ours[name], theirs[name]) for name in theirs] if named else [(ours, theirs)]
    worst = 0.0
    for pair in pairs:
        mine, other = map(np.asarray, pair)
        a = np.moveaxis(mine, 1, axis) if mine.ndim > 2 else mine
        assert a.shape == other.shape
        worst = max(worst, float(np.abs(a - other).max() / max(np.abs(other).max(), 0.1)))
    return worst


@pytest.mark.keras
@pytest.mark.parametrize("merge", ["divide", "subtract", "min", "max"])
def test_two_values_are_merged_as_in_keras(merge):
    layers = (
        "{name: a, conv: {filters: 4, activation: relu}}, "
        "{name: b, conv: {filters: 4, activation: sigmoid}, from: input}, "
        f"{{{merge}: [a, b]}}"
    )
    spec = spec_of(f"name: net\ninput: [8, 8, 3]\nlayers: [{layers}]")
    assert outputs_differ(expand(spec), spec) < 1e-5


@pytest.mark.keras
def test_loops_within_loops_have_keras_s_outputs():
    pytest.importorskip("torch")
    assert outputs_differ(expand(nested()), nested()) < 1e-5


@pytest.mark.parametrize("family", family_names(*CANNOT))
@pytest.mark.slow
@pytest.mark.keras
def test_every_family_has_keras_s_outputs_and_parameters(family):
    pytest.importorskip("torch")
    spec = load(family)
    graph = expand(spec)
    assert outputs_differ(graph, spec) < 1e-5
    ours = sum(each.numel() for each in module_of(graph)[0].parameters())
    wanted = sum(
        int(np.prod(weight.shape))
        for node in graph.nodes
        if not node.is_input and not node.layer.owner
        for weight in node.op.weights(*node.layer.inputs)
        if weight.trainable
    )
    more = sum(  # PyTorch's LSTM has a second bias
        node.op.ways * 4 * node.op.units
        for node in graph.nodes
        if node.op and node.op.kind == "lstm"
    )
    assert ours == wanted + more


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # of one place
@given(specs())
@settings(max_examples=25, deadline=None)
def test_random_networks_have_keras_s_outputs(data):
    pytest.importorskip("torch")
    spec = spec_of(json.dumps(data))
    graph = expand(spec)
    try:
        eject(graph, framework="torch")
    except UsageError:
        return
    assert outputs_differ(graph, spec) < 1e-5
