"""Operators that are several of ONNX's others, as onnxruntime saves an optimized network."""

import numpy as np
import pytest

from archspec.errors import UsageError

onnx = pytest.importorskip("onnx")

from support.onnx_files import network  # noqa: E402  (imports onnx)

make = onnx.helper.make_node


def own(op, inputs, outputs, **attributes):
    """Return a node of onnxruntime's own domain."""
    return make(op, inputs, outputs, domain="com.microsoft", **attributes)


def attention(scores):
    """Return the nodes of attention with two heads, between its projection and its scores."""
    parts = ("q", "k", "v")
    return [
        make("Split", ["p", "widths"], [f"{part}0" for part in parts], axis=-1),
        *(make("Reshape", [f"{part}0", "heads"], [f"{part}1"]) for part in parts),
        *(make("Transpose", [f"{part}1"], [part], perm=[0, 2, 1, 3]) for part in parts),
        make("Transpose", ["k"], ["turned"], perm=[0, 1, 3, 2]),
        make("Mul", ["q", "half"], ["scaled"]),
        make("MatMul", ["scaled", "turned"], ["s"]),
        *scores,
        make("Softmax", [scores[-1].output[0] if scores else "s"], ["shares"], axis=-1),
        make("MatMul", ["shares", "v"], ["mixed"]),
        make("Transpose", ["mixed"], ["back"], perm=[0, 2, 1, 3]),
        make("Reshape", ["back", "whole"], ["y"]),
    ]


ARRAYS = {
    "kernel": (8, 24), "offsets": (24,), "bias": (8,), "factors": (8,), "centres": (8,),
    "matrix": (6, 8), "six": (6,), "taps": (3, 3, 3, 3), "three": (3,), "scores": (1, 2, 5, 5),
}  # fmt: skip
NUMBERS = {
    "half": np.float32(0.5), "quick": np.float32(1.702), "widths": np.array([8, 8, 8]),
    "heads": np.array([0, 0, 2, -1]), "whole": np.array([0, 0, -1]),
    "slope": np.float32(0.7978846), "slope of cubes": np.float32(0.0356774), "1": np.float32(1),
    "3": np.float32(3), "6": np.float32(6), "5": np.float32(5), "tiny": np.float32(1e-12),
}  # fmt: skip

SEQUENCE, IMAGE = [1, 5, 8], [1, 3, 6, 6]

PROJECTION = [make("MatMul", ["x", "kernel"], ["m"]), make("Add", ["m", "offsets"], ["p"])]

HALF_AND_TANH = [
    make("Tanh", ["curve"], ["t"]),
    make("Add", ["t", "1"], ["u"]),
    make("Mul", ["u", "half"], ["v"]),
    make("Mul", ["x", "v"], ["y"]),
]
"""gelu, from the curve of which it takes the tanh"""

FORMS = {
    "attention": (
        SEQUENCE,
        [own("Attention", ["x", "kernel", "offsets"], ["y"], num_heads=2, scale=0.5)],
        [*PROJECTION, *attention([])],
    ),
    "attention with offsets of scores": (
        SEQUENCE,
        [own("Attention", ["x", "kernel", "offsets", "", "", "scores"], ["y"], num_heads=2)],
        [*PROJECTION, *attention([make("Add", ["s", "scores"], ["t"])])],
    ),
    "attention on queries, keys and values": (
        SEQUENCE,
        [
            make("MatMul", ["x", "kernel"], ["p"]),
            make("Split", ["p", "widths"], ["q", "k", "v"], axis=-1),
            own("MultiHeadAttention", ["q", "k", "v"], ["y"], num_heads=2),
        ],
        [make("MatMul", ["x", "kernel"], ["p"]), *attention([])],
    ),
    "ONNX's own attention": (
        SEQUENCE,
        [
            make("MatMul", ["x", "kernel"], ["p"]),
            make("Split", ["p", "widths"], ["q", "k", "v"], axis=-1),
            make("Attention", ["q", "k", "v"], ["y"], q_num_heads=2, kv_num_heads=2),
        ],
        [make("MatMul", ["x", "kernel"], ["p"]), *attention([])],
    ),
    "a sum, its norm and both as outputs": (
        SEQUENCE,
        [
            own(
                "SkipLayerNormalization",
                ["x", "x", "factors", "centres", "bias"],
                ["n", "", "", "s"],
                epsilon=1e-3,
            ),
            make("Mul", ["n", "s"], ["y"]),
        ],
        [
            make("Add", ["x", "x"], ["t"]),
            make("Add", ["t", "bias"], ["s"]),
            make("LayerNormalization", ["s", "factors", "centres"], ["n"], epsilon=1e-3),
            make("Mul", ["n", "s"], ["y"]),
        ],
    ),
    "a sum, its norm by groups and both as outputs": (
        IMAGE,
        [
            own("SkipGroupNorm", ["x", "three", "three", "x"], ["n", "s"], groups=3,
                channels_last=0, epsilon=1e-3),
            make("Mul", ["n", "s"], ["y"]),
        ],
        [
            make("Add", ["x", "x"], ["s"]),
            make("GroupNormalization", ["s", "three", "three"], ["n"], num_groups=3, epsilon=1e-3),
            make("Mul", ["n", "s"], ["y"]),
        ],
    ),
    "a bias and a function": (
        SEQUENCE,
        [
            own("BiasGelu", ["x", "bias"], ["a"]),
            own("FastGelu", ["a"], ["b"]),
            own("QuickGelu", ["b"], ["y"], alpha=1.702),
        ],
        [
            make("Add", ["x", "bias"], ["t"]),
            make("Gelu", ["t"], ["a"]),
            make("Gelu", ["a"], ["b"], approximate="tanh"),
            make("Mul", ["b", "quick"], ["c"]),
            make("Sigmoid", ["c"], ["d"]),
            make("Mul", ["b", "d"], ["y"]),
        ],
    ),
    "a product and a function": (
        [1, 8],
        [own("FusedGemm", ["x", "matrix", "six"], ["y"], transB=1, activation="LeakyRelu",
             activation_alpha=0.2)],
        [
            make("Gemm", ["x", "matrix", "six"], ["t"], transB=1),
            make("LeakyRelu", ["t"], ["y"], alpha=0.2),
        ],
    ),
    "a product with a turned matrix": (
        [1, 8],
        [own("FusedMatMul", ["x", "matrix"], ["y"], transB=1, alpha=0.5)],
        [make("Gemm", ["x", "matrix"], ["t"], transB=1), make("Mul", ["t", "half"], ["y"])],
    ),
    "gelu's tanh of two products": (
        SEQUENCE,
        [
            make("Mul", ["x", "slope"], ["a"]),
            make("Pow", ["x", "3"], ["b"]),
            make("Mul", ["b", "slope of cubes"], ["c"]),
            make("Add", ["a", "c"], ["curve"]),
            *HALF_AND_TANH,
        ],
        [make("Gelu", ["x"], ["y"], approximate="tanh")],
    ),
    "gelu's tanh of x times a sum": (
        SEQUENCE,
        [
            make("Mul", ["x", "x"], ["b"]),
            make("Mul", ["b", "slope of cubes"], ["c"]),
            make("Add", ["c", "slope"], ["a"]),
            make("Mul", ["x", "a"], ["curve"]),
            *HALF_AND_TANH,
        ],
        [make("Gelu", ["x"], ["y"], approximate="tanh")],
    ),
    "a convolution, a sum and a function": (
        IMAGE,
        [own("FusedConv", ["x", "taps", "three", "x"], ["y"], pads=[1, 1, 1, 1],
             activation="Clip", activation_params=[0.0, 6.0])],
        [
            make("Conv", ["x", "taps", "three"], ["c"], pads=[1, 1, 1, 1]),
            make("Add", ["c", "x"], ["s"]),
            make("Clip", ["s"], ["y"], min=0.0, max=6.0),
        ],
    ),
}  # fmt: skip


def shown(path, shape, nodes, names):
    """Return what a file of nodes is: its layers, their shapes, costs and weights."""
    used = {name for node in nodes for name in node.input}
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(dims).astype("float32") for name, dims in names.items()}
    model = network(path, shape, nodes, {k: v for k, v in (arrays | NUMBERS).items() if k in used})
    weights = model.weights()
    return [
        (
            node.op.label,
            tuple(node.shape),
            node.layer.params,
            node.layer.macs,
            [array.tolist() for array in weights.get(node.name, ())],
        )
        for node in model.graph.nodes
    ]


@pytest.mark.parametrize("form", FORMS)
def test_an_operator_that_is_several_is_read_as_these(tmp_path, form):
    shape, joined, apart = FORMS[form]
    assert shown(tmp_path / "joined.onnx", shape, joined, ARRAYS) == shown(
        tmp_path / "apart.onnx", shape, apart, ARRAYS
    )


def test_attention_that_reads_earlier_keys_is_unknown_and_says_why(tmp_path):
    nodes = [own("Attention", ["x", "kernel", "offsets", "", "past"], ["y"], num_heads=2)]
    arrays = {"kernel": np.ones((8, 24), np.float32), "offsets": np.ones(24, np.float32),
              "past": np.ones((2, 1, 2, 3, 4), np.float32)}  # fmt: skip
    (layer,) = network(tmp_path / "net.onnx", SEQUENCE, nodes, arrays).unknown
    assert layer.reason == "it reads the keys and values of earlier runs"


def test_filters_that_fill_up_the_last_block_are_none_of_the_networks(tmp_path):
    """Filters are rounded up to blocks of 16; how many there are stands at their end."""

    def blocked(op, inputs, outputs, **attributes):
        return make(op, inputs, outputs, domain="com.microsoft.nchwc", **attributes)

    nodes = [
        blocked("Conv", ["x", "first", "bias"], ["a"], pads=[1, 1, 1, 1], activation="Relu"),
        blocked("Conv", ["a", "by_channel", "bias"], ["b"], pads=[1, 1, 1, 1], group=16),
        blocked("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        blocked("ReorderOutput", ["c"], ["d"], channels=12),
        make("Sigmoid", ["d"], ["e"]),
        blocked("ReorderInput", ["e"], ["f"]),
        blocked("Conv", ["f", "last", "bias"], ["g"]),
        blocked("ReorderOutput", ["g"], ["y"], channels=10),
    ]
    shapes = {"first": (16, 3, 3, 3), "by_channel": (16, 1, 3, 3), "last": (16, 16, 1, 1),
              "bias": (16,)}  # fmt: skip
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    model = network(tmp_path / "net.onnx", [1, 3, 8, 8], nodes, arrays)
    params = {node.op.label: node.layer.params for node in model.graph.nodes if node.layer.params}
    assert not model.unknown
    assert params == {"CONV3-12": 12 * 27 + 12, "DWCONV3": 12 * 9 + 12, "CONV1-10": 10 * 12 + 10}
    assert any("one kind of processor" in note for note in model.notes)
    with pytest.raises(UsageError, match="in the order of one kind of processor"):
        model.weights()


def test_operands_of_onnx_before_version_7_stand_at_the_axis_that_the_step_names(tmp_path):
    """A bias of maps was a vector of channels then."""
    nodes = [
        make("Conv", ["x", "taps"], ["a"], pads=[1, 1, 1, 1]),
        make("Add", ["a", "bias"], ["b"], broadcast=1, axis=1),
        make("Concat", ["x", "b"], ["c"]),
        make("Upsample", ["c"], ["d"], height_scale=2.0, width_scale=2.0, mode="nearest"),
        make("Mul", ["d", "gains"], ["e"], broadcast=1, axis=1),
        make("Reshape", ["e"], ["f"], shape=[1, -1]),
        make("Gemm", ["f", "matrix", "six"], ["y"], broadcast=1, transB=1),
    ]
    shapes = {
        "taps": (4, 3, 3, 3),
        "bias": (4,),
        "gains": (7,),
        "matrix": (6, 7 * 144),
        "six": (6,),
    }
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape).astype("float32") for name, shape in shapes.items()}
    model = network(tmp_path / "net.onnx", IMAGE, nodes, arrays, opset=1)
    assert [(node.op.label, node.layer.params) for node in model.graph.nodes] == [
        ("INPUT", 0),
        ("CONV3-4", 4 * 27 + 4),
        ("CONCAT", 0),
        ("UPSAMPLE", 0),
        ("SCALE", 7),
        ("FLATTEN", 0),
        ("FC-6", 6 * 7 * 144 + 6),
    ]
    assert model.weights()["a"][1].tolist() == arrays["bias"].tolist()


def test_the_image_scaler_of_coreml_is_a_factor_and_a_bias(tmp_path):
    nodes = [make("ImageScaler", ["x"], ["y"], scale=0.5, bias=[-1.0, -1.0, -1.0])]
    ops = [node.op for node in network(tmp_path / "net.onnx", IMAGE, nodes, {}).graph.nodes]
    assert [(op.scale, op.offset) for op in ops[1:]] == [(0.5, 0.0), (1.0, (-1.0,) * 3)]


def test_whole_numbers_with_their_channels_last_are_those_of_onnx_between_two_transposes(tmp_path):
    """The kernel keeps ONNX's order of axes."""
    one = ["scale", "zero"]
    nodes = [
        make("QuantizeLinear", ["x", *one], ["q"]),
        make("Transpose", ["q"], ["last"], perm=[0, 2, 3, 1]),
        own("QLinearConv", ["last", *one, "taps", *one, *one], ["c"], channels_last=1),
        own("QLinearGlobalAveragePool", ["c", *one, *one], ["p"], channels_last=1),
        make("DequantizeLinear", ["p", *one], ["y"]),
    ]
    arrays = {"scale": np.float32(0.5), "zero": np.int8(0), "taps": np.ones((4, 3, 3, 3), np.int8)}
    model = network(tmp_path / "net.onnx", [1, 3, 6, 8], nodes, arrays)
    assert not model.unknown
    assert [(node.op.label, str(node.shape)) for node in model.graph.nodes] == [
        ("INPUT", "6x8x3"),
        ("CONV3-4", "4x6x4"),
        ("GAP", "1x1x4"),
    ]


def test_a_factor_that_is_rounded_and_made_real_again_is_the_nearest_multiple_of_its_scale(
    tmp_path,
):
    nodes = [
        make("QuantizeLinear", ["factor", "scale", "zero"], ["q"]),
        make("DequantizeLinear", ["q", "scale", "zero"], ["r"]),
        make("Mul", ["x", "r"], ["y"]),
    ]
    arrays = {"factor": np.float32(0.36), "scale": np.float32(0.125), "zero": np.uint8(3)}
    (_, node) = network(tmp_path / "net.onnx", [1, 8], nodes, arrays).graph.nodes
    assert (node.op.kind, node.op.scale) == ("rescale", 0.375)


def local_response_norm(*, pad=(), stride=1, size=4, radius=1, **mode):
    """Return the nodes of x / (1 + 0.1 * s) ** 0.75, s being a sum of slices of padded squares."""
    slices = [
        make("Slice", ["p", f"start{n}", f"end{n}", "axis", "stride"], [f"s{n}"]) for n in range(3)
    ]
    nodes = [
        make("Mul", ["x", "x"], ["q"]),
        make("Pad", ["q", "amounts", *pad], ["p"], **mode),
        *slices,
        make("Add", ["s0", "s1"], ["a"]),
        make("Add", ["a", "s2"], ["b"]),
        make("Mul", ["b", "tenth"], ["c"]),
        make("Add", ["c", "one"], ["d"]),
        make("Pow", ["d", "power"], ["e"]),
        make("Div", ["x", "e"], ["y"]),
    ]
    amounts = [0, radius, 0, 0, 0, radius, 0, 0]
    arrays = {
        "amounts": np.array(amounts),
        "axis": np.array([1]),
        "stride": np.array([stride]),
        "tenth": np.float32(0.1),
        "one": np.float32(1),
        "power": np.float32(0.75),
    }
    for n in range(3):
        arrays |= {f"start{n}": np.array([n]), f"end{n}": np.array([n + size])}
    return nodes, arrays


def kinds_in(path, nodes, arrays, **how):
    model = network(path, [1, 4, 6, 6], nodes, arrays, **how)
    return [type(node.op).__name__ for node in model.graph.nodes]


def test_a_sum_of_slices_of_padded_squares_is_a_local_response_norm(tmp_path):
    assert kinds_in(tmp_path / "net.onnx", *local_response_norm())[1:] == ["LocalResponseNorm"]


@pytest.mark.parametrize(
    "other",
    [{"pad": ["one"]}, {"mode": "reflect"}, {"stride": 2, "size": 8}, {"size": 1}, {"radius": 2}],
    ids=["padded by 1", "mirrored", "every second", "one channel", "more padding"],
)
def test_what_computes_something_else_is_no_local_response_norm(tmp_path, other):
    kinds = kinds_in(tmp_path / "net.onnx", *local_response_norm(**other))
    assert "LocalResponseNorm" not in kinds


def by_its_length(limit):
    """Return the nodes of x divided by its length, on which a node sets a limit."""
    return [
        make("ReduceL2", ["x"], ["length"], axes=[1]),
        limit,
        make("Div", ["x", "kept"], ["y"]),
    ]


def test_a_length_that_is_kept_from_zero_is_that_of_a_unit_norm(tmp_path):
    for limit in (
        make("Max", ["tiny", "length"], ["kept"]),
        make("Clip", ["length", "tiny"], ["kept"]),
    ):
        nodes = by_its_length(limit)
        kinds = kinds_in(tmp_path / "net.onnx", nodes, {"tiny": NUMBERS["tiny"]}, opset=13)
        assert kinds[1:] == ["UnitNorm"]


POOLED = [
    make("GlobalAveragePool", ["x"], ["mean"]),
    make("Sub", ["x", "mean"], ["centred"]),
    make("Mul", ["centred", "centred"], ["square"]),
    make("GlobalAveragePool", ["square"], ["variance"]),
    make("Add", ["variance", "tiny"], ["v"]),
    make("Sqrt", ["v"], ["deviation"]),
    make("Div", ["centred", "deviation"], ["n"]),
    make("Mul", ["n", "5"], ["scaled"]),
    make("Add", ["scaled", "6"], ["y"]),
]


@pytest.mark.parametrize(
    ("nodes", "function"),
    [
        pytest.param(
            by_its_length(make("Max", ["length", "5"], ["kept"])),
            "UnitNorm",
            id="a length of at least 5",
        ),
        pytest.param(
            by_its_length(make("Clip", ["length", "tiny", "1"], ["kept"])),
            "UnitNorm",
            id="a length of at most 1",
        ),
        pytest.param(POOLED, "LayerNorm", id="a norm over all places"),
    ],
)
def test_what_only_looks_like_a_function_is_not_taken_for_it(tmp_path, nodes, function):
    used = {name for node in nodes for name in node.input}
    arrays = {name: array for name, array in NUMBERS.items() if name in used}
    kinds = kinds_in(tmp_path / "net.onnx", nodes, arrays, opset=13)
    assert len(kinds) > 2
    assert function not in kinds


def test_the_least_of_three_is_no_relu_up_to_6(tmp_path):
    nodes = [make("Relu", ["x"], ["r"]), make("Min", ["r", "6", "3"], ["y"])]
    arrays = {name: NUMBERS[name] for name in "63"}
    assert kinds_in(tmp_path / "net.onnx", nodes, arrays)[1:] == ["Activate", "Unknown"]


def test_a_product_with_a_number_of_values_that_is_not_known_has_known_units(tmp_path):
    nodes = [
        make("Reshape", ["x", "shape"], ["flat"]),
        make("MatMul", ["flat", "first"], ["a"]),
        make("Relu", ["a"], ["b"]),
        make("MatMul", ["b", "second"], ["y"]),
    ]
    arrays = {
        "shape": np.array([0, 3, -1]),
        "first": np.zeros((196, 32), "f"),
        "second": np.zeros((32, 16), "f"),
    }
    model = network(tmp_path / "net.onnx", ["N", 3, "H", "W"], nodes, arrays)
    assert tuple(model.graph.nodes[-1].shape) == (3, 16)
    assert model.graph.nodes[-1].op.kind == "fully_connected"


def test_a_factor_of_a_bias_that_a_product_lacks_is_not_one_of_the_next_sum(tmp_path):
    nodes = [make("Gemm", ["x", "kernel"], ["t"], beta=0.5), make("Add", ["t", "b"], ["y"])]
    arrays = {"kernel": np.zeros((8, 6), "f"), "b": np.full(6, 8, "f")}
    model = network(tmp_path / "net.onnx", [1, 8], nodes, arrays)
    (weights,) = model.weights().values()
    np.testing.assert_array_equal(weights[1], arrays["b"])


@pytest.mark.parametrize(
    ("strides", "reason"),
    [
        ([2], "its window has not as many axes as its input"),
        ([2, 1, 9], "its window has not as many axes as its input"),
        ([2, 0], "its window is empty"),
    ],
)
def test_a_window_that_does_not_fit_is_unknown_along_axes_of_one_place_too(
    tmp_path, strides, reason
):
    nodes = [
        make("Unsqueeze", ["x", "axis"], ["thin"]),
        make("Conv", ["thin", "taps"], ["y"], strides=strides),
    ]
    arrays = {"axis": np.array([3]), "taps": np.zeros((4, 3, 3, 1), "f")}
    model = network(tmp_path / "net.onnx", [1, 3, 8], nodes, arrays)
    assert [each.reason for each in model.unknown] == [reason]
