"""Chains of Reshape and Transpose in a model file: archspec's ops move the same values."""

from math import prod

import numpy as np
import pytest
from support.models import kinds
from support.specs import graph_of

import archspec
from archspec.imports.model import ABSENT, BATCH
from archspec.ops.shape import Shape

onnx = pytest.importorskip("onnx")

from support.onnx_files import network  # noqa: E402  (imports onnx)


def saved(path, shape, steps):
    """Return the model of a file of steps that read one another.

    Args:
        path: Where the file is written.
        shape: The input's extents, the batch first.
        steps: A list of extents (Reshape), a tuple of axes (Transpose), or an operator's name with
            its other inputs and its attributes.
    """
    nodes, arrays, names = [], {}, ["x"]
    for step in steps:
        if isinstance(step, list):
            op, inputs, attributes = "Reshape", [step], {}
        elif isinstance(step[0], int):
            op, inputs, attributes = "Transpose", [], {"perm": step}
        else:
            op, inputs, attributes = step
        given = [names[-1]]
        for each in inputs:
            given.append(f"c{len(arrays)}")
            arrays[given[-1]] = each
        names.append(f"y{len(names)}")
        nodes.append(onnx.helper.make_node(op, given, names[-1:], **attributes))
    return network(path, shape, nodes, arrays)


def with_numpy(x, steps):
    """Return what such steps give."""
    for step in steps:
        x = x.reshape(step) if isinstance(step, list) else x.transpose(step)
    return x


def moved(model, x):
    """Return what a model of ops that move values gives, with the file's axes."""
    node = model.graph.nodes[0]
    (axes,), (to,) = model.input_axes, model.output_axes
    values = [x.transpose(sorted(range(x.ndim), key=lambda axis: axes[axis])).reshape(node.shape)]
    for node in model.graph.nodes[1:]:
        (given,) = (values[index] for index in node.inputs)
        if node.op.kind == "permute":
            values.append(given.transpose(node.op.order(Shape(given.shape))))
        elif node.op.kind == "slice":
            place, start, stop = node.op.cut(Shape(given.shape))
            values.append(given.take(range(start, stop), place))
        elif node.op.kind == "channel_shuffle":
            groups = given.reshape(*given.shape[:-1], node.op.groups, -1)
            values.append(groups.swapaxes(-1, -2).reshape(given.shape))
        else:
            assert node.op.kind in ("reshape", "flatten")
            values.append(given.reshape(node.shape))
    wide = [axis for axis in to if axis not in (BATCH, ABSENT)]
    rest = [axis for axis in range(values[-1].ndim) if axis not in wide]
    y = values[-1].transpose([*wide, *rest])
    extents = iter(y.shape)
    return y.reshape([1 if axis in (BATCH, ABSENT) else next(extents) for axis in to])


WINDOWS = [[1, 2, 4, 3, 4, 5], (0, 1, 3, 2, 4, 5), [6, 16, 5]]
BACK = [[1, 2, 3, 4, 4, 5], (0, 1, 3, 2, 4, 5), [1, 8, 12, 5]]


def test_windows_are_cut_as_the_block_attention_cuts_them(tmp_path):
    model = saved(tmp_path / "net.onnx", [1, 8, 12, 5], [*WINDOWS, ("Relu", [], {}), *BACK])
    block = graph_of("attention: {heads: 1, window: 4}", "[8, 12, 5]")
    names = ("bands", "tiles", "windows", "untiled", "unbanded", "map")
    cutting = [node.op for node in block.nodes if node.name.rpartition("/")[2] in names]
    assert [node.op for node in model.graph.nodes[1:] if node.op.kind != "activation"] == cutting


def test_windows_that_nothing_reads_are_no_layers(tmp_path):
    assert kinds(saved(tmp_path / "net.onnx", [1, 8, 12, 5], [*WINDOWS, *BACK])) == []


def test_windows_of_an_open_batch_keep_it(tmp_path):
    """The file joins the batch and the windows; archspec's windows are an axis of their own."""
    first, order, _ = WINDOWS
    model = saved(tmp_path / "net.onnx", ["n", 8, 12, 5], [[-1, *first[1:]], order, [-1, 16, 5]])
    assert [tuple(node.shape) for node in model.graph.nodes][-1] == (6, 16, 5)
    assert not model.unknown


@pytest.mark.parametrize(
    ("shape", "steps", "expected"),
    [
        pytest.param(
            [1, 8, 12, 16],
            [[1, 2, 4, 3, 4, 16], (0, 2, 4, 1, 3, 5), [16, 6, 16]],
            ["reshape", "permute", "reshape", "permute", "reshape"],
            id="the grid of MaxViT, too far for one permute",
        ),
        pytest.param(
            [1, 16, 8, 12],
            [[16 * 4, 2, 6, 2], (0, 2, 1, 3), [1, 16, 24, 4], (0, 3, 2, 1)],
            ["reshape", "permute", "reshape"],
            id="the patches of MobileViT, channels first",
        ),
    ],
)
def test_values_are_moved_as_the_file_moves_them(tmp_path, shape, steps, expected):
    model = saved(tmp_path / "net.onnx", shape, steps)
    x = np.arange(prod(shape)).reshape(shape)
    np.testing.assert_array_equal(moved(model, x), with_numpy(x, steps))
    assert kinds(model) == expected


def test_queries_of_windows_are_a_slice_by_heads(tmp_path):
    """Three, windows, heads, places and channels: the three stand beside the heads."""
    steps = [[6, 7, 3, 2, 4], (2, 0, 3, 1, 4)]
    model = saved(tmp_path / "net.onnx", [1, 6, 7, 24], [*steps, ("Gather", [1], {"axis": 0})])
    assert kinds(model) == ["reshape", "permute", "slice"]
    x = np.arange(6 * 7 * 24).reshape(1, 6, 7, 24)
    np.testing.assert_array_equal(moved(model, x), with_numpy(x, steps)[1])


def test_queries_that_are_cut_before_their_heads_are_a_slice_by_heads(tmp_path):
    """As torch's MultiheadAttention does: what is cut is cut where it is read."""
    steps = [[5, 1, 3, 8], (2, 1, 0, 3), [3, 5, 2, 4], (0, 2, 1, 3)]
    cut = [*steps[:2], ("Gather", [1], {"axis": 0}), [1, 5, 2, 4], (0, 2, 1, 3)]
    model = saved(tmp_path / "net.onnx", [1, 5, 24], cut)
    assert kinds(model) == ["reshape", "permute", "slice"]
    x = np.arange(5 * 24).reshape(1, 5, 24)
    np.testing.assert_array_equal(moved(model, x)[0], with_numpy(x, steps)[1])


def test_a_part_of_the_channels_that_is_not_split_is_one_slice(tmp_path):
    model = saved(tmp_path / "net.onnx", [1, 5, 24], [[1, 5, 3, 8], ("Gather", [2], {"axis": 2})])
    assert kinds(model) == ["slice"]


def attention(path, root):
    """Return the model of attention of 2 heads on 5 vectors of 8, as torch's exporters write it.

    Args:
        path: Where the file is written.
        root: The factor of the queries, and that of the keys.
    """
    random = np.random.default_rng(1)
    arrays = {"in": random.random((8, 24)), "out": random.random((8, 8))}
    arrays = {name: array.astype("float32") for name, array in arrays.items()}
    arrays |= {"q_root": np.float32(root), "k_root": np.float32(root), "first": np.array([0])}
    arrays |= {"heads": np.array([1, 5, 3, 2, 4]), "rows": np.array([1, 5, 8])}
    make = onnx.helper.make_node
    nodes = [
        make("MatMul", ["x", "in"], ["p"]),
        make("Reshape", ["p", "heads"], ["h"]),
        make("Transpose", ["h"], ["t"], perm=(2, 0, 3, 1, 4)),
        make("Split", ["t"], ["q1", "k1", "v1"], axis=0, num_outputs=3),
        *(make("Squeeze", [f"{each}1", "first"], [each]) for each in "qkv"),
        make("Transpose", ["k"], ["kt"], perm=(0, 1, 3, 2)),
        make("Mul", ["q", "q_root"], ["qs"]),
        make("Mul", ["kt", "k_root"], ["ks"]),
        make("MatMul", ["qs", "ks"], ["scores"]),
        make("Softmax", ["scores"], ["share"]),
        make("MatMul", ["share", "v"], ["values"]),
        make("Transpose", ["values"], ["back"], perm=(0, 2, 1, 3)),
        make("Reshape", ["back", "rows"], ["joined"]),
        make("MatMul", ["joined", "out"], ["y"]),
    ]
    return network(path, [1, 5, 8], nodes, arrays)


def test_scores_whose_factors_have_a_root_of_the_scale_each_are_scaled_once(tmp_path):
    """So they are the layers of the block attention; the file's root of 1/2 is rounded."""
    own = graph_of("attention: {heads: 2, qkv_bias: false, bias: false}", "[5, 8]").nodes
    between = {str(node.op) for node in own[2:-1]}  # its layers say that they are for each place
    model = attention(tmp_path / "net.onnx", 0.5**0.5)
    assert {str(node.op) for node in model.graph.nodes[2:-1]} == between
    assert len(model.graph.nodes) == len(own)
    model = attention(tmp_path / "net.onnx", 0.3)
    (scale,) = (node.op.scale for node in model.graph.nodes if node.op.kind == "rescale")
    assert scale == pytest.approx(0.09)


def mask_of_windows(shift, lowest):
    """The mask of windows of 4x4 of a map of 8x8 that was shifted, [windows, 1, queries, keys]."""
    region = np.digitize(np.arange(8), [4, 8 - shift])
    regions = (3 * region[:, None] + region).reshape(2, 4, 2, 4).swapaxes(1, 2).reshape(4, 1, 16)
    return np.where(regions[..., None] == regions[..., None, :], 0, lowest).astype("float32")


def shifted_windows(path, mask):
    """Return the model of scores in windows of a map that was rolled back by 2, plus a mask."""
    make = onnx.helper.make_node
    nodes = []
    names = iter(("a", "b", "c", "rolled"))
    before = "x"
    for axis in ("one", "two"):
        end, after = next(names), next(names)
        nodes += [
            make("Slice", [before, "two", "far", axis], [end]),
            make("Slice", [before, "zero", "two", axis], [f"{end}0"]),
            make("Concat", [end, f"{end}0"], [after], axis=("one", "two").index(axis) + 1),
        ]
        before = after
    nodes += [
        make("Reshape", ["rolled", "cut"], ["d"]),
        make("Transpose", ["d"], ["e"], perm=(0, 1, 3, 2, 4, 5)),
        make("Reshape", ["e", "heads"], ["f"]),
        make("Transpose", ["f"], ["q"], perm=(0, 2, 1, 3)),
        make("Transpose", ["f"], ["k"], perm=(0, 2, 3, 1)),
        make("MatMul", ["q", "k"], ["scores"]),
        make("Add", ["scores", "mask"], ["masked"]),
        make("Softmax", ["masked"], ["y"]),
    ]
    numbers = {"zero": [0], "one": [1], "two": [2], "far": [8]}
    numbers |= {"cut": [1, 2, 4, 2, 4, 4], "heads": [4, 16, 2, 2]}
    return network(path, [1, 8, 8, 4], nodes, {**numbers, "mask": mask})


@pytest.mark.parametrize("lowest", [-100, -np.inf])
def test_a_mask_of_shifted_windows_is_that_of_the_block_attention(tmp_path, lowest):
    model = shifted_windows(tmp_path / "net.onnx", mask_of_windows(2, lowest))
    own = graph_of("attention: {heads: 2, window: 4, shift: 2}", "[8, 8, 4]").nodes
    (mask,) = (node.op for node in own if node.op.kind == "shifted_window_mask")
    assert mask in [node.op for node in model.graph.nodes]
    assert any("after the softmax both are 0" in note for note in model.notes) == (lowest == -100)


@pytest.mark.parametrize(("shift", "lowest"), [(1, -100), (2, -1)])
def test_another_mask_of_windows_is_an_array(tmp_path, shift, lowest):
    """One that is not of the shift before it, and one that only makes scores smaller."""
    model = shifted_windows(tmp_path / "net.onnx", mask_of_windows(shift, lowest))
    assert "shifted_window_mask" not in kinds(model)
    assert "parameter" in kinds(model)


def test_of_two_reshapes_in_a_row_the_first_is_no_layer(tmp_path):
    steps = [[4, 16, 5], [1, 8, 8, 5]]
    model = saved(tmp_path / "net.onnx", [1, 64, 5], [("Relu", [], {}), *steps])
    assert kinds(model) == ["activation", "reshape"]


def test_every_second_place_is_a_slice(tmp_path):
    cut = ("Slice", [[1], [2**31 - 1], [1], [2]], {})
    model = saved(tmp_path / "net.onnx", [1, 6, 8, 12], [cut])
    x = np.arange(6 * 8 * 12).reshape(1, 6, 8, 12)
    np.testing.assert_array_equal(moved(model, x), x[:, 1::2])


@pytest.mark.parametrize("seed", range(40))
def test_random_chains_are_moved_as_the_file_moves_them(tmp_path, seed):
    random = np.random.default_rng(seed)
    shape = [1, *random.choice([4, 6, 8, 12], 3).tolist()]
    steps, dims = [], shape
    for _ in range(random.integers(1, 4)):
        cut = []
        for n in dims[1:]:
            factor = int(random.choice([d for d in (2, 3, 4, n) if n % d == 0]))
            cut += [n] if factor == n else [factor, n // factor]
        order = (1 + random.permutation(len(cut))).tolist()
        steps += [[1, *cut], (0, *order)]
        dims = [1, *(cut[at - 1] for at in order)]
        while len(dims) > random.choice([3, 4, 5]):
            at = int(random.integers(1, len(dims) - 1))
            dims = [*dims[:at], dims[at] * dims[at + 1], *dims[at + 2 :]]
        steps.append(dims)
    model = saved(tmp_path / "net.onnx", shape, steps)
    assert not model.unknown
    x = np.arange(prod(shape)).reshape(shape)
    np.testing.assert_array_equal(moved(model, x), with_numpy(x, steps))


@pytest.mark.parametrize(
    ("steps", "label"),
    [
        ([[1, 2, 2, 6, 4, 4], (0, 3, 4, 1, 5, 2), [1, 6, 8, 8]], "depth_to_space places"),
        ([[1, 6, 2, 2, 4, 4], (0, 1, 4, 2, 5, 3), [1, 6, 8, 8]], "depth_to_space channels"),
        ([[1, 24, 2, 2, 2, 2], (0, 3, 5, 1, 2, 4), [1, 96, 2, 2]], "space_to_depth places"),
        ([[1, 24, 2, 2, 2, 2], (0, 1, 3, 5, 2, 4), [1, 96, 2, 2]], "space_to_depth channels"),
    ],
)
def test_a_shuffle_written_by_hand_is_that_op(tmp_path, steps, label):
    """Torch's users write both pixel shuffles, and both ways back, by six axes."""
    path = tmp_path / "net.onnx"
    kernel = np.zeros((24, 24, 1, 1), "float32")
    model = saved(path, [1, 24, 4, 4], [("Conv", [kernel], {}), *steps])
    node = model.graph.nodes[-1]
    assert f"{node.op.kind} {node.op.order}" == label
    assert kinds(model) == ["convolution", node.op.kind]


# Other operators of several axes


def every_kind(path):
    """Return a network of reductions, repeated values, a shift and a product of tensors."""
    make = onnx.helper.make_node
    nodes = [
        make("ReduceSum", ["x", "one"], ["sum"]),
        make("Add", ["x", "sum"], ["wide"]),
        make("ReduceL2", ["wide", "three"], ["length"]),
        make("Div", ["wide", "length"], ["short"]),
        make("Slice", ["short", "two", "end", "one"], ["tail"]),
        make("Slice", ["short", "zero", "two", "one"], ["head"]),
        make("Concat", ["tail", "head"], ["shifted"], axis=1),
        make("Add", ["shifted", "length"], ["offset"]),
        make("Einsum", ["offset", "shifted"], ["product"], equation="bhwc,bhvc->bhwv"),
        make("ReduceMax", ["product", "two"], ["most"], keepdims=0),
    ]
    arrays = {"zero": [0], "one": [1], "two": [2], "three": [3], "end": [2**31 - 1]}
    return network(path, [1, 6, 8, 5], nodes, arrays)


def test_reductions_shifts_and_products_of_tensors_are_ops(tmp_path):
    model = every_kind(tmp_path / "net.onnx")
    assert not model.unknown
    assert {"roll", "matmul", "l2_pool", "max_pool", "divide", "upsample"} <= set(kinds(model))
    assert archspec.report(model).totals.macs == 6 * 8 * 8 * 5
    assert [tuple(node.shape) for node in model.graph.nodes][-1] == (6, 8)


@pytest.mark.keras
def test_they_give_the_outputs_of_the_file(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "net.onnx"
    model = archspec.build(every_kind(path))
    x = np.random.default_rng(0).standard_normal((1, 6, 8, 5)).astype("float32")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": x})
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-4, atol=1e-5)


def test_what_follows_an_unknown_layer_is_known_without_declared_shapes(tmp_path):
    make = onnx.helper.make_node
    nodes = [
        make("Sin", ["x"], ["y"]),
        make("CumSum", ["y", "one"], ["z"]),
        make("Conv", ["z", "kernel"], ["out"]),
    ]
    arrays = {"one": np.int64(1), "kernel": np.zeros((7, 5, 3, 3), "float32")}
    model = network(tmp_path / "net.onnx", [1, 5, 8, 8], nodes, arrays)
    assert [each.type for each in model.unknown] == ["Sin", "CumSum"]
    assert model.graph.nodes[-1].op.kind == "convolution"
    assert tuple(model.graph.nodes[-1].shape) == (6, 6, 7)


def test_every_second_place_up_to_an_odd_one_is_a_pool_of_one_place(tmp_path):
    """LeViT takes 4 of 7 rows, which are not halves of anything."""
    model = saved(tmp_path / "net.onnx", [1, 7, 8, 12], [("Slice", [[0], [7], [1], [2]], {})])
    assert kinds(model) == ["max_pool"]
    assert tuple(model.graph.nodes[-1].shape) == (4, 8, 12)


@pytest.mark.parametrize("sizes", [[8, 5], [8, 6], [16, -2, 0]])
def test_a_split_into_more_or_less_than_there_is_is_unknown(tmp_path, sizes):
    nodes = [
        onnx.helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1),
        onnx.helper.make_node("Concat", ["b", "a"], ["y"], axis=1),
    ]
    model = network(tmp_path / "net.onnx", [1, 12, 4, 4], nodes, {"sizes": np.array(sizes)})
    assert model.unknown[0].reason == "its parts do not make up the axis that it splits"


@pytest.mark.parametrize("op", ["Shape", "Size", "Relu", "MatMul", "If", "CastLike"])
def test_an_operator_that_reads_nothing_is_unknown(tmp_path, op):
    node = onnx.helper.make_node(op, [], ["y"])
    relu = onnx.helper.make_node("Add", ["x", "y"], ["z"])
    model = network(tmp_path / "net.onnx", [1, 12, 4, 4], [node, relu], {})
    assert model.unknown[0].type == op


def test_a_constant_without_an_output_is_no_step(tmp_path):
    nodes = [
        onnx.helper.make_node("Constant", [], [], value_float=1.0),
        onnx.helper.make_node("Relu", ["x"], ["y"]),
    ]
    model = network(tmp_path / "net.onnx", [1, 12, 4, 4], nodes, {})
    assert kinds(model) == ["activation"]


def test_an_axis_that_is_put_in_twice_makes_an_unknown_layer(tmp_path):
    node = onnx.helper.make_node("Unsqueeze", ["x", "axes"], ["y"])
    model = network(tmp_path / "net.onnx", [1, 12, 4, 4], [node], {"axes": np.array([1, 1])})
    assert [each.type for each in model.unknown] == ["Unsqueeze"]


def test_a_padding_beyond_all_extents_is_unknown(tmp_path):
    pads = np.array([0, 0, 2**40, 1, 0, 0, 1, 1])
    pad = onnx.helper.make_node("Pad", ["x", "pads"], ["y"])
    model = network(tmp_path / "net.onnx", [1, 12, 4, 4], [pad], {"pads": pads})
    assert model.unknown[0].reason.startswith("`amount` of `pad` must be a whole number")
