"""Write the Caffe files of this folder: networks of the papers, from the papers' tables.

`python tests/model_files/make_caffe.py` writes them anew; nothing but Python is needed. Each syntax
and each way to say a thing is in one of them: V1 and V2, deploy and train_val, layers in place.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "caffe"

V1 = {
    "Concat": "CONCAT", "Convolution": "CONVOLUTION", "Data": "DATA", "Dropout": "DROPOUT",
    "InnerProduct": "INNER_PRODUCT", "LRN": "LRN", "Pooling": "POOLING", "ReLU": "RELU",
    "Softmax": "SOFTMAX", "SoftmaxWithLoss": "SOFTMAX_LOSS", "TanH": "TANH",
}  # fmt: skip
WORDS = {"MAX", "AVE", "TRAIN", "TEST", "LMDB", "SUM", "PROD", "true", "false"}


class Prototxt:
    """A network that is written layer by layer."""

    def __init__(self, name: str, *, v1: bool = False) -> None:
        self.v1 = v1
        self.lines = [f'name: "{name}"']
        self.top = "data"

    def input(self, *dims: int, style: str = "layer") -> None:
        """Declare the input in one of Caffe's three ways."""
        if style == "dims":
            self.lines += ['input: "data"', *(f"input_dim: {dim}" for dim in (10, *dims))]
        elif style == "shape":
            shape = " ".join(f"dim: {dim}" for dim in (10, *dims))
            self.lines += ['input: "data"', f"input_shape {{ {shape} }}"]
        else:
            shape = {"shape": {"dim": [1, *dims]}}
            self.layer("Input", "data", input_param=shape, bottoms=[], top="data")

    def layer(
        self,
        kind: str,
        name: str,
        *,
        bottoms: Iterable[str] | None = None,
        top: str | None = None,
        tops: Iterable[str] = (),
        in_place: bool = False,
        **fields: object,
    ) -> str:
        """Add a layer on the last one, and return its top."""
        bottoms = [self.top] if bottoms is None else list(bottoms)
        top = bottoms[0] if in_place else top or name
        type_ = V1[kind] if self.v1 else f'"{kind}"'
        self.lines += [
            "layers {" if self.v1 else "layer {",
            f'  name: "{name}"',
            f"  type: {type_}",
        ]
        self.lines += [f'  bottom: "{bottom}"' for bottom in bottoms]
        self.lines += [f'  top: "{each}"' for each in (top, *tops)]
        self.lines += written(fields, "  ")
        self.lines.append("}")
        self.top = top
        return top

    def conv(
        self, name: str, filters: int, kernel: int, *, relu: bool = True, **more: object
    ) -> str:
        """Add a convolution, with its ReLU in place."""
        bottoms = [str(more.pop("bottom"))] if "bottom" in more else None
        param = {"num_output": filters, "kernel_size": kernel, **more}
        self.layer("Convolution", name, bottoms=bottoms, convolution_param=param)
        if relu:
            self.layer("ReLU", f"relu_{name}", in_place=True)
        return self.top

    def pool(self, name: str, size: int, stride: int, method: str = "MAX", **more: object) -> str:
        bottoms = [str(more.pop("bottom"))] if "bottom" in more else None
        param = {"pool": method, "kernel_size": size, "stride": stride, **more}
        return self.layer("Pooling", name, bottoms=bottoms, pooling_param=param)

    def fc(self, name: str, units: int, *, relu: bool = False, dropout: float = 0.0) -> str:
        self.layer("InnerProduct", name, inner_product_param={"num_output": units})
        if relu:
            self.layer("ReLU", f"relu_{name}", in_place=True)
        if dropout:
            ratio = {"dropout_ratio": dropout}
            self.layer("Dropout", f"drop_{name}", in_place=True, dropout_param=ratio)
        return self.top

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def written(fields: dict[str, object], indent: str) -> list[str]:
    """Return fields as lines of protobuf's text format."""
    lines = []
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                lines += [f"{indent}{name} {{", *written(each, indent + "  "), f"{indent}}}"]
            elif isinstance(each, bool):
                lines.append(f"{indent}{name}: {str(each).lower()}")
            elif isinstance(each, str) and each not in WORDS:
                lines.append(f'{indent}{name}: "{each}"')
            else:
                lines.append(f"{indent}{name}: {each}")
    return lines


def lenet() -> str:
    """LeNet-5 of 1998 with full connections, in V1's words."""
    net = Prototxt("LeNet-5", v1=True)
    net.input(1, 32, 32, style="dims")
    for name, filters in (("c1", 6), ("c3", 16)):
        net.conv(name, filters, 5, relu=False, stride=1)
        net.layer("TanH", f"tanh_{name}", in_place=True)
        net.pool(f"s{int(name[1]) + 1}", 2, 2, "AVE")
    for name, units in (("c5", 120), ("f6", 84)):
        net.fc(name, units)
        net.layer("TanH", f"tanh_{name}", in_place=True)
    net.fc("output", 10)
    net.layer("Softmax", "prob")
    return net.text


def alexnet(*, caffenet: bool = False) -> str:
    """AlexNet with the groups of its two GPUs; CaffeNet pools before it normalises."""
    net = Prototxt("CaffeNet" if caffenet else "AlexNet", v1=not caffenet)
    net.input(3, 227, 227, style="shape" if caffenet else "dims")
    lrn = {"local_size": 5, "alpha": 0.0001, "beta": 0.75}
    for number, filters, kernel, more in (
        (1, 96, 11, {"stride": 4}),
        (2, 256, 5, {"pad": 2, "group": 2}),
    ):
        net.conv(f"conv{number}", filters, kernel, **more)
        if not caffenet:
            net.layer("LRN", f"norm{number}", lrn_param=lrn)
        net.pool(f"pool{number}", 3, 2)
        if caffenet:
            net.layer("LRN", f"norm{number}", lrn_param=lrn)
    net.conv("conv3", 384, 3, pad=1)
    net.conv("conv4", 384, 3, pad=1, group=2)
    net.conv("conv5", 256, 3, pad=1, group=2)
    net.pool("pool5", 3, 2)
    net.fc("fc6", 4096, relu=True, dropout=0.5)
    net.fc("fc7", 4096, relu=True, dropout=0.5)
    net.fc("fc8", 1000)
    net.layer("Softmax", "prob")
    return net.text


def vgg16() -> str:
    net = Prototxt("VGG-16")
    net.input(3, 224, 224)
    for block, (filters, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for number in range(1, count + 1):
            net.conv(f"conv{block}_{number}", filters, 3, pad=1)
        net.pool(f"pool{block}", 2, 2)
    net.fc("fc6", 4096, relu=True, dropout=0.5)
    net.fc("fc7", 4096, relu=True, dropout=0.5)
    net.fc("fc8", 1000)
    net.layer("Softmax", "prob")
    return net.text


INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip
"""Table 1 of Szegedy et al. 2014."""


def googlenet(*, training: bool) -> str:
    """GoogLeNet; for training with both auxiliary classifiers, whose loss counts 0.3."""
    net = Prototxt("GoogLeNet")
    if training:
        for phase, batch in (("TRAIN", 32), ("TEST", 50)):
            net.layer(
                "Data", "data", bottoms=[], top="data", tops=["label"],
                include={"phase": phase},
                transform_param={"mirror": phase == "TRAIN", "crop_size": 224,
                                 "mean_value": [104, 117, 123]},
                data_param={"source": "train_lmdb", "batch_size": batch, "backend": "LMDB"},
            )  # fmt: skip
        net.top = "data"
    else:
        net.input(3, 224, 224)
    net.conv("conv1/7x7_s2", 64, 7, stride=2, pad=3)
    net.pool("pool1/3x3_s2", 3, 2)
    lrn = {"local_size": 5, "alpha": 0.0001, "beta": 0.75}
    net.layer("LRN", "pool1/norm1", lrn_param=lrn)
    net.conv("conv2/3x3_reduce", 64, 1)
    net.conv("conv2/3x3", 192, 3, pad=1)
    net.layer("LRN", "conv2/norm2", lrn_param=lrn)
    net.pool("pool2/3x3_s2", 3, 2)
    for module, (one, reduce3, three, reduce5, five, pooled) in INCEPTION.items():
        name, x = f"inception_{module}", net.top
        first = net.conv(f"{name}/1x1", one, 1, bottom=x)
        net.conv(f"{name}/3x3_reduce", reduce3, 1, bottom=x)
        second = net.conv(f"{name}/3x3", three, 3, pad=1)
        net.conv(f"{name}/5x5_reduce", reduce5, 1, bottom=x)
        third = net.conv(f"{name}/5x5", five, 5, pad=2)
        net.pool(f"{name}/pool", 3, 1, pad=1, bottom=x)
        fourth = net.conv(f"{name}/pool_proj", pooled, 1)
        joined = net.layer("Concat", f"{name}/output", bottoms=[first, second, third, fourth])
        if training and module in {"4a", "4d"}:
            _auxiliary(net, f"loss{'1' if module == '4a' else '2'}")
            net.top = joined
        if module in {"3b", "4e"}:
            net.pool(f"pool{int(module[0])}/3x3_s2", 3, 2)
    net.pool("pool5/7x7_s1", 7, 1, "AVE")
    net.layer("Dropout", "pool5/drop", in_place=True, dropout_param={"dropout_ratio": 0.4})
    net.fc("loss3/classifier", 1000)
    _end(net, "loss3", 1.0, training=training)
    return net.text


def _auxiliary(net: Prototxt, name: str) -> None:
    net.pool(f"{name}/ave_pool", 5, 3, "AVE")
    net.conv(f"{name}/conv", 128, 1)
    net.fc(f"{name}/fc", 1024, relu=True, dropout=0.7)
    net.fc(f"{name}/classifier", 1000)
    _end(net, name, 0.3, training=True)


def _end(net: Prototxt, name: str, weight: float, *, training: bool) -> None:
    if not training:
        net.layer("Softmax", "prob")
        return
    scores = [net.top, "label"]
    net.layer("SoftmaxWithLoss", f"{name}/loss", bottoms=scores, loss_weight=weight)
    net.layer("Accuracy", f"{name}/top-1", bottoms=scores, include={"phase": "TEST"})


def nin(*, cifar: bool) -> str:
    net = Prototxt("nin_cifar10" if cifar else "nin_imagenet", v1=cifar)
    net.input(3, *((32, 32) if cifar else (224, 224)), style="dims" if cifar else "layer")
    stages: list[tuple[dict[str, int], tuple[int, int, int], str]] = (
        [
            ({"kernel": 5, "pad": 2}, (192, 160, 96), "MAX"),
            ({"kernel": 5, "pad": 2}, (192, 192, 192), "AVE"),
            ({"kernel": 3, "pad": 1}, (192, 192, 10), ""),
        ]
        if cifar
        else [
            ({"kernel": 11, "stride": 4}, (96, 96, 96), "MAX"),
            ({"kernel": 5, "pad": 2}, (256, 256, 256), "MAX"),
            ({"kernel": 3, "pad": 1}, (384, 384, 384), "MAX"),
            ({"kernel": 3, "pad": 1}, (1024, 1024, 1000), ""),
        ]
    )
    for number, (window, filters, method) in enumerate(stages, 1):
        more = {name: value for name, value in window.items() if name != "kernel"}
        net.conv(f"conv{number}", filters[0], window["kernel"], **more)
        net.conv(f"cccp{2 * number - 1}", filters[1], 1)
        net.conv(f"cccp{2 * number}", filters[2], 1)
        if method:
            net.pool(f"pool{number}", 3, 2, method)
        if method and (cifar or number == 3):
            net.layer("Dropout", f"drop{number}", in_place=True)
    if cifar:
        net.pool("pool", 8, 1, "AVE")
    else:
        net.layer("Pooling", "pool", pooling_param={"pool": "AVE", "global_pooling": True})
    net.layer("Softmax", "prob")
    return net.text


def squeezenet(version: str) -> str:
    """SqueezeNet; its fire modules are those of table 1, and v1.1 pools earlier."""
    net = Prototxt(f"SqueezeNet_{version}")
    net.input(3, 227, 227, style="shape")
    first, pools = ((96, 7), (1, 4, 8)) if version == "v1.0" else ((64, 3), (1, 3, 5))
    net.conv("conv1", *first, stride=2)
    net.pool("pool1", 3, 2)
    sizes = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
    for number, (squeeze, expand) in enumerate(sizes, 2):
        name = f"fire{number}"
        squeezed = net.conv(f"{name}/squeeze1x1", squeeze, 1)
        one = net.conv(f"{name}/expand1x1", expand, 1, bottom=squeezed)
        three = net.conv(f"{name}/expand3x3", expand, 3, pad=1, bottom=squeezed)
        net.layer("Concat", f"{name}/concat", bottoms=[one, three])
        if number in pools:
            net.pool(f"pool{number}", 3, 2)
    net.layer("Dropout", "drop9", in_place=True, dropout_param={"dropout_ratio": 0.5})
    net.conv("conv10", 1000, 1)
    net.layer("Pooling", "pool10", pooling_param={"pool": "AVE", "global_pooling": True})
    net.layer("Softmax", "prob")
    return net.text


def resnet50() -> str:
    """ResNet-50: batch norms and scales in place, strides on the first 1x1 as in the paper."""
    net = Prototxt("ResNet-50")
    net.input(3, 224, 224)

    def conv(name: str, filters: int, kernel: int, *, relu: bool, **more: object) -> str:
        net.conv(name, filters, kernel, relu=False, bias_term=False, **more)
        net.layer(
            "BatchNorm", f"bn_{name}", in_place=True, batch_norm_param={"use_global_stats": True}
        )
        net.layer("Scale", f"scale_{name}", in_place=True, scale_param={"bias_term": True})
        if relu:
            net.layer("ReLU", f"{name}_relu", in_place=True)
        return net.top

    conv("conv1", 64, 7, relu=True, stride=2, pad=3)
    net.pool("pool1", 3, 2)
    for stage, (filters, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for number in range(count):
            name, x = f"res{stage}{'abcdef'[number]}", net.top
            stride = 2 if stage > 2 and number == 0 else 1
            shortcut = x
            if number == 0:
                shortcut = conv(
                    f"{name}_branch1", 4 * filters, 1, relu=False, stride=stride, bottom=x
                )
            conv(f"{name}_branch2a", filters, 1, relu=True, stride=stride, bottom=x)
            conv(f"{name}_branch2b", filters, 3, relu=True, pad=1)
            branch = conv(f"{name}_branch2c", 4 * filters, 1, relu=False)
            net.layer("Eltwise", name, bottoms=[shortcut, branch])
            net.layer("ReLU", f"{name}_relu", in_place=True)
    net.pool("pool5", 7, 1, "AVE")
    net.fc("fc1000", 1000)
    net.layer("Softmax", "prob")
    return net.text


FILES: dict[str, Callable[[], str]] = {
    "lenet5": lenet,
    "alexnet": alexnet,
    "caffenet": lambda: alexnet(caffenet=True),
    "vgg16": vgg16,
    "googlenet": lambda: googlenet(training=False),
    "googlenet_train_val": lambda: googlenet(training=True),
    "nin_imagenet": lambda: nin(cifar=False),
    "nin_cifar10": lambda: nin(cifar=True),
    "squeezenet_v1_0": lambda: squeezenet("v1.0"),
    "squeezenet_v1_1": lambda: squeezenet("v1.1"),
    "resnet50": resnet50,
}
"""The text of each file, by its name."""

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, make in FILES.items():
        (FOLDER / f"{file}.prototxt").write_text(make(), encoding="utf-8")
