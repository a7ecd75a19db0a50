"""Networks as plain Keras source."""

import ast
import json
import re
import textwrap
from itertools import product

import black
import layer_sources
import pytest
from hypothesis import given
from support import commands
from support.commands import output
from support.ejected import in_layout, run
from support.random_specs import specs
from support.specs import spec_of, telling_families

import archspec
from archspec.blocks.block import Block
from archspec.compile import catalog
from archspec.compile.expand import expand
from archspec.ejection.ejecting import eject, ejected
from archspec.ejection.torch_weights import torch_weights
from archspec.errors import UsageError

LARGE = {"nasnet"}
"""Families whose sources take seconds."""


@pytest.mark.parametrize("style", ["functional", "subclassed"])
@pytest.mark.parametrize("family", telling_families(*LARGE))
def test_the_source_of_every_family_makes_the_same_layers_on_the_same_inputs(family, style):
    graph = expand(archspec.load(family))
    source = eject(graph, style=style)
    run(source, graph)
    assert "archspec" not in source
    assert black.format_str(source, mode=black.Mode()) == source


@pytest.mark.parametrize("style", ["functional", "subclassed"])
@given(data=specs())
def test_so_does_that_of_random_networks(style, data):
    graph = expand(spec_of(json.dumps(data)))
    source = eject(graph, style=style)
    run(source, graph)
    assert in_layout(source) == source


@pytest.mark.parametrize("style", ["functional", "subclassed"])
@pytest.mark.parametrize(
    "first", [["relu"], ["relu", "tanh"]], ids=["the last two", "the last three"]
)
def test_a_loop_may_keep_tensors_of_more_rounds_than_the_last(first, style):
    steps = [{"activation": each, "name": f"s{k}"} for k, each in enumerate(first)]
    names = ["input", *(each["name"] for each in steps)]
    for _ in range(4):
        last = [*reversed(names)][: len(first) + 1]
        steps.append({"concat": {"axis": "height"}, "from": last, "name": f"s{len(steps)}"})
        names.append(steps[-1]["name"])
    graph = expand(spec_of(json.dumps({"name": "net", "input": [1, 2, 3], "layers": steps})))
    source = eject(graph, style=style)
    assert source.count("Concatenate") == 1
    run(source, graph)


def test_a_first_round_that_no_list_can_hold_leaves_the_others_a_loop():
    text = """
    name: net
    input: [16, 16, 8]
    layers:
      - repeat: 9
        name: layer
        layers:
          - {name: signal, conv: {filters: 8, kernel: 3, padding: same, activation: tanh}}
          - {name: gate, from: input, conv: {filters: 8, kernel: 3, padding: same}}
          - {name: gated, multiply: [signal, gate]}
          - {name: post, when: =index == 0, conv: {filters: 8, kernel: 1}}
    """
    graph = expand(spec_of(textwrap.dedent(text)))
    source = eject(graph, style="subclassed")
    assert "self.layer1_signal = " in source
    assert "in range(1, 9)" in source
    assert "layer9" not in source
    run(source, graph)


def parameters_of(source: str) -> dict[str, object]:
    """The parameters of `build_model` with their defaults."""
    function = next(
        each
        for each in ast.parse(source).body
        if isinstance(each, ast.FunctionDef) and each.name == "build_model"
    )
    defaults = map(ast.literal_eval, function.args.defaults)
    return dict(zip([each.arg for each in function.args.args], defaults, strict=True))


def unseen(value, number):
    """A value of a variable at which the ejector does not look."""
    if isinstance(value, tuple):
        return tuple((7 * k + 3 * number) % 5 + 1 for k, _ in enumerate(value))
    return round(value * (0.61, 0.85)[number], 3) if isinstance(value, float) else value * 7 // 2


@pytest.mark.parametrize(
    ("family", "style"),
    [
        *(
            pytest.param(*family.values, "functional", marks=family.marks)
            for family in telling_families(*LARGE)
        ),
        *((family, "subclassed") for family in ("resnet", "digits_net", "mlp_mixer", "unet")),
    ],
)
def test_variables_of_a_spec_are_parameters_of_the_source(family, style):
    spec = archspec.load(family)
    source = eject(spec, style=style)
    assert black.format_str(source, mode=black.Mode()) == source
    run(source, expand(spec))
    parameters = parameters_of(source)
    assert {*parameters} <= {*spec.document.vars}
    for number, name in product(range(2), parameters):
        values = {name: unseen(parameters[name], number)}
        try:
            graph = expand(archspec.load(family, **values))
        except archspec.SpecError:
            continue  # as heads that do not divide the channels
        run(source, graph, **values)


PARAMETERS = {
    "resnet50": ["classes", "units"],
    "vgg16": ["classes", "depth"],
    "densenet121": ["classes", "growth", "bottleneck"],
    "unet": ["classes", "width"],
    "mlp_mixer": ["classes", "channels", "depth"],
    "googlenet": ["classes"],
    "digits_net": ["width", "depth", "kernel", "growth"],
}


@pytest.mark.parametrize("network", PARAMETERS)
def test_widths_depths_and_classes_are_parameters(network):
    assert [*parameters_of(eject(network))] == PARAMETERS[network]


def test_what_steers_the_structure_is_a_constant_that_the_docstring_names():
    source = eject("resnet50")
    assert 'constants here: style="bottleneck", keras=False.' in source


def test_all_parameters_may_change_together():
    values = {"width": 24, "depth": 3, "kernel": 5, "growth": 3}
    run(eject("digits_net"), expand(archspec.load("digits_net", **values)), **values)


def small(steps: str) -> str:
    text = f"name: small\ninput: [8, 8, 1]\nvars: {{width: 16}}\nlayers: {steps}"
    source = eject(spec_of(text))
    return source[source.index("def build_model") :]


def test_a_value_that_follows_from_a_variable_by_an_expression_of_the_spec_is_this_expression():
    assert "layers.Dense(width * 3 + 1, " in small("[flatten, fc: '=width * 3 + 1']")


def test_a_rescaling_says_its_offset_by_name_if_there_is_one():
    source = small("[rescale: 0.5, {rescale: {scale: 2, offset: -1}}, flatten, fc: 1]")
    assert "layers.Rescaling(0.5, name=" in source
    assert "layers.Rescaling(2.0, offset=-1.0, name=" in source


def test_a_bound_that_the_spec_names_is_that_of_the_source():
    assert "layers.Dense(4 if width > 12 else 2, " in small(
        "[flatten, fc: '=4 if width > 12 else 2']"
    )


@pytest.mark.parametrize(
    "steps",
    [
        "[flatten, {fc: 4, when: =width > 12}, fc: 2]",
        "[flatten, fc: '=4 if width > 10 ** 6 else 2']",  # no value that was tried is that large
        "[conv: =width, flatten, fc: '=4 if in.channels > 10 ** 6 else 2']",
        "[flatten, {repeat: =width, fc: '=4 if index > 100 else 2'}]",
        "[flatten, {repeat: 2, let: {n: =width}, layers: [fc: '=min(n, 10 ** 6)']}]",
    ],
)
def test_a_bound_of_a_variable_is_not_guessed(steps):
    assert "def build_model() -> keras.Model:" in small(steps)


def test_each_module_is_imported_in_one_line_those_of_python_first():
    source = eject("siamese", style="subclassed")
    imports = source.partition("from __future__ import annotations\n\n")[2].splitlines()
    assert imports[:5] == [
        "from collections.abc import Sequence",
        "from typing import Any, ClassVar, TypeAlias",
        "",
        "import keras",
        "from keras import layers, ops",
    ]


def test_no_network_is_called_like_a_class_in_its_source():
    text = """
    name: pad
    input: [32, 32, 3]
    layers: [{max_pool: {size: 3, stride: 2, padding: 1}}]
    """
    source = eject(spec_of(text), style="subclassed")
    classes = [line for line in source.splitlines() if line.startswith("class ")]
    assert classes == ["class Pad(layers.Layer):", "class PadNetwork(keras.Model):"]


def test_a_value_after_a_name_that_fills_its_line_is_in_brackets():
    name = "a_name_of_fifty_letters_that_stands_before_a_layer"
    text = f"""
    name: net
    input: [32, 32, 3]
    layers:
      - {{name: {name}, global_avg_pool: {{keep_axes: true}}}}
      - concat: [{name}, {name}]
    """
    source = eject(spec_of(text), style="subclassed")
    assert f"        self.{name} = (\n            layers.GlobalAveragePooling2D(\n" in source
    assert black.format_str(source, mode=black.Mode()) == source


def test_layers_in_a_row_are_a_list():
    assert """\
        for layer in self.stages:
            x = layer(x)
""" in eject("resnet50", style="subclassed")


def test_what_repeats_is_a_loop_and_what_varies_a_variable():
    assert """\
    for i, (filters, stride, units) in enumerate(
        [(64, 1, 3), (128, 2, 4), (256, 2, 6), (512, 2, 3)], start=1
    ):
        for j in range(1, units + 1):
            x = residual(x, filters, stride if j == 1 else 1, name=f"stage{i}-unit{j}")
""" in eject(expand(archspec.load("resnet50")))


def test_a_list_that_is_a_parameter_is_read_beside_the_others():
    assert """\
        zip((64, 128, 256, 512), (1, 2, 2, 2), units, strict=True), start=1
    ):
        for j in range(1, unit_count + 1):
""" in eject("resnet50")


def test_a_block_is_a_function_and_its_decisions_are_conditions():
    assert """\
    y = conv(x, filters, 1, name=f"{name}-conv1")
    y = conv(y, filters, 3, stride=stride, name=f"{name}-conv2")
    y = conv(y, 4 * filters, 1, activation=None, name=f"{name}-conv3")
    if x.shape != y.shape:
""" in eject("resnet50")


def test_a_norm_before_its_convolution_is_another_function_than_one_after_it():
    source = eject("densenet121")
    function = source[source.index("def conv(") : source.index("def dense(")]
    layers = ["BatchNormalization", "Activation", "Conv2D"]
    assert re.findall(r"layers\.(\w+)\(", function) == layers
    # The stem has its norm behind it, once: it is written where it stands.
    stem = source[source.index("def build_model") :]
    assert re.findall(r"layers\.(\w+)\(", stem)[1:4] == ["Conv2D", *layers[:2]]


def test_blocks_that_call_other_functions_are_functions_of_their_own_and_the_rest_is_one():
    functions = re.findall(r"^def (bneck\w*)\(", eject("mobilenet_v3_large"), re.MULTILINE)
    assert functions == ["bneck", "bneck_2"]  # around blocks with a gate, and without


def test_a_number_of_layers_is_not_called_like_the_module_and_others_keep_their_names():
    source = eject("densenet121")
    assert "dense(x, layer_count, growth, bottleneck, name=f" in source
    assert re.search(
        r"def dense\(\s+x: keras.KerasTensor,\s+layer_count: int,\s+growth: int,", source
    )


def test_a_chain_may_be_a_sequential_model():
    source = eject("vgg16", style="sequential")
    assert 'model.add(layers.MaxPooling2D(name=f"stage{i}-pool"))' in source
    assert black.format_str(source, mode=black.Mode()) == source


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ("resnet18", "`stage1/unit1/add` has 2 inputs"),
        ("siamese", "a sequential model has one input, not `left`, `right`"),
    ],
)
def test_what_is_no_chain_is_not_and_the_message_names_the_step(network, reason):
    with pytest.raises(UsageError, match=reason):
        eject(network, style="sequential")


def test_an_unknown_style_is_a_mistake():
    with pytest.raises(UsageError, match="there is no style `sequentiel`; did you mean"):
        eject("lenet5", style="sequentiel")


def test_a_model_file_is_made_a_spec_first(tmp_path):
    path = tmp_path / "mine.cfg"
    path.write_text("[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=4\nsize=3\n")
    help_ = f"a spec, and {path} is a model file: `archspec import {path} -o net.yaml` makes"
    for network in (path, str(path), archspec.load(path)):
        with pytest.raises(UsageError, match=re.escape(f"`archspec.eject` needs {help_}")):
            eject(network)
        with pytest.raises(UsageError, match=re.escape(f"`archspec.torch_weights` needs {help_}")):
            torch_weights(network, path)


def test_the_command_writes_a_file_or_to_standard_output(tmp_path):
    path = tmp_path / "model.py"
    assert commands.run("eject", "lenet5", "-o", str(path)).stderr == f"wrote {path}\n"
    assert path.read_text(encoding="utf-8") == eject("lenet5")
    assert output("eject", "lenet5") == eject("lenet5")


def test_the_sources_of_layers_that_keras_lacks_are_those_of_archspec():
    page, current = layer_sources.PAGE.read_text(encoding="utf-8"), layer_sources.sources()
    assert page == current, "run `python tests/layer_sources.py`"


def test_a_padding_by_a_value_alone_is_a_short_class():
    source = eject("resnet50")
    assert "class Pad(layers.Layer):" in source
    assert '"mode"' not in source
    assert len(source.splitlines()) < 120


def test_two_items_are_two_lines_if_they_are_two_in_another_block():
    """ResNet-18's two convolutions, which are alike in its blocks without a stride."""
    assert """
    y = conv(x, filters, 3, stride=stride, name=f"{name}-conv1")
    y = conv(y, filters, 3, stride=1, activation=None, name=f"{name}-conv2")
    if stride > 1:
""" in eject("resnet18")


def test_a_layer_that_reads_a_branch_is_not_in_the_way_of_loops():
    assert 'inception_resnet_a(y_2, name=f"a{i}")' in eject("inception_resnet_v2")


NETWORKS_TO_TRAIN = [
    "lenet5",
    "digits_net",
    "cifar_resnet20",
    "vit_b_16",
    "squeezenet_v1_0",
    "googlenet_aux",
]


@pytest.mark.parametrize("network", NETWORKS_TO_TRAIN)
def test_a_training_script_is_python_in_blacks_layout_without_archspec(network):
    source, notes = ejected(network, train=True)
    compile(source, network, "exec")
    assert black.format_str(source, mode=black.Mode()) == source
    assert source.count("archspec") == source.count("Training is not as in archspec:")
    assert ("Training is not as in archspec:" in source) == bool(notes)


def training(recipe: str) -> tuple[str, list[str]]:
    text = f"name: small\ninput: [8, 8, 1]\nlayers: [flatten, fc: 10, softmax]\ntrain: {recipe}"
    return ejected(spec_of(text), train=True)


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        ("{batch: 7}", "BATCH = 7"),
        ("{data: {source: cifar10, normalize: unit}}", "keras.datasets.cifar10.load_data()"),
        ("{data: {source: tfds, name: pets}}", 'read_examples(splits["train"])'),
        ("{data: {source: idx, path: kmnist}}", 'read_idx(folder / "train-images-idx3-ubyte")'),
        ("{data: {source: folder, path: pets}}", "read_folder(folder, classes)"),
        ("{data: {source: arrays, path: a.npz}}", 'images, labels = file["x"], file["y"]'),
        ("{augment: [horizontal_flip]}", "flip(images, random, axis=2, probability=0.5)"),
        ("{augment: [{rotation: {degrees: 20}}]}", 'rotate(images, random, 20, "constant")'),
        ("{data: {source: mnist, normalize: symmetric}}", "mean, deviation = 127.5, 127.5"),
        ("{optimizer: {sgd: {momentum: 0.9}}}", "keras.optimizers.SGD(momentum=0.9)"),
        ("{schedule: cosine, epochs: 5}", "CosineDecay(0.001, decay_steps=5 * steps)"),
        ("{schedule: {step: {at: [2]}}}", "[2 * steps - 1]"),
        ("{schedule: plateau}", "keras.callbacks.ReduceLROnPlateau("),
        ("{loss: sparse_categorical_crossentropy}", "keras.losses.SparseCategoricalCrossentropy()"),
        ("{callbacks: [csv_logger]}", 'keras.callbacks.CSVLogger(filename="log.csv")'),
        ("{callbacks: [{early_stopping: {patience: 3}}]}", "keras.callbacks.EarlyStopping("),
        ("{class_weights: {'3': 2}}", "self.weights[3] = 2.0"),
        ("{class_weights: balanced}", "len(labels) / (10 * labels.sum(axis=0))"),
        ("{precision: mixed_bfloat16}", 'layers.Activation("softmax", name="softmax1", dtype'),
        ("{precision: mixed_bfloat16}", 'keras.config.set_dtype_policy("mixed_bfloat16")'),
    ],
)
def test_a_key_of_the_recipe_is_a_line_of_plain_keras(recipe, line):
    assert line in training(recipe)[0]


@pytest.mark.parametrize(
    ("recipe", "note"),
    [
        ("{augment: [pca_lighting]}", "The augmentation `pca_lighting` is left out."),
        ("{deterministic: true}", "The script does nothing about `deterministic`."),
        ("{data: {source: tfds, name: pets}}", "`load_data` reads the splits train and test."),
        ("{data: {source: webdataset, path: a.tar}}", "`load_data` is to be written."),
        (
            "{data: {source: digits, per_class: 5}}",
            "The script does nothing about `data.per_class`",
        ),
    ],
)
def test_what_a_script_does_not_say_is_a_note_and_a_comment(recipe, note):
    source, notes = training(recipe)
    assert any(note in each for each in notes)
    assert re.sub(r"\s*\n  ", " ", source).count(note) == 1


def test_what_no_script_can_train_is_refused():
    with pytest.raises(UsageError, match="one input, not `left`, `right`"):
        eject("siamese", train=True)
    with pytest.raises(UsageError, match="a graph has no recipe"):
        eject(expand(archspec.load("lenet5")), train=True)


def test_the_command_says_what_a_script_leaves_out(tmp_path):
    path = tmp_path / "train.py"
    done = commands.run("eject", "cifar_resnet20", "--train", "-o", str(path))
    assert done.returncode == 0
    assert done.stderr == f"wrote {path}\n"


def test_the_docstring_of_a_block_names_no_argument_that_its_function_may_lack():
    # A block's sentence becomes the docstring of a function with the arguments of its uses alone.
    blocks = [kind for kind in catalog.kinds().values() if issubclass(kind, Block)]
    assert [each.kind for each in blocks if "`" in each.__doc__.split("\n\n")[0]] == []
    source = eject("mobilenet_v2")
    assert '"""Depthwise convolution, then normalisation and activation. (Sifre 2014;' in source


FIRST = {"norm": "batch", "activation": "relu"}


@pytest.mark.parametrize(
    ("kind", "uses", "said"),
    [
        ("conv", [{}, {}], "Convolution."),
        ("conv", [FIRST, FIRST], "Convolution, then normalisation and activation."),
        (
            "conv",
            [FIRST, FIRST, {"norm": "batch"}],
            "Convolution, then normalisation and optional activation.",
        ),
        (
            "conv",
            [FIRST | {"dropout": 0.2}] * 2,
            "Convolution, then dropout, normalisation and activation.",
        ),
        (
            "conv",
            [FIRST | {"order": "norm-act-conv"}] * 2,
            "Normalisation, then activation and convolution.",
        ),
        (
            "depthwise_conv",
            [{"norm": "batch"}] * 2,
            "Depthwise convolution, then normalisation. (Sifre 2014; Howard et al. 2017)",
        ),
    ],
)
def test_a_function_of_a_layer_says_what_its_uses_have(kind, uses, said):
    width = {} if kind == "depthwise_conv" else {"filters": 4}
    steps = [{kind: {"kernel": kernel, **width, **use}} for kernel, use in enumerate(uses, 1)]
    source = eject(spec_of(json.dumps({"name": "net", "input": [8, 8, 3], "layers": steps})))
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert ast.get_docstring(functions[0]) == said
