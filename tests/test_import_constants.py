"""Constants in ONNX files and PyTorch's programs: what exporters write out, and what it means."""

import numpy as np
import pytest

import archspec
from archspec.imports.arrays import item_size, numbers_in

onnx = pytest.importorskip("onnx")

from support.onnx_files import network  # noqa: E402  (imports onnx)

make = onnx.helper.make_node


def constant(name, value):
    return make("Constant", [], [name], value=onnx.numpy_helper.from_array(np.asarray(value)))


def test_a_bias_of_zeros_that_an_exporter_writes_out_is_none(tmp_path):
    """As torch's exporter does with `optimize=False`: zeros of the type of the input."""
    nodes = [
        make("Shape", ["kernel"], ["filters"], start=0, end=1),
        constant("zero", np.float32(0)),
        make("CastLike", ["zero", "x"], ["like"]),
        make("Expand", ["like", "filters"], ["zeros"]),
        make("Conv", ["x", "kernel", "zeros"], ["y"]),
    ]
    arrays = {"kernel": np.ones((7, 3, 3, 3), "float32")}
    model = network(tmp_path / "net.onnx", [1, 3, 8, 8], nodes, arrays, producer="pytorch")
    assert not model.unknown
    assert not model.graph.nodes[-1].op.bias
    assert archspec.report(model).totals.params == 7 * 3 * 3 * 3


def test_a_bias_of_zeros_that_is_stored_is_learned(tmp_path):
    """As one is before the training."""
    arrays = {"kernel": np.ones((7, 3, 3, 3), "float32"), "bias": np.zeros(7, "float32")}
    nodes = [make("Conv", ["x", "kernel", "bias"], ["y"])]
    model = network(tmp_path / "net.onnx", [1, 3, 8, 8], nodes, arrays, producer="pytorch")
    assert archspec.report(model).totals.params == 7 * 3 * 3 * 3 + 7


def test_the_largest_of_one_array_is_itself(tmp_path):
    """Torch's exporter finds the common shape of index arrays so, of which there may be one."""
    nodes = [
        make("Max", ["index"], ["most"]),
        make("Shape", ["most"], ["common"]),
        make("Expand", ["index", "common"], ["full"]),
        make("Gather", ["table", "full"], ["offsets"]),
        make("Add", ["x", "offsets"], ["y"]),
    ]
    arrays = {"index": np.array([2, 0, 1]), "table": np.arange(12, dtype="float32").reshape(4, 3)}
    model = network(tmp_path / "net.onnx", [1, 3, 3], nodes, arrays)
    assert not model.unknown
    ((added,),) = model.weights().values()
    assert added.tolist() == arrays["table"][arrays["index"]].tolist()


def test_a_step_with_too_many_inputs_is_an_unknown_layer(tmp_path):
    """Patterns of several steps look at it too, and find nothing."""
    nodes = [make("Mul", ["x", "x"], ["y"]), make("Add", ["y", "two", "x"], ["z"])]
    model = network(tmp_path / "net.onnx", [1, 3, 8, 8], nodes, {"two": np.float32(2)})
    ((_, kind, reason),) = model.unknown
    assert (kind, reason) == ("Add", "it has 3 inputs, a constant among them, instead of 2")


# Kernels that are standardised as the network runs

KERNEL = np.random.default_rng(0).standard_normal((5, 3, 3, 3)).astype("float32") + 1
GAIN = np.arange(1, 6, dtype="float32")
BIAS = np.arange(5, dtype="float32") / 8


def by_a_norm(norm="BatchNormalization", more=("", "", "")):
    """Return the steps of timm's `ScaledStdConv2d`, which norms a kernel as a batch of one."""
    nodes = [
        make("Reshape", ["kernel", "flat"], ["rows"]),
        make("Reshape", ["gain", "filters"], ["factor"]),
        make(norm, ["rows", "factor", *more], ["normed"], epsilon=1e-6),
        make("Reshape", ["normed", "full"], ["own"]),
        make("Conv", ["x", "own", "bias"], ["y"]),
    ]
    return nodes, {"flat": [1, 5, 27], "filters": [5], "full": [5, 3, 3, 3]}


def by_an_instance_norm():
    """Return the same steps as they are read from a `.pt2`: its batch norm has no averages."""
    return by_a_norm("InstanceNormalization", ("",))


def by_arithmetic():
    """Return the steps of the layer as Qiao et al. 2019 write it."""
    nodes = [
        make("ReduceMean", ["kernel", "axes"], ["mean"]),
        make("Sub", ["kernel", "mean"], ["centred"]),
        make("Mul", ["centred", "centred"], ["square"]),
        make("ReduceMean", ["square", "axes"], ["variance"]),
        make("Add", ["variance", "epsilon"], ["above"]),
        make("Sqrt", ["above"], ["deviation"]),
        make("Div", ["centred", "deviation"], ["standard"]),
        make("Mul", ["standard", "gain"], ["own"]),
        make("Conv", ["x", "own", "bias"], ["y"]),
    ]
    return nodes, {"axes": [1, 2, 3], "epsilon": np.float32(1e-6)}


@pytest.mark.parametrize("form", [by_a_norm, by_an_instance_norm, by_arithmetic])
def test_a_standardised_kernel_is_a_kernel_and_its_gain_a_scale(tmp_path, form):
    nodes, arrays = form()
    arrays |= {"kernel": KERNEL, "gain": GAIN.reshape(5, 1, 1, 1), "bias": BIAS}
    model = network(tmp_path / "net.onnx", [1, 3, 8, 8], nodes, arrays)
    assert not model.unknown
    totals = archspec.report(model).totals
    assert (totals.trainable, totals.macs) == (KERNEL.size + 5 + 5, 6 * 6 * KERNEL.size)
    assert "One kernel is standardised each time the network runs" in " ".join(model.notes)
    (kernel,), scale = model.weights().values()
    assert np.abs(kernel.mean((0, 1, 2))).max() < 1e-6
    np.testing.assert_allclose(kernel.std((0, 1, 2)), 1, atol=1e-5)
    np.testing.assert_array_equal(scale, [GAIN, BIAS])


def test_arrays_that_grow_while_they_are_computed_are_still_computed(tmp_path):
    """Small ones are lists of numbers, others are NumPy's: two of 3,000 places are not lists."""
    nodes = [
        make("Concat", ["index", "index"], ["twice"], axis=0),
        make("Gather", ["table", "twice"], ["offsets"]),
        make("Add", ["x", "offsets"], ["y"]),
    ]
    arrays = {"index": np.arange(3000) % 4, "table": np.arange(8, dtype="float32").reshape(4, 2)}
    model = network(tmp_path / "net.onnx", [1, 6000, 2], nodes, arrays)
    assert not model.unknown
    ((added,),) = model.weights().values()
    np.testing.assert_array_equal(added, np.tile(arrays["table"], (1500, 1)))


def test_an_empty_array_of_huge_extents_is_computed_at_once(tmp_path):
    nodes = [
        make("Reshape", ["nothing", "shape"], ["empty"], allowzero=1),
        make("Gather", ["empty", "index"], ["chosen"], axis=2),
        make("Transpose", ["chosen"], ["turned"], perm=[1, 0, 2]),
        make("Concat", ["x", "turned"], ["y"], axis=1),
    ]
    arrays = {
        "nothing": np.zeros(0, "f"),
        "shape": np.array([0, 2_000_000_000, 1]),
        "index": np.array([0]),
    }
    model = network(tmp_path / "net.onnx", [1, 4, 2], nodes, arrays)
    assert [each.type for each in model.unknown] == ["Concat"]


def test_a_kernel_that_slides_along_the_channels_is_a_convolution(tmp_path):
    """As efficient channel attention does (Wang et al. 2020); JAX's pools are kernels of ones."""
    nodes = [
        make("Reshape", ["x", "row"], ["y"]),
        make("Conv", ["y", "kernel"], ["z"], pads=[1, 1]),
    ]
    arrays = {"row": [1, 1, 4], "kernel": np.array([[[1, 2, 1]]], "float32")}
    model = network(tmp_path / "net.onnx", [1, 4, 1, 1], nodes, arrays)
    assert not model.unknown
    assert archspec.report(model).totals.macs == 4 * 3


@pytest.mark.parametrize(
    ("dtype", "data"),
    [("bfloat16", "803f 00c0"), ("float16", "003c 00c0"), ("float32", "0000803f 000000c0")],
)
def test_numbers_are_read_from_their_bytes_in_each_precision(dtype, data):
    assert numbers_in(bytes.fromhex(data), dtype).tolist() == [1, -2]
    assert len(bytes.fromhex(data)) == 2 * item_size(dtype)
