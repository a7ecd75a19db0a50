"""PyTorch's programs: operators that change tensors in place, and arrays that a program makes."""

import json
import zipfile

import numpy as np
from support.models import kinds
from support.specs import graph_of

import archspec


class Text(str):
    """An argument that is a text, where others call tensors by their names."""

    __slots__ = ()


def program(path, shapes, calls, output, parameters=()):
    """Return the model of an archive as `torch.export.save` writes it.

    Args:
        path: Where it is written.
        shapes: The extents of each tensor by its name; `x` is the input.
        calls: For each node the operator, its arguments by name, and the output, or all of
            them. Tensors are called by their names.
        output: The name of the network's output.
        parameters: The tensors that are parameters, whose values the archive lacks.
    """

    def argument(value):
        if isinstance(value, Text):
            return {"as_string": str(value)}
        if isinstance(value, str):
            return {"as_tensor": {"name": value}}
        if isinstance(value, list):
            tensors = [{"name": each} for each in value if isinstance(each, str)]
            return {"as_tensors": tensors} if tensors else {"as_ints": value}
        return {"as_int": value} if isinstance(value, int) else {"as_float": value}

    nodes = [
        {
            "target": f"torch.ops.aten.{operator}",
            "inputs": [{"name": key, "arg": argument(value)} for key, value in given.items()],
            "outputs": [
                {"as_tensor": {"name": each}}
                for each in ([result] if isinstance(result, str) else result)
            ],
            "metadata": {},
        }
        for operator, given, result in calls
    ]
    graph = {
        "nodes": nodes,
        "tensor_values": {
            name: {"dtype": 7, "sizes": [{"as_int": n} for n in shape]}
            for name, shape in shapes.items()
        },
    }
    stored = [{"parameter": {"arg": {"name": p}, "parameter_name": p}} for p in parameters]
    signature = {
        "input_specs": [*stored, {"user_input": {"arg": {"as_tensor": {"name": "x"}}}}],
        "output_specs": [{"user_output": {"arg": {"as_tensor": {"name": output}}}}],
    }
    content = {"graph_module": {"graph": graph, "signature": signature}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/models/model.json", json.dumps(content))
    return archspec.load(path)


def test_what_is_read_after_a_change_in_place_is_the_changed_tensor(tmp_path):
    whole = dict.fromkeys(("x", "y", "z"), (1, 4, 6, 6))
    calls = [
        ("relu_.default", {"self": "x"}, "y"),
        ("tanh.default", {"self": "x"}, "z"),  # of what is at 0 or above
    ]
    model = program(tmp_path / "net.pt2", whole, calls, "z")
    assert [node.op.label for node in model.graph.nodes] == ["INPUT", "RELU", "TANH"]


def test_a_tensor_of_which_a_slice_was_changed_is_unknown(tmp_path):
    """Else the network would be shown without the change."""
    shapes = {**dict.fromkeys(("x", "y"), (1, 4, 6, 6)), "s": [1, 4, 2, 6], "f": [1, 4, 2, 6]}
    calls = [
        ("slice.Tensor", {"self": "x", "dim": 2, "start": 0, "end": 2}, "s"),
        ("mul_.Tensor", {"self": "s", "other": 2.0}, "f"),
        ("relu.default", {"self": "x"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y")
    assert [each.type for each in model.unknown] == ["mul_"]
    assert model.graph.nodes[-1].op.label == "RELU"
    assert tuple(model.graph.nodes[-1].shape) == (6, 6, 4)


def test_a_mask_that_the_program_makes_is_a_constant(tmp_path):
    """As torchvision's Swin makes that of shifted windows: zeros, of which slices are filled."""
    shapes = {"x": [1, 4, 4], "y": [1, 4, 4]}
    shapes |= {"made": [4, 4], "s": [2, 4], "f": [2, 4]}
    calls = [
        ("new_zeros.default", {"self": "x"}, "made"),
        ("slice.Tensor", {"self": "made", "dim": 0, "start": 2, "end": 4}, "s"),
        ("fill_.Scalar", {"self": "s", "value": -100.0}, "f"),
        ("add.Tensor", {"self": "x", "other": "made"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y")
    assert not model.unknown
    (added,) = next(iter(model.weights().values()))
    assert added.tolist() == [[0.0] * 4] * 2 + [[-100.0] * 4] * 2


def test_a_quotient_that_the_program_rounds_down_is_rounded_down(tmp_path):
    """As the frequencies of XCiT's positions are, each of which stands twice."""
    shapes = {"x": [1, 4, 6], "y": [1, 4, 6], "n": [6], "half": [6]}

    def added(*calls):
        start = ("arange.default", {"end": 6}, "n")
        end = ("add.Tensor", {"self": "x", "other": "half"}, "y")
        return program(tmp_path / "net.pt2", shapes, [start, *calls, end], "y")

    given = {"self": "n", "other": 2}
    for call in (
        ("div.Tensor_mode", {**given, "rounding_mode": Text("floor")}, "half"),
        ("floor_divide.default", given, "half"),
    ):
        (numbers,) = next(iter(added(call).weights().values()))
        assert numbers.tolist() == [0, 0, 1, 1, 2, 2]
    (numbers,) = next(iter(added(("div.Tensor", given, "half")).weights().values()))
    assert numbers.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    towards_zero = ("div.Tensor_mode", {**given, "rounding_mode": Text("trunc")}, "half")
    assert [each.type for each in added(towards_zero).unknown][:1] == ["div"]


def test_tensors_are_stacked_summed_and_shifted(tmp_path):
    """Stacked maps have five axes in the file: the batch, the two, channels and places."""
    maps = (1, 4, 6, 6)
    shapes = {**dict.fromkeys(("x", "r", "t", "y"), maps), "s": [1, 2, 4, 6, 6]}
    calls = [
        ("relu.default", {"self": "x"}, "r"),
        ("stack.default", {"tensors": ["x", "r"], "dim": 1}, "s"),
        ("sum.dim_IntList", {"self": "s", "dim": [1]}, "t"),
        ("roll.default", {"self": "t", "shifts": [-3, 2], "dims": [2, 3]}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y")
    assert not model.unknown
    assert kinds(model)[-1] == "roll"
    assert model.graph.nodes[-1].op.by == (-3, 2)
    assert tuple(model.graph.nodes[-1].shape) == (6, 6, 4)


def test_what_a_program_computes_of_numbers_alone_is_a_constant(tmp_path):
    """As positions in sines: of numbers that the program counts, for each example again."""
    shapes = {"x": (2, 3, 4), "y": (2, 3, 4), "n": (4,), "s": (4,), "r": (3, 4)}
    shapes |= {"q": (4,), "o": (4,), "p": (4,)}
    calls = [
        ("arange.default", {"end": 4}, "n"),
        ("sin.default", {"self": "n"}, "s"),
        ("pow.Tensor_Scalar", {"self": "s", "exponent": 2.0}, "q"),
        ("add.Tensor", {"self": "q", "other": 1.0}, "o"),
        ("rsqrt.default", {"self": "o"}, "p"),  # as torchvision's frozen norms
        ("repeat.default", {"self": "p", "repeats": [3, 1]}, "r"),
        ("add.Tensor", {"self": "x", "other": "r"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y")
    assert not model.unknown
    ((added,),) = model.weights().values()
    np.testing.assert_allclose(
        added.reshape(-1)[-4:], (np.sin(np.arange(4)) ** 2 + 1) ** -0.5, rtol=1e-6
    )


def test_a_copy_of_a_parameter_of_which_a_slice_is_filled_is_that_parameter(tmp_path):
    """As the bias of queries, keys and values in Swin v2, whose keys have none."""
    shapes = {"x": (1, 5, 4), "kernel": (12, 4), "bias": (12,), "copy": (12,), "part": (4,)}
    shapes |= {"zeros": (4,), "y": (1, 5, 12)}
    calls = [
        ("clone.default", {"self": "bias"}, "copy"),
        ("slice.Tensor", {"self": "copy", "dim": 0, "start": 4, "end": 8}, "part"),
        ("zero_.default", {"self": "part"}, "zeros"),
        ("linear.default", {"input": "x", "weight": "kernel", "bias": "copy"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y", ("kernel", "bias"))
    assert not model.unknown
    assert archspec.report(model).totals.trainable == model.params == 12 * 4 + 12


def test_a_learned_factor_that_is_clipped_is_a_learned_factor(tmp_path):
    """As the temperature of the scores of each head in Swin v2, at most 100."""
    shapes = {
        "x": (1, 3, 5, 5),
        "t": (3, 1, 1),
        "low": (3, 1, 1),
        "e": (3, 1, 1),
        "y": (1, 3, 5, 5),
    }
    calls = [
        ("clamp.default", {"self": "t", "max": 4.6}, "low"),
        ("exp.default", {"self": "low"}, "e"),
        ("mul.Tensor", {"self": "x", "other": "e"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y", ("t",))
    assert not model.unknown
    assert archspec.report(model).totals.trainable == 3


def test_a_vector_of_two_kinds_of_layers_counts_in_both_and_a_note_says_so(tmp_path):
    """As the class token of CaiT, which is added to what attention gives, too."""
    shapes = {**dict.fromkeys(("x", "s", "r", "y"), (1, 5, 4)), "c": (4,)}
    calls = [
        ("mul.Tensor", {"self": "x", "other": "c"}, "s"),
        ("relu.default", {"self": "s"}, "r"),
        ("add.Tensor", {"self": "r", "other": "c"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y", ("c",))
    assert (model.params, archspec.report(model).totals.params) == (4, 8)
    assert (
        "Layer y has 4 numbers in common with s (tied weights): they count in both." in model.notes
    )


def test_queries_keys_and_values_by_heads_are_the_layers_of_the_block_attention(tmp_path):
    """One axis of 3 * 2 * 4 becomes three; of it, two heads are queries, two keys, two values."""
    shapes = {
        "x": (1, 5, 8),
        "in": (24, 8),
        "out": (8, 8),
        "b": (24,),
        "c": (8,),
        "p": (1, 5, 24),
        "y": (1, 5, 8),
    }
    shapes |= {"h": (1, 5, 3, 2, 4), "t": (3, 1, 2, 5, 4), "back": (1, 5, 2, 4), "rows": (1, 5, 8)}
    shapes |= dict.fromkeys(("q", "k", "v", "made"), (1, 2, 5, 4))
    calls = [
        ("linear.default", {"input": "x", "weight": "in", "bias": "b"}, "p"),
        ("view.default", {"self": "p"}, "h"),
        ("permute.default", {"self": "h", "dims": [2, 0, 3, 1, 4]}, "t"),
        *(("select.int", {"self": "t", "dim": 0, "index": at}, "qkv"[at]) for at in range(3)),
        ("scaled_dot_product_attention.default", {"query": "q", "key": "k", "value": "v"}, "made"),
        ("transpose.int", {"self": "made", "dim0": 1, "dim1": 2}, "back"),
        ("view.default", {"self": "back"}, "rows"),
        ("linear.default", {"input": "rows", "weight": "out", "bias": "c"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y", ("in", "out", "b", "c"))
    own = graph_of("attention: {heads: 2}", "[5, 8]").nodes
    between = {str(node.op) for node in own[2:-1]}  # its layers say that they are for each place
    assert {str(node.op) for node in model.graph.nodes[2:-1]} == between
    assert len(model.graph.nodes) == len(own)


def recurrence(path, outputs, output, *, first="zeros", function="gru.input"):
    """Return a model of 7 vectors of 4 and a recurrence of 3 units, with a state before it."""
    shapes = {"x": (1, 7, 4), "zeros": (1, 1, 3), "given": (1, 1, 3), "y": (1, 7, 3)}
    shapes |= {"h": (1, 1, 3), "k": (9, 4), "r": (9, 3), "b": (9,), "c": (9,)}
    given = {"input": "x", "hx": first, "params": ["k", "r", "b", "c"], "has_biases": True}
    given |= {"num_layers": 1, "bidirectional": False, "batch_first": True}
    calls = [
        ("zeros.default", {"size": [1, 1, 3]}, "zeros"),
        ("slice.Tensor", {"self": "x", "dim": 1, "start": 0, "end": 1}, "given"),
        (function, given, outputs),
    ]
    return program(path, shapes, calls, output, ("k", "r", "b", "c"))


def test_a_recurrence_that_begins_with_a_state_other_than_zeros_is_unknown(tmp_path):
    """It was shown, and written, as one that begins with zeros."""
    assert not recurrence(tmp_path / "a.pt2", ("y", "h"), "y").unknown
    model = recurrence(tmp_path / "b.pt2", ("y", "h"), "y", first="given")
    assert [each.reason for each in model.unknown] == ["it begins with a state that it is given"]
    assert model.params == 9 * (4 + 3 + 2)


def test_the_last_state_of_a_recurrence_is_an_output(tmp_path):
    model = recurrence(tmp_path / "net.pt2", ("y", "h"), "h")
    assert not model.unknown
    assert model.graph.nodes[1].op.output == "last"
    assert tuple(model.graph.nodes[-1].shape) == (3,)


def test_a_step_of_a_recurrence_is_two_products_and_its_gates(tmp_path):
    """A GRU's cell has 3 products of the input, 3 of the state, and a bias each."""
    shapes = {"x": (1, 4), "h": (1, 3), "w": (9, 4), "u": (9, 3), "b": (9,), "c": (9,)}
    shapes |= {"y": (1, 3)}
    calls = [
        ("slice.Tensor", {"self": "x", "dim": 1, "start": 0, "end": 3}, "h"),
        (
            "gru_cell.default",
            {"input": "x", "hx": "h", "w_ih": "w", "w_hh": "u", "b_ih": "b", "b_hh": "c"},
            "y",
        ),
    ]
    totals = archspec.report(
        program(tmp_path / "net.pt2", shapes, calls, "y", ("w", "u", "b", "c"))
    ).totals
    assert totals.macs == 3 * (4 + 3) * 3
    assert totals.params == 9 * (4 + 3 + 2)


def test_a_matrix_product_is_scaled_as_the_program_says(tmp_path):
    shapes = {"x": (1, 4), "w": (4, 3), "b": (3,), "y": (1, 3)}
    given = {"self": "b", "mat1": "x", "mat2": "w", "beta": 0.5, "alpha": 2.0}
    path = tmp_path / "net.pt2"
    program(path, shapes, [("addmm.default", given, "y")], "y", ("w", "b"))
    config = {"config": {}}
    with zipfile.ZipFile(path, "a") as archive:
        for name, dims in (("w", (4, 3)), ("b", (3,))):
            strides = [{"as_int": n} for n in ((3, 1) if len(dims) == 2 else (1,))]
            meta = {"dtype": 7, "strides": strides, "storage_offset": {"as_int": 0}}
            config["config"][name] = {"path_name": name, "tensor_meta": meta}
            archive.writestr(f"net/data/weights/{name}", np.ones(dims, "<f4").tobytes())
        archive.writestr("net/data/weights/model_weights_config.json", json.dumps(config))
    ((kernel, bias),) = archspec.load(path).weights().values()
    assert set(kernel.flat) == {2.0}
    assert set(bias.flat) == {0.5}


def test_a_kernel_that_is_a_direction_at_a_length_is_a_kernel(tmp_path):
    """Weight normalization; the table has what results, the file's count is torch's."""
    shapes = {"x": (1, 3, 8, 8), "v": (6, 3, 3, 3), "g": (6, 1, 1, 1), "w": (6, 3, 3, 3)}
    shapes |= {"y": (1, 6, 6, 6)}
    calls = [
        ("_weight_norm.default", {"v": "v", "g": "g", "dim": 0}, "w"),
        ("conv2d.default", {"input": "x", "weight": "w"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y", ("v", "g"))
    assert not model.unknown
    assert model.graph.nodes[1].layer.macs == 6 * 6 * 6 * 3 * 3 * 3
    assert model.params == 6 * 3 * 3 * 3 + 6


def test_norms_without_factors_and_offsets_have_none(tmp_path):
    maps = dict.fromkeys(("x", "g", "i", "y"), (1, 4, 6, 6))
    calls = [
        ("group_norm.default", {"input": "x", "num_groups": 2}, "g"),
        ("instance_norm.default", {"input": "g"}, "i"),
        ("_native_batch_norm_legit.no_stats", {"input": "i", "training": True}, "y"),
    ]
    model = program(tmp_path / "net.pt2", maps, calls, "y")
    assert kinds(model) == ["group_norm", "instance_norm", "instance_norm"]
    assert archspec.report(model).totals.params == 0


def test_a_softmax_that_gives_zeros_where_all_is_masked_is_a_softmax(tmp_path):
    """As torch writes attention out; no finite score is minus infinity."""
    scores = dict.fromkeys(["x", "m", "n", "a", "o", "z", "s", "y"], (1, 2, 5, 5))
    calls = [
        ("softmax.int", {"self": "x", "dim": -1}, "s"),
        ("eq.Scalar", {"self": "x", "other": float("-inf")}, "m"),
        ("logical_not.default", {"self": "m"}, "n"),
        ("any.dim", {"self": "n", "dim": -1}, "a"),
        ("logical_not.default", {"self": "a"}, "o"),
        ("full_like.default", {"self": "s", "fill_value": 0.0}, "z"),
        ("where.self", {"condition": "o", "self": "z", "other": "s"}, "y"),
    ]
    assert kinds(program(tmp_path / "net.pt2", scores, calls, "y")) == ["softmax"]


def test_a_convolution_of_a_learned_array_is_counted(tmp_path):
    """As the encodings of positions of XCiT and EdgeNeXt, which the network computes each time."""
    shapes = {"x": (1, 8, 6, 6), "p": (1, 4, 6, 6), "w": (8, 4, 1, 1), "c": (1, 8, 6, 6)}
    shapes |= {"y": (1, 8, 6, 6)}
    calls = [
        ("conv2d.default", {"input": "p", "weight": "w"}, "c"),
        ("add.Tensor", {"self": "x", "other": "c"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y", ("p", "w"))
    totals = archspec.report(model).totals
    assert kinds(model)[:2] == ["parameter", "convolution"]
    assert (totals.macs, totals.trainable) == (8 * 4 * 6 * 6, 8 * 4 + 4 * 6 * 6)


def test_a_matrix_times_the_input_is_a_product(tmp_path):
    """The mixing of places by a learned matrix that stands on the left."""
    shapes = {"x": (1, 5, 4), "w": (3, 5), "y": (1, 3, 4)}
    calls = [("matmul.default", {"self": "w", "other": "x"}, "y")]
    model = program(tmp_path / "net.pt2", shapes, calls, "y", ("w",))
    assert kinds(model) == ["parameter", "matmul"]
    assert archspec.report(model).totals.macs == 3 * 5 * 4


def test_a_whole_number_becomes_real_beside_a_real_one(tmp_path):
    """As a grid of places does, half a place of which is subtracted."""
    shapes = {**dict.fromkeys(("x", "y"), (1, 3, 4)), **dict.fromkeys(("i", "h"), (4,))}
    calls = [
        ("arange.default", {"end": 4}, "i"),
        ("sub.Tensor", {"self": "i", "other": 0.5}, "h"),
        ("add.Tensor", {"self": "x", "other": "h"}, "y"),
    ]
    model = program(tmp_path / "net.pt2", shapes, calls, "y")
    assert model.graph.nodes[-1].op.offset == (-0.5, 0.5, 1.5, 2.5)


def test_a_difference_with_a_factor_of_its_second_value_is_unknown(tmp_path):
    shapes = dict.fromkeys(("x", "y"), (1, 4, 6, 6))
    calls = [("rsub.Scalar", {"self": "x", "other": 1.0, "alpha": 2.0}, "y")]
    model = program(tmp_path / "net.pt2", shapes, calls, "y")
    assert [each.type for each in model.unknown] == ["rsub"]
