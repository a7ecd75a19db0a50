"""Caffe's networks: exact figures of the published ones, and each way of Caffe's that misleads."""

from pathlib import Path

import pytest
from support.models import assert_mistake, kinds, ops, shapes, total

import archspec
from archspec.errors import SpecError, UsageError
from archspec.imports import caffe
from archspec.imports.model import ImportedModel

FILES = Path(__file__).parent / "model_files" / "caffe"

INPUT = "input: 'data' input_shape { dim: 1 dim: 3 dim: 12 dim: 12 }\n"


@pytest.fixture
def read(tmp_path):
    """A function from the text of layers to the network that they are."""

    def read(text: str, inputs: str = INPUT) -> ImportedModel:
        path = tmp_path / "net.prototxt"
        path.write_text(inputs + text, encoding="utf-8")
        return caffe.read(path)

    return read


def layer(kind: str, name: str = "a", bottom: str = "data", more: str = "") -> str:
    bottoms = " ".join(f"bottom: '{each}'" for each in bottom.split())
    return f"layer {{ name: '{name}' type: '{kind}' {bottoms} top: '{name}' {more} }}\n"


@pytest.mark.parametrize(
    ("file", "network"),
    [
        ("lenet5", "lenet5"),
        ("alexnet", "alexnet_grouped"),
        ("caffenet", "alexnet_grouped"),
        ("vgg16", "vgg16"),
        ("googlenet", "googlenet"),
        ("googlenet_train_val", "googlenet_aux"),
        ("nin_imagenet", "nin_imagenet"),
        ("nin_cifar10", "nin_cifar10"),
        ("squeezenet_v1_0", "squeezenet_v1_0"),
        ("squeezenet_v1_1", "squeezenet_v1_1"),
    ],
)
def test_a_published_network_has_the_parameters_and_macs_of_archspecs_own(file, network):
    model = caffe.read(FILES / f"{file}.prototxt")
    graph = archspec.report(network).graph
    assert model.unknown == ()
    for what in ("params", "trainable", "macs"):
        assert total(model.graph, what) == total(graph, what), what


def test_resnet_50_is_the_papers_with_its_strides_on_the_first_1x1():
    """As archspec's spec is for Keras (3,857,973,248 MACs), but without that one's biases."""
    model = caffe.read(FILES / "resnet50.prototxt")
    assert total(model.graph, "trainable") == 25_557_032
    assert total(model.graph, "params") - total(model.graph, "trainable") == 53_120
    assert total(model.graph, "macs") == 3_857_973_248


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("alexnet", "conv1 55x55x96, pool1 27x27x96, pool2 13x13x256, pool5 6x6x256"),
        ("googlenet", "pool1/3x3_s2 56x56x64, pool2/3x3_s2 28x28x192, pool3/3x3_s2 14x14x480, "
         "pool4/3x3_s2 7x7x832, pool5/7x7_s1 1x1x1024"),
        ("nin_imagenet", "pool1 27x27x96, pool2 13x13x256, pool3 6x6x384"),
        ("nin_cifar10", "pool1 16x16x96, pool2 8x8x192"),
        ("squeezenet_v1_0", "pool1 55x55x96, pool4 27x27x256, pool8 13x13x512"),
        ("resnet50", "pool1 56x56x64, res2c 56x56x256, res5c 7x7x2048, pool5 1x1x2048"),
        ("vgg16", "pool5 7x7x512"),
    ],
)  # fmt: skip
def test_pools_round_up_as_caffe_does(file, expected):
    found = shapes(caffe.read(FILES / f"{file}.prototxt"))
    for pair in expected.split(", "):
        name, shape = pair.split()
        assert found[name] == shape


@pytest.mark.parametrize(
    ("window", "extent"),
    [
        ("kernel_size: 3 stride: 2", 6),  # (12 - 3) / 2 = 4.5, rounded up, and one
        ("kernel_size: 3 stride: 2 round_mode: FLOOR", 5),
        # The last window of these would begin in the padding after the input: Caffe drops it.
        ("kernel_size: 2 stride: 2 pad: 1", 7),
        ("kernel_size: 3 stride: 3 pad: 1", 5),
        ("kernel_size: 4 stride: 4 pad: 2", 4),
        ("kernel_h: 3 kernel_w: 3 stride_h: 2 stride_w: 2", 6),
    ],
)
def test_a_pools_last_window_hangs_over_but_begins_inside(read, window, extent):
    model = read(layer("Pooling", more=f"pooling_param {{ pool: MAX {window} }}"))
    assert shapes(model)["a"] == f"{extent}x{extent}x3"


def test_an_average_counts_the_padding_but_not_what_hangs_over(read):
    more = "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"
    model = read(layer("Pooling", more=more))
    op = ops(model)["a"]
    assert (op.kind, op.count_padding, op.ceil) == ("avg_pool", True, True)
    assert shapes(model)["a"] == "7x7x3"


def test_a_file_for_training_has_losses_as_outputs_and_no_accuracy():
    model = caffe.read(FILES / "googlenet_train_val.prototxt")
    assert "phase TRAIN" in model.format
    assert list(model.graph.outputs) == ["output", "loss2/loss", "loss1/loss"]
    assert str(model.graph.input) == "224x224x3"
    assert not any("top-1" in node.name for node in model.graph.nodes)


def test_layers_in_place_follow_each_other(read):
    conv = "convolution_param { num_output: 4 kernel_size: 1 }"
    text = layer("Convolution", "c", more=conv)
    text += "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' }\n"
    text += layer("TanH", "t", "c")
    assert [node.name for node in read(text).graph.nodes] == ["data", "c", "r", "t"]


def test_a_batch_norms_factor_and_offset_are_the_scale_after_it(read):
    text = layer("BatchNorm", "bn", more="batch_norm_param { eps: 1e-4 }")
    text += layer("Scale", "scale", "bn", "scale_param { bias_term: true }")
    model = read(text)
    assert list(shapes(model)) == ["data", "bn"]
    assert [weight.name for weight in model.graph.nodes[1].layer.weights] == [
        "gamma", "beta", "moving_mean", "moving_variance"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scale", "weights"),
    [
        ("", ["moving_mean", "moving_variance"]),
        ("Scale", ["gamma", "moving_mean", "moving_variance"]),
    ],
)
def test_a_batch_norm_alone_learns_nothing(read, scale, weights):
    text = layer("BatchNorm", "bn") + (layer(scale, "s", "bn") if scale else "")
    assert [weight.name for weight in read(text).graph.nodes[1].layer.weights] == weights


def test_a_scale_that_is_not_the_only_reader_of_a_batch_norm_stays(read):
    text = layer("BatchNorm", "bn") + layer("Scale", "s", "bn")
    text += layer("Eltwise", "sum", "bn s")
    assert kinds(read(text)) == ["batch_norm", "scale", "add"]


def test_a_convolution_of_one_channel_a_group_is_depthwise(read):
    text = layer("Convolution", more="convolution_param { num_output: 6 kernel_size: 3 group: 3 }")
    op = ops(read(text))["a"]
    assert (op.kind, op.multiplier) == ("depthwise_convolution", 2)


def test_coefficients_of_a_sum_are_factors_before_it(read):
    text = layer("ReLU", "r") + layer("Eltwise", "d", "data r", "eltwise_param { coeff: 1 %s }")
    assert ops(read(text % "coeff: -1"))["d"].kind == "subtract"
    assert kinds(read(text % "coeff: 0.5")) == ["activation", "rescale", "add"]


def test_a_gate_multiplies_the_channels(read):
    text = layer("Pooling", "p", more="pooling_param { pool: AVE global_pooling: true }")
    text += layer("InnerProduct", "g", "p", "inner_product_param { num_output: 3 }")
    text += layer("Scale", "s", "data g", "scale_param { axis: 0 }")
    assert shapes(read(text))["s"] == "12x12x3"


def test_a_slice_has_a_part_for_each_top(read):
    text = "layer { name: 's' type: 'Slice' bottom: 'data' top: 'x' top: 'y' "
    text += "slice_param { slice_point: 1 } }\n" + layer("Concat", "c", "y x")
    assert [str(node.shape) for node in read(text).graph.nodes] == [
        "12x12x3", "12x12x1", "12x12x2", "12x12x3"
    ]  # fmt: skip


def test_ssds_heads_are_flattened_in_caffes_order_without_moving_anything(read):
    """Permute puts the channels last, as they are here; so values keep their order."""
    text = layer("Convolution", "conf", more="convolution_param { num_output: 6 kernel_size: 3 }")
    text += layer("Permute", "last", "conf", "permute_param { order: [0, 2, 3, 1] }")
    text += layer("Flatten", "flat", "last") + layer("PriorBox", "priors", "conf data")
    text += layer("Concat", "all", "flat flat") + layer("Concat", "boxes", "priors priors")
    text += layer("Reshape", "rows", "all", "reshape_param { shape { dim: [0, -1, 3] } }")
    text += layer("Softmax", "share", "rows", "softmax_param { axis: 2 }")
    text += layer("Flatten", "classes", "share", "flatten_param { axis: 1 }")
    model = read(text + layer("DetectionOutput", "out", "all classes boxes"))
    assert list(shapes(model).items())[2:] == [
        ("flat", "600"),
        ("all", "1200"),
        ("rows", "400x3"),
        ("share", "400x3"),
        ("classes", "1200"),
    ]
    assert {node.op.kind for node in model.graph.nodes} & {"permute", "unknown"} == set()
    nodes = model.graph.nodes
    assert [nodes[index].name for index in model.graph.outputs.values()] == ["classes", "all"]


def test_maps_that_are_reshaped_stand_in_caffes_order_first(read):
    """As the scores of a region proposal network, whose softmax takes two of them."""
    text = layer("Reshape", "pairs", more="reshape_param { shape { dim: [0, -1, 6, 0] } }")
    text += layer("Softmax", "share", "pairs", "softmax_param { axis: 1 }")
    text += layer("Reshape", "back", "share", "reshape_param { shape { dim: [0, 3, 12, 12] } }")
    more = "convolution_param { num_output: 4 kernel_size: 1 }"
    model = read(text + layer("Convolution", "c", "back", more))
    assert list(shapes(model).items())[1:] == [
        ("pairs_permute", "3x12x12"),
        ("pairs", "6x6x12"),
        ("share", "6x6x12"),
        ("back", "3x12x12"),
        ("c_permute", "12x12x3"),
        ("c", "12x12x4"),
    ]
    assert ops(model)["share"].axis == "height"


def test_a_norm_of_ssd_is_a_length_of_1_and_learned_factors(read):
    each = "norm_param { across_spatial: false channel_shared: false }"
    assert kinds(read(layer("Normalize", more=each))) == ["unit_norm", "scale"]
    shared = read(layer("Normalize", more="norm_param { across_spatial: false }"))
    assert kinds(shared) == ["unit_norm", "parameter"]
    assert (shared.params, ops(shared)["a"].use) == (1, "multiply")


def test_values_go_back_to_where_segnets_pool_found_them(read):
    pool = layer("Pooling", "p", more="top: 'mask' pooling_param { kernel_size: 2 stride: 2 }")
    model = read(pool + layer("Upsample", "u", "p mask", "upsample_param { scale: 2 }"))
    assert ops(model)["u"].kind == "max_unpool"
    assert shapes(model)["u"] == "12x12x3"
    larger = read(pool.replace("size: 2", "size: 5") + layer("Upsample", "u", "p mask"))
    assert [each.name for each in larger.unknown] == ["u"]
    assert shapes(larger)["u"] == "12x12x3"  # as large as what was pooled


def test_what_follows_a_pool_of_regions_is_known(read):
    """As the classifier of Faster R-CNN, after Python code that proposes the regions."""
    text = layer("Python", "rois", "data") + layer(
        "ROIPooling", "pool", "data rois", "roi_pooling_param { pooled_w: 7 pooled_h: 7 }"
    )
    model = read(text + layer("InnerProduct", "f", "pool", "inner_product_param { num_output: 5 }"))
    assert [each.type for each in model.unknown] == ["Python", "ROIPooling"]
    assert model.graph.nodes[-1].layer.params == 7 * 7 * 3 * 5 + 5


@pytest.mark.parametrize(
    ("argument", "shape"),
    [("height: 24 width: 36", "24x36x3"), ("zoom_factor: 8", "89x89x3"),
     ("shrink_factor: 2", "6x6x3")],
)  # fmt: skip
def test_interp_counts_the_gaps_between_places(read, argument, shape):
    model = read(layer("Interp", more=f"interp_param {{ {argument} }}"))
    assert shapes(model)["a"] == shape


def test_a_pyramid_of_pools_has_1_4_and_16_places_at_any_size(read):
    model = read(layer("SPP", more="spp_param { pyramid_height: 3 }"))
    assert shapes(model)["a"] == str(3 * (1 + 4 + 16))


def test_weights_of_one_name_are_shared(read):
    """As in a siamese network: the second convolution has the first one's kernel and bias."""
    more = (
        "param { name: 'w' } param { name: 'b' } convolution_param { num_output: 3 kernel_size: 1 }"
    )
    model = read(
        layer("Convolution", "first", more=more) + layer("Convolution", "p", "first", more)
    )
    assert [node.layer.params for node in model.graph.nodes] == [0, 12, 0]
    assert model.graph.nodes[2].layer.owner == "first"
    assert model.params == 12


def test_a_weight_of_one_name_counts_once_for_caffe_and_a_note_says_where_it_stands_twice(read):
    """As of siamese networks whose products share the kernel alone: each has a bias of its own."""
    param = "param { name: 'w' } inner_product_param { num_output: 5 }"
    model = read(layer("InnerProduct", "a", more=param) + layer("InnerProduct", "b", more=param))
    kernel = 12 * 12 * 3 * 5
    assert model.params == kernel + 5 + 5
    assert total(model.graph, "params") == 2 * (kernel + 5)
    assert (
        f"Layer b has {kernel:,} numbers in common with a (tied weights): they count in both."
        in model.notes
    )


def test_norms_of_one_name_are_shared(read):
    named = "".join(f"param {{ name: '{each}' lr_mult: 0 }}" for each in ("mean", "var", "factor"))
    model = read(layer("BatchNorm", "a", more=named) + layer("BatchNorm", "b", more=named))
    assert (total(model.graph, "params"), model.params) == (6, 7)


def test_a_layer_with_other_arguments_does_not_take_those_of_the_one_that_it_shares_with(read):
    def convolution(name, stride):
        more = f"convolution_param {{ num_output: 4 kernel_size: 3 bias_term: false {stride} }}"
        return layer("Convolution", name, more="param { name: 'w' } " + more)

    model = read(convolution("a", "") + convolution("b", "stride: 2"))
    assert (shapes(model)["a"], shapes(model)["b"]) == ("10x10x4", "5x5x4")
    assert model.params == 4 * 27


def test_offsets_without_factors_are_a_parameter(read):
    words = "input: 'data' input_shape { dim: 1 dim: 7 }\n"
    embed = layer("Embed", more="embed_param { input_dim: 10 num_output: 4 }")
    assert read(embed, words).params == 10 * 4 + 4
    bias = read(layer("Bias"))
    assert (bias.params, ops(bias)["a"].kind) == (3, "parameter")


def test_a_recurrence_is_unknown_and_has_the_shape_and_the_weights_that_caffe_gives_it(read):
    """The second input says where sequences begin: no label, though a data layer makes it."""
    inputs = layer("Input", "data", "", "top: 'cont' input_param { shape { dim: 9 dim: 1 dim: 6 } "
                   "shape { dim: 9 dim: 1 } }")  # fmt: skip
    text = layer("LSTM", "a", "data cont", "recurrent_param { num_output: 4 }")
    text += layer("InnerProduct", "b", "a", "inner_product_param { num_output: 2 axis: 2 }")
    model = read(text, inputs)
    assert [each.type for each in model.unknown] == ["LSTM"]
    assert (shapes(model)["b"], model.params) == ("1x2", 4 * 4 * (6 + 4 + 1) + 2 * 4 + 2)


def test_a_layer_that_learns_nothing_leaves_the_parameters_known(read):
    text = layer("Convolution", "a", more="convolution_param { num_output: 4 kernel_size: 3 }")
    model = read(text + layer("ArgMax", "b", "a", "argmax_param { axis: 1 }"))
    assert (model.params, shapes(model)["b"]) == (4 * 27 + 4, "10x10x1")


def test_rates_of_zero_keep_weights_from_training(read):
    conv = "convolution_param { num_output: 4 kernel_size: 1 }"
    text = layer(
        "Convolution", "frozen", more=f"param {{ lr_mult: 0 }} param {{ lr_mult: 0 }} {conv}"
    )
    text += layer(
        "Convolution", "free", "frozen", f"param {{ lr_mult: 0 }} param {{ lr_mult: 2 }} {conv}"
    )
    assert [node.layer.trainable for node in read(text).graph.nodes] == [0, 0, 20]


def test_a_layer_archspec_does_not_know_is_named_and_what_follows_is_unknown(read):
    text = layer("Python", "proposals") + layer("ReLU", "r", "proposals")
    model = read(text)
    assert [(each.name, each.type) for each in model.unknown] == [
        ("proposals", "Python"),
        ("r", "ReLU"),
    ]


def test_maps_that_do_not_fit_into_a_concat_are_unknown_and_so_is_what_follows(read):
    text = layer("Pooling", "half", more="pooling_param { kernel_size: 2 stride: 2 }")
    text += layer("Concat", "both", "data half")
    text += layer("Convolution", "c", "both", "convolution_param { num_output: 6 kernel_size: 3 }")
    model = read(text)
    assert [each.name for each in model.unknown] == ["both", "c"]
    assert "12x12" in model.unknown[0].reason


def test_a_data_layer_without_a_crop_leaves_the_inputs_shape_open(read):
    data = "layer { name: 'd' type: 'Data' top: 'data' top: 'label' data_param { source: 'x' } }\n"
    model = read(data + layer("ReLU", "r"), inputs="")
    assert model.unknown[0].reason
    assert any("shape" in note or "does not say" in note for note in model.notes)


def test_the_shape_that_a_file_lacks_can_be_given(tmp_path):
    path = tmp_path / "train_test.prototxt"
    data = "layer { name: 'd' type: 'Data' top: 'data' top: 'label' data_param { source: 'x' } }\n"
    path.write_text(data + layer("ReLU", "r"), encoding="utf-8")
    assert str(archspec.load(path, input=[28, 28, 1]).graph.output) == "28x28x1"
    with pytest.raises(UsageError, match="`input` must be a list of whole numbers"):
        archspec.load(path, input=[-1, 2])
    with pytest.raises(UsageError, match="no variable `classes` to set: it takes `input`"):
        archspec.load(path, classes=3)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("layer { name: 'a' type: 'ReLU'\n  bottom: 'b' top: 'a' }", "reads `b`", 2),
        ("layer { name: 'a'\n", "the text ends inside a message that begins on line 2", 3),
        ("layer {\n  name 'a'\n}", "expected `:` after `name`", 3),
        ("layer { name: 'a' bottom: 'data' top: 'a' type: 'Convolution'\n"
         "convolution_param { num_output: 0 kernel_size: 1 } }", "`filters`", 2),
        ("layer { name: 'a' bottom: 'data' top: 'a' type: 'Convolution'\n"
         "convolution_param { num_output: many kernel_size: 1 } }", "must be a whole number", 3),
        ("layers { layer { name: 'a' type: 'relu' } bottom: 'data' top: 'a' }", "first syntax", 2),
        ("a: {" * 40, "inside each other", 2),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_at_its_line(read, text, message, line):
    assert_mistake(read, text, message, line)


def test_the_text_format_allows_what_people_write():
    from archspec.imports.prototext import parse

    message = parse(
        "# a comment\na: 1 b: -0x10; c: \"x\" 'y' # more\nd < e: TRUE, > f: [1, 2, 3] g: 1.5f "
        "h: -inf i { }"
    )
    assert message.integer("a") == 1
    assert message.integer("b") == -16
    assert message.word("c") == "xy"
    assert message.message("d").word("e") == "TRUE"
    assert message.integers("f") == [1, 2, 3]
    assert message.real("g") == 1.5
    assert message.real("h") == float("-inf")


def test_a_text_of_megabytes_takes_no_more_memory_than_a_few_of_its_size(read):
    """Python's patterns may keep a place for every character that they could go back to."""
    import tracemalloc

    tracemalloc.start()
    try:
        with pytest.raises(SpecError, match="holds no layers"):
            read("a: '" + "x" * 4_000_000 + "'", inputs="")
        assert tracemalloc.get_traced_memory()[1] < 80_000_000
    finally:
        tracemalloc.stop()


def test_python_code_that_reads_nothing_is_a_data_layer(tmp_path):
    """Its size is not in the file, but can be given."""
    data = "layer { name: 'data' type: 'Python' top: 'data' top: 'label' }\n"
    path = tmp_path / "net.prototxt"
    path.write_text(
        data + layer("Convolution", more="convolution_param { num_output: 2 kernel_size: 1 }")
    )
    assert [each.type for each in archspec.load(path).unknown] == ["Convolution"]
    model = archspec.load(path, input=[8, 8, 3])
    assert [str(node.shape) for node in model.graph.nodes] == ["8x8x3", "8x8x2"]
