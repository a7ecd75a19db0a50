"""Suggestions for unknown words: the right one, or none."""

import ast
from pathlib import Path

import pytest

from archspec import vocabulary
from archspec.compile import catalog
from archspec.element import ArgumentProblems, unknown_argument
from archspec.errors import nearest, suggestion
from archspec.vocabulary import folded, readings

KINDS = catalog.kinds()

# Misspelt or another tool's word, and the kind that is to be suggested; None where archspec has no
# such thing, and another would be a different function.
WORDS_OF_KINDS = {
    "covn": "conv", "Conv": "conv", "Conv2D": "conv", "nn.Conv2d": "conv", "conv3d": "conv",
    "tf.keras.layers.Conv2D": "conv", "convolutoin": "convolution", "Convolution2D": "convolution",
    "maxpool": "max_pool", "MaxPooling2D": "max_pool", "max-pool": "max_pool",
    "max_pooling": "max_pool", "pool": "max_pool", "AvgPool2d": "avg_pool",
    "AveragePooling2D": "avg_pool", "gap": "global_avg_pool",
    "GlobalAveragePooling2D": "global_avg_pool", "AdaptiveAvgPool2d": "global_avg_pool",
    "BatchNormalization": "batch_norm", "BatchNorm2d": "batch_norm", "bn": "batch_norm",
    "batchnom": "batch_norm", "LayerNorm": "layer_norm", "GroupNormalization": "group_norm",
    "Dense": "fc", "nn.Linear": "fc", "InnerProduct": "fc", "Flaten": "flatten",
    "Dropout": "dropout", "Dropout2d": "spatial_dropout", "SpatialDropout2D": "spatial_dropout",
    "StochasticDepth": "drop_path", "Concatenate": "concat", "cat": "concat", "Add": "add",
    "Eltwise": "add", "Average": "mean", "Maximum": "max", "Minimum": "min",
    "torch.div": "divide", "ZeroPadding2D": "pad",
    "Cropping2D": "crop", "UpSampling2D": "upsample", "Conv2DTranspose": "transposed_conv",
    "ConvTranspose2d": "transposed_conv", "deconv": "transposed_conv",
    "DepthwiseConv2D": "depthwise_conv", "SeparableConv2D": "separable_conv",
    "resnet_block": None, "ResBlock": "residual", "BasicBlock": "residual",
    "DenseBlock": "dense", "LRN": "lrn", "LocalResponseNorm": "lrn", "ReLU": "activation: relu",
    "h_swish": "activation: hard_swish", "leaky_relu": "activation: leaky_relu",
    "MultiHeadAttention": "attention", "mha": "attention", "nn.LSTM": "lstm", "SimpleRNN": "rnn",
    "einops.rearrange": "permute", "PatchEmbed": "patchify",
    "TransformerEncoderLayer": "transformer",
    "Embedding": "embedding", "Bidirectional": None, "PReLU": "prelu", "softmin": None,
    "identity": None, "PixelShuffle": "depth_to_space", "interpolate": "resize",
    "InstanceNorm2d": "instance_norm", "se": "squeeze_excitation",
    "mbconv": "inverted_residual", "cbam": None,
    "DeformConv2d": None, "roi_align": None,
    "dropblock": None, "quantum": None, "output": None, "sub": "subtract", "minus": "subtract",
}  # fmt: skip


@pytest.mark.parametrize(("word", "kind"), WORDS_OF_KINDS.items())
def test_a_word_for_a_kind(word, kind):
    problem = catalog.unknown_kind(word)
    suggested = [f"archspec says `{kind}`", f"did you mean `{kind}`?"]
    if kind is not None:
        assert problem.help in suggested
    else:
        assert "did you mean" not in problem.help
        assert "archspec says" not in problem.help


# The kind, the argument, what was written, and what the help line must hold.
VALUES = [
    ("conv", "activation", "h_swish", "`hard_swish`?"),
    ("conv", "activation", "hswish", "`hard_swish`?"),
    ("conv", "activation", "Hard-Sigmoid", "`hard_sigmoid`?"),
    ("conv", "activation", "leaky relu", "`leaky_relu`?"),
    ("conv", "activation", "LeakyReLU", "`leaky_relu`?"),
    ("conv", "activation", "nn.GELU", "`gelu`?"),
    ("conv", "activation", "rellu", "`relu`?"),
    ("conv", "activation", "absolute", "`abs`?"),
    ("conv", "activation", "identity", "`linear`?"),
    ("conv", "activation", "none", "write `null`"),
    ("conv", "activation", "softmin", "no such function"),
    ("conv", "activation", "Hardtanh", "`hard_tanh`?"),
    ("conv", "activation", "nn.PReLU", "`prelu`?"),
    ("conv", "activation", {"lrelu": 0.1}, "`leaky_relu`?"),
    ("conv", "activation", {"tanh": 3}, "write `tanh`"),
    ("conv", "activation", {"leaky_relu": {"negative_slope": 0.1}}, "`slope`?"),
    ("conv", "activation", {"relu": {"max_value": 6}}, "`max`?"),
    ("activation", "function", "prelu", "as `- prelu`"),
    ("conv", "activation", True, "as `relu`"),
    ("conv", "norm", "bn", "`batch`?"),
    ("conv", "norm", "BatchNorm2d", "`batch`?"),
    ("conv", "norm", "batch_norm", "`batch`?"),
    ("conv", "norm", "gn", "`group`?"),
    ("conv", "norm", "InstanceNorm2d", "`instance`?"),
    ("conv", "norm", "weight", "`standardize: true`"),
    ("conv", "padding", "SAME", "`same`?"),
    ("conv", "padding", "edge", "`replicate`?"),
    ("conv", "padding", {"reflection": 1}, "`reflect`?"),
    ("conv", "padding", "symmetric", "`padding: {reflect: 1}`"),
    ("max_pool", "padding", "reflect", "a step `pad` before it"),
    ("transposed_conv", "padding", "causal", "cuts its output's ends"),
    ("conv", "padding", "1", "`1`?"),
    ("conv", "kernel", "3x3", "`[3, 3]`?"),
    ("conv", "kernel", "(3, 3)", "`[3, 3]`?"),
    ("conv", "filters", "64", "`64`?"),
    ("conv", "filters", [64], "`64`?"),
    ("conv", "filters", "\u201c64\u201d", "`64`?"),
    ("conv", "filters", [3, 64, 3], "as `conv: {filters: ..., "),
    ("fc", "units", [64, 10], "as `fc: {units: ..., "),
    ("conv", "filters", 8.5, "`=int(...)`"),
    ("conv", "bias", "yes", "`true`?"),
    ("conv", "bias", "off", "`false`?"),
    ("conv", "bias", "None", "`null`?"),
    ("dropout", "rate", "50%", "`0.5`?"),
    ("dropout", "rate", "0.5", "`0.5`?"),
    ("upsample", "method", "bilinaer", "`bilinear`?"),
    ("residual", "style", "bottelneck", "`bottleneck`?"),
]


@pytest.mark.parametrize(("kind", "argument", "value", "help_"), VALUES)
def test_a_value_written_in_another_way(kind, argument, value, help_):
    with pytest.raises(ArgumentProblems) as caught:
        KINDS[kind].parse({argument: value})
    assert help_ in caught.value.problems[argument].help


@pytest.mark.parametrize("value", ["many", "3x", "x", "200%", "-1", "", "1e9", "9" * 90, "null"])
def test_nothing_is_suggested_that_would_be_refused_as_well(value):
    with pytest.raises(ArgumentProblems) as caught:
        KINDS["conv"].parse({"filters": value})
    assert caught.value.problems["filters"].help is None


@pytest.mark.parametrize(
    ("kind", "argument", "meant"),
    [
        ("conv", "kernel_size", "kernel"), ("conv", "strides", "stride"),
        ("conv", "out_channels", "filters"), ("conv", "units", "filters"),
        ("conv", "use_bias", "bias"), ("conv", "act", "activation"), ("conv", "bn", "norm"),
        ("conv", "dilation_rate", "dilation"), ("conv", "filtres", "filters"),
        ("fc", "out_features", "units"), ("fc", "neurons", "units"),
        ("max_pool", "pool_size", "size"), ("max_pool", "kernel_size", "size"),
        ("dropout", "p", "rate"), ("batch_norm", "eps", "epsilon"),
        ("upsample", "scale_factor", "factor"), ("upsample", "interpolation", "method"),
        ("dense", "growth_rate", "growth"), ("global_avg_pool", "keepdims", "keep_axes"),
        ("reshape", "target_shape", "to"), ("residual", "filter", "filters"),
    ],
)  # fmt: skip
def test_a_key_of_another_tool(kind, argument, meant):
    assert unknown_argument(KINDS[kind], argument).help == f"did you mean `{meant}`?"


def test_an_argument_of_the_norm_is_sent_there():
    for kind in ("conv", "fc"):
        for argument in ("epsilon", "momentum"):
            assert f"batch_norm: {{{argument}: " in unknown_argument(KINDS[kind], argument).help


@pytest.mark.parametrize(
    ("word", "names", "match"),
    [
        ("smae", ("same", "some"), "same"),
        ("classes", ("class",), "class"),
        ("class", ("classes",), "classes"),
        ("LEARNING-RATE", ("learning_rate",), "learning_rate"),
        ("wideresnet", ("wide_resnet", "resnet"), "wide_resnet"),
        ("widht", ("wide",), None),
        ("ab", ("ac", "a"), None),
        ("gpu", ("cpu", "jax-gpu"), None),
        ("cpi", ("cpu",), "cpu"),
        ("dam", ("adam",), "adam"),
        ("attention", ("transition",), None),
        ("h_swish", ("swish", "mish"), None),
        ("cosine", ("cosine_decay", "cosine_decay_restarts"), "cosine_decay"),
        ("exp_decay", ("exponential_decay", "step"), "exponential_decay"),
        ("soft", ("softmax", "softplus"), None),
        ("", ("a",), None),
    ],
)
def test_the_nearest_word(word, names, match):
    assert nearest(word, names) == match


def test_without_a_near_word_all_are_listed():
    assert suggestion("zz", ("b", "a"), what="letters") == "letters: a, b"
    assert suggestion("zz", (), what="letters") == "there are no letters"


def test_modules_cases_and_axes_are_folded():
    assert folded("torch.nn.MaxPool2d") == folded("max_pool") == folded("MaxPool3D") == "maxpool"


def test_a_reading_is_not_the_value_itself():
    assert list(readings("x")) == list(readings(None)) == list(readings([1, 2])) == []


def test_no_word_stands_twice_in_a_table():
    """The second would take the place of the first."""
    tables = [
        node.args[0]
        for node in ast.walk(ast.parse(Path(vocabulary.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Dict)
    ]
    assert len(tables) == 3
    for table in tables:
        words = [word for each in table.values for word in ast.literal_eval(each).split()]
        assert sorted(words) == sorted({*words})
