"""Darknet's networks: exact figures of the published ones, and each way that misleads."""

import struct
from pathlib import Path

import numpy as np
import pytest
from support.models import assert_mistake, kinds, shapes, total

import archspec
from archspec.errors import SpecError, UsageError
from archspec.imports import darknet
from archspec.imports.model import ImportedModel

FILES = Path(__file__).parent / "model_files" / "darknet"

NET = "[net]\nheight=12\nwidth=12\nchannels=3\n"


@pytest.fixture
def read(tmp_path):
    """A function from the text of sections to the network that they are."""

    def read(text: str, net: str = NET, **arguments: object) -> ImportedModel:
        path = tmp_path / "net.cfg"
        path.write_text(net + text, encoding="utf-8")
        return darknet.read(path, **arguments)

    return read


@pytest.mark.parametrize("name", ["yolov3", "yolov3_tiny"])
def test_yolo_has_the_figures_of_archspecs_own(name):
    """62,001,757 and 8,858,734 parameters: as many as the published .weights hold."""
    model = darknet.read(FILES / f"{name}.cfg")
    graph = archspec.report(name).graph
    assert model.unknown == ()
    for what in ("params", "trainable", "macs"):
        assert total(model.graph, what) == total(graph, what), what
    ends = [str(model.graph.nodes[index].shape) for index in model.graph.outputs.values()]
    assert sorted(ends) == sorted(str(graph.nodes[index].shape) for index in graph.outputs.values())


@pytest.mark.parametrize(
    ("name", "kernels", "trainable"), [("darknet19", 19, 20_842_376), ("darknet53", 53, 41_609_928)]
)
def test_a_classifier_has_as_many_convolutions_as_its_name_says(name, kernels, trainable):
    model = darknet.read(FILES / f"{name}.cfg")
    assert total(model.graph, "kernels") == kernels
    assert total(model.graph, "trainable") == trainable
    assert str(model.graph.output) == "1x1x1000"


@pytest.mark.parametrize(
    ("options", "extent"),
    [
        ("size=3 pad=1", 12),
        ("size=3 padding=1", 12),
        ("size=5 pad=1 padding=0", 12),  # `pad` wins: half of the size
        ("size=5 padding=1", 10),
        ("size=3", 10),
        ("size=3 stride=2 pad=1", 6),
        ("size=3 pad=1 dilation=2", 12),
    ],
)
def test_pad_means_half_the_kernel(read, options, extent):
    section = "[convolutional]\nfilters=4\nactivation=linear\n" + options.replace(" ", "\n")
    assert shapes(read(section))["conv0"] == f"{extent}x{extent}x4"


@pytest.mark.parametrize(
    ("options", "height", "padding", "extent"),
    [
        ("size=2 stride=2", 12, "valid", 6),
        ("size=2 stride=2", 13, "same", 7),  # 7 windows, the last with a row after the input
        ("size=2 stride=1", 13, "same", 13),
        ("size=5 stride=1", 13, "same", 13),
        ("size=3 stride=2", 12, ((1, 0), (1, 0)), 6),  # Darknet pads before, `same` pads after
        ("size=2 stride=2 padding=0", 13, "valid", 6),
        ("stride=2", 13, "same", 7),
    ],
)
def test_a_max_pools_padding_is_by_default_one_less_than_its_size(
    read, options, height, padding, extent
):
    net = f"[net]\nheight={height}\nwidth={height}\nchannels=3\n"
    node = read("[maxpool]\n" + options.replace(" ", "\n"), net=net).graph.nodes[-1]
    assert node.op.padding == padding
    assert node.shape[0] == extent


def test_route_joins_layers_counted_back_or_by_their_number(read):
    text = "[convolutional]\nfilters=4\n[maxpool]\nsize=1\n[convolutional]\nfilters=8\n"
    model = read(text + "[route]\nlayers=-1, 0\n")
    assert shapes(model)["route3"] == "12x12x12"
    (last,) = [node for node in model.graph.nodes if node.name == "route3"]
    assert [model.graph.nodes[i].name for i in last.inputs] == [
        "conv2_activation",
        "conv0_activation",
    ]


def test_route_takes_a_group_of_channels(read):
    text = "[convolutional]\nfilters=8\n[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
    op = read(text).graph.nodes[-1].op
    assert (op.kind, op.start, op.stop) == ("slice", 4, 8)


def test_a_shortcut_has_an_activation_of_its_own(read):
    text = "[convolutional]\nfilters=3\nactivation=linear\n[convolutional]\nfilters=3\n"
    model = read(text + "activation=linear\n[shortcut]\nfrom=-2\nactivation=leaky\n")
    assert [node.name for node in model.graph.nodes[-2:]] == ["shortcut2", "shortcut2_activation"]
    assert model.graph.nodes[-1].op.function.slope == 0.1


def test_a_shortcut_of_fewer_channels_gets_zeros(read):
    text = "[convolutional]\nfilters=3\n[convolutional]\nfilters=8\n[shortcut]\nfrom=-2\n"
    model = read(text)
    assert kinds(model)[-2:] == ["pad_channels", "add"]


def test_a_shortcut_of_larger_maps_takes_every_second_place(read):
    """As where the stages of Darknet's ResNets meet, which project nothing."""
    text = "[convolutional]\nfilters=3\n[convolutional]\nfilters=8\nsize=3\nstride=2\npad=1\n"
    model = read(text + "[shortcut]\nfrom=-2\nactivation=leaky\n")
    assert not model.unknown
    assert list(shapes(model).items())[-4:] == [
        ("shortcut2_from1_places", "6x6x3"),
        ("shortcut2_from1", "6x6x8"),
        ("shortcut2", "6x6x8"),
        ("shortcut2_activation", "6x6x8"),
    ]


def test_a_convolution_without_an_activation_has_darknets_default(read):
    model = read("[convolutional]\nfilters=4\n")
    assert model.graph.nodes[-1].op.function == "sigmoid"


def test_blanks_stand_anywhere_and_what_follows_the_digits_is_passed_over(read):
    text = " [ convolutional ]\n# filters=9\n; size=9\n filters = 4.0 \n\n size= 3 # three\n"
    assert shapes(read(text))["conv0"] == "10x10x4"
    with pytest.raises(SpecError, match="whole number"):
        read("[convolutional]\nfilters=four\n")


def test_a_crop_that_cuts_nothing_is_no_layer(read):
    """As in YOLO v1, whose images are as large as its crop."""
    assert [*shapes(read("[crop]\ncrop_height=12\ncrop_width=12\n[avgpool]\n"))] == [
        "input",
        "avg1",
    ]


def test_a_crop_cuts_the_middle_out(read):
    assert shapes(read("[crop]\ncrop_height=10\ncrop_width=9\n"))["crop0"] == "10x9x3"


def test_a_layer_that_is_not_known_has_its_shape_and_its_weights(read):
    """Darknet says both, whatever the values are: only what a step of it costs is unknown."""
    maps = (
        "[convolutional]\nfilters=8\nbatch_normalize=1\nsize=3\nstride=2\npad=1\nantialiasing=1\n"
    )
    blurred = read(maps).graph.nodes[1]
    assert (str(blurred.shape), blurred.layer.params) == ("6x6x8", 27 * 8 + 4 * 8)
    for section, shape, params in (
        ("[gru]\noutput=8\n", "8", 3 * ((5 + 8) * 8 + 2 * 8)),
        ("[lstm]\noutput=8\nbatch_normalize=1\n", "8", 4 * ((5 + 8) * 8 + 2 * 4 * 8)),
        ("[rnn]\noutput=8\nhidden=4\n", "8", 5 * 4 + 4 * 4 + 4 * 8 + 4 + 4 + 8),
    ):
        node = read(section, "[net]\ninputs=5\n").graph.nodes[1]
        assert (str(node.shape), node.layer.params) == (shape, params)
    node = read("[crnn]\noutput=8\nhidden=4\n").graph.nodes[1]
    assert (str(node.shape), node.layer.params) == (
        "12x12x8",
        9 * (3 * 4 + 4 * 4 + 4 * 8) + 4 + 4 + 8,
    )


def test_a_local_layer_with_pad_has_a_padding_of_one(read):
    model = read("[local]\nfilters=2\nsize=3\npad=1\n")
    assert shapes(model)["local0"] == "12x12x2"
    assert total(model.graph, "params") == 144 * (27 * 2 + 2)
    (unknown,) = read("[local]\nfilters=2\nsize=5\npad=1\n").unknown
    assert unknown.reason == "its windows lie over the edge"


@pytest.mark.parametrize(
    "option", ["antialiasing=1", "share_index=0"], ids=lambda option: option.partition("=")[0]
)
def test_an_option_that_changes_the_costs_makes_a_layer_unknown(read, option):
    model = read(f"[convolutional]\nsize=3\npad=1\nfilters=3\n[convolutional]\nsize=3\n{option}\n")
    assert model.unknown[0].name == "conv1"


def test_what_follows_a_recurrent_layer_has_a_shape(read):
    model = read(
        "[rnn]\noutput=8\nhidden=4\n[connected]\noutput=2\nactivation=linear\n", "[net]\ninputs=5\n"
    )
    assert shapes(model) == {"input": "5", "rnn0": "8", "connected1": "2"}


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("[convolutional]\nfilters 4\n", "expected a section", 6),
        ("[route]\nlayers=3\n", "reads layer 3", 5),
        ("[shortcut]\n", "needs `from`", 5),
        ("[convolutional]\nfilters=0\n", "`filters`", 5),
    ],
)
def test_a_mistake_is_shown_at_its_line(read, text, message, line):
    assert_mistake(read, text, message, line)


def test_a_section_archspec_does_not_know_is_named(read):
    model = read("[convolutional]\nfilters=4\n[warp]\noutput=4\n[maxpool]\n")
    assert [(each.name, each.type) for each in model.unknown] == [
        ("warp1", "warp"),
        ("max2", "maxpool"),
    ]


@pytest.mark.parametrize(
    "seen", [struct.pack("<iiii", 0, 1, 0, 7), struct.pack("<iiiq", 0, 2, 0, 7)]
)
def test_weights_are_read_from_the_file_that_is_named(read, tmp_path, seen):
    """Beta, gamma, mean, variance, then the kernel by filters; a header of 16 or of 20 bytes."""
    kernel = np.arange(2 * 3 * 3 * 3, dtype="<f4")
    rows = np.arange(5 * 2, dtype="<f4")
    norm = [np.full(2, number, "<f4") for number in (10, 20, 30, 40)]
    stored = np.concatenate([*norm, kernel, np.full(5, 50, "<f4"), rows])
    path = tmp_path / "net.weights"
    path.write_bytes(seen + stored.tobytes())
    text = (
        "[convolutional]\nbatch_normalize=1\nfilters=2\nsize=3\n[avgpool]\n[connected]\noutput=5\n"
    )
    read(text)
    model = archspec.load(tmp_path / "net.cfg", weights=path)
    assert model.graph.nodes[-1].name == "connected2_activation"
    arrays = model.weights()
    assert arrays["conv0"][0].shape == (3, 3, 3, 2)
    assert arrays["conv0"][0][1, 2, 0, 1] == kernel.reshape(2, 3, 3, 3)[1, 0, 1, 2]
    assert [array[0] for array in arrays["conv0_norm"]] == [20, 10, 30, 40]
    assert arrays["connected2"][0][1, 3] == rows.reshape(5, 2)[3, 1]
    assert arrays["connected2"][1].tolist() == [50] * 5


@pytest.mark.parametrize("change", [-4, 4])
def test_weights_of_another_network_are_refused(read, tmp_path, change):
    path = tmp_path / "net.weights"
    path.write_bytes(struct.pack("<iiiq", 0, 2, 0, 7) + b"\0" * (4 * 16 + change))
    model = read("[convolutional]\nfilters=4\n", weights=path)
    with pytest.raises(UsageError, match="does not belong to this network"):
        model.weights()


def test_yolors_implicit_vectors_are_added_to_maps_and_multiply_them(read):
    """Each is a section of its own, which the sections that use it name by its number."""
    maps = "[convolutional]\nfilters=4\nsize=1\nactivation=silu\n"
    text = maps + "[implicit_add]\nfilters=4\n[implicit_mul]\nfilters=4\n[route]\nlayers=0\n"
    model = read(text + "[shift_channels]\nfrom=1\n[control_channels]\nfrom=2\n[silence]\n")
    assert model.unknown == ()
    assert [(node.op.kind, str(node.shape)) for node in model.graph.nodes[2:]] == [
        ("activation", "12x12x4"),
        ("parameter", "1x1x4"),
        ("parameter", "1x1x4"),
        ("add", "12x12x4"),
        ("multiply", "12x12x4"),
    ]
    assert total(model.graph, "params") == 4 * 3 + 4 + 4 + 4
