"""Makes the small ONNX and .pt2 files of `tests/model_files/onnx`, with pinned exporters.

Each part needs its own environment:

    pip install torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 keras==3.15.1 jax==0.10.2 \
        jax2onnx==0.17.1 && python make_onnx.py torch && python make_onnx.py keras-torch \
        && python make_onnx.py keras-jax
    pip install tensorflow==2.21.0 keras==3.15.1 tf2onnx==1.17.0 && python make_onnx.py keras-tf
    pip install onnx==1.23.2 && python make_onnx.py written

Weights are random and small; the seed is fixed, so the files have the same structure each time.
"""

import os
import sys
import warnings
from pathlib import Path

FOLDER = Path(__file__).parent / "onnx"


def _torch_models():
    import torch
    from torch import nn

    class Net(nn.Module):
        """A bit of everything that a convolutional network has."""

        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(8)
            self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
            self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
            self.grouped = nn.Conv2d(8, 8, (1, 3), padding=(0, 1), groups=2)
            self.squeeze = nn.Conv2d(8, 2, 1)
            self.excite = nn.Conv2d(2, 8, 1)
            self.act = nn.Hardswish()
            self.fc = nn.Linear(8, 5)

        def forward(self, x):
            x = torch.relu(self.bn1(self.conv1(x)))
            x = self.pool(x)
            y = self.grouped(nn.functional.silu(self.depthwise(x)))
            gate = torch.relu(self.squeeze(y.mean((2, 3), keepdim=True)))
            y = y * nn.functional.hardsigmoid(self.excite(gate))
            x = self.act(x + y)
            x = torch.cat([x[:, :4], x.chunk(2, 1)[1]], 1)
            return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))

    class Maps(nn.Module):
        """Flattens maps of more than one place: the order of the values matters."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)
            self.fc1 = nn.Linear(4 * 3 * 5, 6)
            self.up = nn.ConvTranspose2d(6, 3, 3, stride=2, padding=1, output_padding=1)

        def forward(self, x):
            x = torch.relu(self.fc1(torch.flatten(self.conv(x), 1)))
            x = self.up(x.view(-1, 6, 1, 1))
            return nn.functional.interpolate(x, scale_factor=2, mode="nearest")

    class Attention(nn.Module):
        """Patches, a class token, positions, and an encoder of one layer."""

        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 4, 4)
            self.token = nn.Parameter(torch.randn(1, 1, 8))
            self.positions = nn.Parameter(torch.randn(1, 5, 8))
            self.encoder = nn.TransformerEncoderLayer(
                8, 2, 16, activation="gelu", batch_first=True, norm_first=True
            )
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
            return self.head(self.encoder(x)[:, 0])

    class Shuffle(nn.Module):
        """ShuffleNet's shuffle, a group norm, a pixel shuffle."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 1)
            self.norm = nn.GroupNorm(2, 8)

        def forward(self, x):
            x = self.norm(self.conv(x))
            n, c, h, w = x.shape
            x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            return nn.functional.pixel_shuffle(x, 2)

    class Sequence(nn.Module):
        """A bidirectional LSTM between convolutions of a sequence and a classifier."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 6, 3, padding=1)
            self.lstm = nn.LSTM(6, 5, bidirectional=True, batch_first=True)
            self.fc = nn.Linear(10, 3)

        def forward(self, x):
            x = torch.relu(self.conv(x)).transpose(1, 2)
            return self.fc(self.lstm(x)[0])

    class Gru(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(6, 5)
            self.fc = nn.Linear(5, 3)

        def forward(self, x):
            return self.fc(self.gru(x)[0])

    class Idioms(nn.Module):
        """A gate that is expanded by hand, tokens in three parts, two names of one matrix."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 1)
            self.gate = nn.Linear(8, 8)
            self.token = nn.Parameter(torch.randn(1, 1, 8))
            self.qkv = nn.Linear(8, 24)
            self.proj = nn.Linear(8, 8, bias=False)
            self.again = nn.Linear(8, 8, bias=False)
            self.again.weight = self.proj.weight

        def forward(self, x):
            n = x.size(0)
            x = self.conv(x)
            gate = torch.sigmoid(self.gate(x.mean((2, 3)))).view(n, -1, 1, 1)
            x = (x * gate.expand_as(x)).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(n, -1, -1), x], 1)
            parts = self.qkv(x).reshape(n, 9, 3, 2, 4).permute(2, 0, 3, 1, 4)
            q, k, v = parts.unbind(0)
            x = (q @ k.transpose(-2, -1)).softmax(-1) @ v
            return self.again(self.proj(x.transpose(1, 2).reshape(n, 9, 8))).mean(1)

    class Positions(nn.Module):
        """Constants beside weights: positions of rows and columns, offsets and a mask of scores."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 1)
            self.rows = nn.Parameter(torch.randn(2, 1, 8))
            self.columns = nn.Parameter(torch.randn(1, 3, 8))
            self.qkv = nn.Linear(8, 24)
            self.table = nn.Parameter(torch.randn(3 * 5, 2))
            places = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij"))
            ways = places.flatten(1)[:, :, None] - places.flatten(1)[:, None, :]
            self.register_buffer("ways", (ways[0] + 1) * 5 + ways[1] + 2, persistent=False)
            self.register_buffer("mask", torch.full((6, 6), -100.0).triu(1))

        def forward(self, x):
            x = self.conv(x).flatten(2).transpose(1, 2)
            x = x + (self.rows + self.columns).reshape(1, 6, 8)
            q, k, v = self.qkv(x).reshape(-1, 6, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
            offsets = self.table[self.ways.view(-1)].view(6, 6, 2).permute(2, 0, 1)
            scores = q @ k.transpose(-2, -1) + offsets.unsqueeze(0)
            return ((scores + self.mask).softmax(-1) @ v).transpose(1, 2).reshape(-1, 6, 8)

    class Tied(nn.Module):
        """A table of words whose vectors are also the kernel that tells words apart."""

        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(7, 4)
            self.hidden = nn.Linear(4, 4)
            self.scores = nn.Linear(4, 7)
            self.scores.weight = self.words.weight

        def forward(self, x):
            return self.scores(torch.relu(self.hidden(self.words(x))))

    class Equal(nn.Module):
        """Norms and kernels of the same values, of which torch's exporters store one."""

        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4))
            self.second = nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4))
            self.third = nn.Conv2d(4, 4, 1)
            for kernel in (self.second[0].weight, self.third.weight):
                nn.init.zeros_(kernel)

        def forward(self, x):
            return self.third(self.second(self.first(x)))

    torch.manual_seed(0)
    models = {
        "net": (Net(), (1, 3, 22, 22)),
        "maps": (Maps(), (1, 1, 5, 7)),
        "attention": (Attention(), (1, 3, 8, 8)),
        "shuffle": (Shuffle(), (1, 3, 6, 6)),
        "sequence": (Sequence(), (1, 4, 9)),
        "gru": (Gru(), (7, 1, 6)),
        "idioms": (Idioms(), (1, 3, 2, 4)),
        "positions": (Positions(), (1, 3, 2, 3)),
        "equal": (Equal(), (1, 3, 5, 5)),
        "tied": (Tied(), (1, 5)),
    }
    for model, _ in models.values():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias)
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 1.5)
        model.eval()
    return models


def make_torch():
    import torch

    for name, (model, shape) in _torch_models().items():
        x = torch.zeros(shape, dtype=torch.int64 if name == "tied" else torch.float32)
        torch.onnx.export(model, (x,), FOLDER / f"torch_script_{name}.onnx", dynamo=False)
        dynamo = FOLDER / f"torch_dynamo_{name}.onnx"
        torch.onnx.export(model, (x,), dynamo, dynamo=True, verbose=False)
        torch.export.save(torch.export.export(model, (x,)), FOLDER / f"torch_{name}.pt2")
    model, shape = _torch_models()["net"]
    preserve = torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(
        model,
        (torch.zeros(shape),),
        FOLDER / "torch_script_unfolded.onnx",
        dynamo=False,
        training=preserve,
        do_constant_folding=False,
    )
    model, shape = _torch_models()["idioms"]
    torch.onnx.export(
        model,
        (torch.zeros(shape),),
        FOLDER / "torch_script_idioms.onnx",
        dynamo=False,
        input_names=["x"],
        dynamic_axes={"x": {0: "batch"}},
    )
    model, shape = _torch_models()["net"]
    open_ = {"x": {0: "batch", 2: "height", 3: "width"}}
    torch.onnx.export(
        model,
        (torch.zeros(shape),),
        FOLDER / "torch_script_open.onnx",
        dynamo=False,
        input_names=["x"],
        dynamic_axes=open_,
    )


def _keras_model():
    import keras
    import numpy as np
    from keras import layers

    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((22, 22, 3), name="image")
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.BatchNormalization(name="bn2")(y)
    y = layers.Activation("silu", name="silu")(y)
    x = layers.Add(name="sum")([x, y])
    x = layers.Concatenate(name="joined")(
        [x, layers.SeparableConv2D(4, 3, padding="same", name="sep")(x)]
    )
    x = layers.AveragePooling2D(2, name="pool2")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(6, activation="relu", name="fc1")(x)
    x = layers.Dropout(0.5)(x)
    outputs = layers.Dense(4, activation="softmax", name="fc2")(x)
    model = keras.Model(inputs, outputs, name="small")
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            shapes = [w.shape for w in layer.get_weights()]
            layer.set_weights([rng.uniform(0.5, 1.5, shape) for shape in shapes])
    model(np.zeros((1, 22, 22, 3), "float32"))
    return model


def _make_keras(name):
    _keras_model().export(FOLDER / f"keras_{name}.onnx", format="onnx", verbose=False)


def make_keras_tf():
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    from keras import layers

    _make_keras("tf")
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(8, 3, groups=2, name="grouped")(x)
    x = layers.LayerNormalization(name="norm")(x)
    outputs = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, outputs, name="odd")
    model(keras.ops.zeros((1, 8, 8, 4)))
    model.export(FOLDER / "keras_tf_grouped.onnx", format="onnx", verbose=False)
    x = inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(x)
    outputs = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, outputs, name="open")
    model(keras.ops.zeros((1, 8, 8, 3)))
    model.export(FOLDER / "keras_tf_open.onnx", format="onnx", verbose=False)


def make_keras_torch():
    os.environ["KERAS_BACKEND"] = "torch"
    _make_keras("torch")


def make_keras_jax():
    os.environ["KERAS_BACKEND"] = "jax"
    _make_keras("jax")


def make_written():
    """Write by hand what Paddle and Caffe2 write, and what is rarer."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)

    def array(name, *shape):
        return numpy_helper.from_array(rng.standard_normal(shape).astype("float32"), name)

    def constant(name, value):
        return helper.make_node("Constant", [], [name], value=value)

    def shape_of(name, *dims, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, dims)

    def save(name, nodes, inputs, outputs, initializer=(), opset=13, producer="", **more):
        graph = helper.make_graph(nodes, more.pop("graph", name), inputs, outputs, initializer)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], producer_name=producer, **more
        )
        model.ir_version = min(model.ir_version, 10)
        onnx.save(model, FOLDER / f"{name}.onnx")

    # Paddle: weights as Constant nodes, named extents.
    save(
        "paddle",
        [
            constant("conv2d_0.w_0", array("conv2d_0.w_0", 4, 3, 3, 3)),
            constant("conv2d_0.b_0", array("conv2d_0.b_0", 4)),
            helper.make_node("Conv", ["x", "conv2d_0.w_0"], ["c"], pads=[1, 1, 1, 1]),
            constant("shape", numpy_helper.from_array(np.array([1, 4, 1, 1]), "shape")),
            helper.make_node("Reshape", ["conv2d_0.b_0", "shape"], ["b"]),
            helper.make_node("Add", ["c", "b"], ["d"]),
            helper.make_node("Relu", ["d"], ["e"]),
            helper.make_node("GlobalAveragePool", ["e"], ["f"]),
            helper.make_node("Flatten", ["f"], ["g"]),
            constant("linear_0.w_0", array("linear_0.w_0", 4, 2)),
            constant("linear_0.b_0", array("linear_0.b_0", 2)),
            helper.make_node("MatMul", ["g", "linear_0.w_0"], ["h"]),
            helper.make_node("Add", ["h", "linear_0.b_0"], ["y"]),
        ],
        [shape_of("x", "p2o.DynamicDimension.0", 3, 8, 8)],
        [shape_of("y", "p2o.DynamicDimension.0", 2)],
        producer="PaddlePaddle",
        graph="Model from PaddlePaddle.",
    )
    # Caffe2: every weight is an input of the graph too, and filled when the network starts.
    filled = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.5])
    dims = numpy_helper.from_array(np.array([6, 3, 3, 3]), "dims")
    save(
        "caffe2",
        [
            helper.make_node("ConstantOfShape", ["dims"], ["conv1_w"], value=filled),
            helper.make_node(
                "Conv", ["data", "conv1_w", "conv1_b"], ["conv1"], kernel_shape=[3, 3], pads=[1] * 4
            ),
            helper.make_node("Relu", ["conv1"], ["relu1"]),
            helper.make_node("MaxPool", ["relu1"], ["pool1"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Reshape", ["pool1", "flat"], ["pool1_flat"]),
            helper.make_node("Gemm", ["pool1_flat", "fc_w", "fc_b"], ["fc"], transB=1),
            helper.make_node("Softmax", ["fc"], ["prob"]),
        ],
        [
            shape_of("data", 1, 3, 8, 8),
            shape_of("dims", 4, kind=TensorProto.INT64),
            shape_of("conv1_b", 6),
            shape_of("flat", 2, kind=TensorProto.INT64),
            shape_of("fc_w", 5, 96),
            shape_of("fc_b", 5),
        ],
        [shape_of("prob", 1, 5)],
        [
            dims,
            numpy_helper.from_array(np.array([0, -1]), "flat"),
            array("fc_w", 5, 96),
            array("fc_b", 5),
        ],
        opset=9,
        producer="caffe2",
        graph="small_predict",
    )
    # The declared shape of a pool that rounds up is wrong at opset 11: 4, and 3 is computed.
    save(
        "ceil",
        [
            helper.make_node(
                "MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1,
                pads=[1, 1, 1, 1],
            ),
            helper.make_node("Relu", ["y"], ["z"]),
        ],
        [shape_of("x", 1, 2, 5, 5)],
        [shape_of("z", 1, 2, 4, 4)],
        opset=11,
    )  # fmt: skip

    # A network inside the branches of an If, one on which the network decides as it runs.
    def branch(name, filters):
        return helper.make_graph(
            [
                helper.make_node("Conv", ["x", f"{name}_w"], [f"{name}_c"], name=f"{name}/conv"),
                helper.make_node("Relu", [f"{name}_c"], [f"{name}_y"], name=f"{name}/relu"),
            ][: 2 if filters > 1 else 1],
            name,
            [],
            [shape_of(f"{name}_{'y' if filters > 1 else 'c'}", 1, 4, 6, 6)],
            [array(f"{name}_w", 4, 3, 3, 3)],
        )

    choice = helper.make_node(
        "If", ["flag"], ["y"], name="choice", then_branch=branch("a", 2), else_branch=branch("b", 1)
    )
    save(
        "branches",
        [choice],
        [shape_of("flag", kind=TensorProto.BOOL), shape_of("x", 1, 3, 8, 8)],
        [shape_of("y", 1, 4, 6, 6)],
    )
    # Operators that archspec does not know, one of a domain of its own, and a Loop.
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on2"]), helper.make_node("Relu", ["s"], ["s2"])],
        "body",
        [
            shape_of("i", kind=TensorProto.INT64),
            shape_of("on", kind=TensorProto.BOOL),
            shape_of("s", 1, 4, 6, 6),
        ],
        [shape_of("on2", kind=TensorProto.BOOL), shape_of("s2", 1, 4, 6, 6)],
    )
    save(
        "unknown",
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("Warp", ["c", "v"], ["d"], name="warp", domain="my.ops"),
            helper.make_node("Loop", ["n", "yes", "d"], ["e"], name="loop", body=body),
            helper.make_node("Relu", ["e"], ["f"], name="relu"),
            helper.make_node("NonMaxSuppression", ["f"], ["g"], name="nms"),
            helper.make_node("Relu", ["g"], ["y"], name="last"),
        ],
        [shape_of("x", 1, 3, 8, 8)],
        [shape_of("y", None, None)],
        [
            array("w", 4, 3, 3, 3),
            array("v", 4, 7),
            numpy_helper.from_array(np.array(3), "n"),
            numpy_helper.from_array(np.array(True), "yes"),
        ],
    )
    model = onnx.load(FOLDER / "unknown.onnx")
    model.graph.value_info.append(shape_of("d", 1, 4, 6, 6))
    model.graph.value_info.append(shape_of("e", 1, 4, 6, 6))
    model.opset_import.append(helper.make_opsetid("my.ops", 1))
    onnx.save(model, FOLDER / "unknown.onnx")
    # An operator that the file defines itself, used twice.
    function = helper.make_function(
        "my.ops",
        "ConvRelu",
        ["x", "w"],
        ["y"],
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["y"], name="relu"),
        ],
        [helper.make_opsetid("", 18)],
    )
    save(
        "functions",
        [
            helper.make_node("ConvRelu", ["x", "w1"], ["h"], name="first", domain="my.ops"),
            helper.make_node("ConvRelu", ["h", "w2"], ["y"], name="second", domain="my.ops"),
        ],
        [shape_of("x", "n", 3, 8, 8)],
        [shape_of("y", "n", 5, 8, 8)],
        [array("w1", 4, 3, 3, 3), array("w2", 5, 4, 3, 3)],
        opset=18,
        functions=[function],
    )
    # One kernel that two convolutions use, as the heads of a detector do.
    save(
        "shared",
        [
            helper.make_node("Conv", ["x", "w"], ["a"], name="one", pads=[1, 1, 1, 1]),
            helper.make_node("Conv", ["a", "w"], ["y"], name="two", pads=[1, 1, 1, 1]),
        ],
        [shape_of("x", 1, 4, 8, 8)],
        [shape_of("y", 1, 4, 8, 8)],
        [array("w", 4, 4, 3, 3)],
    )


PARTS = {
    "torch": make_torch,
    "keras-torch": make_keras_torch,
    "keras-jax": make_keras_jax,
    "keras-tf": make_keras_tf,
    "written": make_written,
}

if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(exist_ok=True)
    PARTS[sys.argv[1]]()
    for path in FOLDER.glob("*.data"):  # weights outside the file are not needed for a table
        path.unlink()
