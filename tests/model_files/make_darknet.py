"""Write the Darknet configurations of this folder, from the papers' tables.

`python tests/model_files/make_darknet.py` writes them anew; nothing but Python is needed. Blanks,
comments and omitted options are spread over them as people write them.
"""

from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent / "darknet"


class Cfg:
    """A network that is written section by section."""

    def __init__(self, size: int, *, equals: str = "=") -> None:
        self.equals = equals
        self.lines: list[str] = []
        self.count = -1
        """Number of the last layer; [net] is none."""
        self.add("net", "# Testing", batch=1, subdivisions=1, width=size, height=size, channels=3)

    def add(self, kind: str, comment: str = "", **options: object) -> int:
        """Add a section and return its number."""
        self.lines += ([comment] if comment else []) + [f"[{kind}]"]
        self.lines += [f"{name}{self.equals}{value}" for name, value in options.items()]
        self.lines.append("")
        self.count += kind != "net"
        return self.count

    def conv(self, filters: int, size: int, stride: int = 1, activation: str = "leaky") -> int:
        """Add a convolution with batch norm, half its kernel around it."""
        return self.add(
            "convolutional",
            batch_normalize=1,
            filters=filters,
            size=size,
            stride=stride,
            pad=1,
            activation=activation,
        )

    def boxes(self, filters: int, mask: str) -> None:
        """Add the last convolution before boxes, and what makes boxes of it."""
        self.add("convolutional", size=1, stride=1, pad=1, filters=filters, activation="linear")
        anchors = "10,13,  16,30,  33,23,  30,61,  62,45,  59,119,  116,90,  156,198,  373,326"
        self.add("yolo", mask=mask, anchors=anchors, classes=80, num=9, ignore_thresh=".7")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def yolov3_tiny() -> str:
    net = Cfg(416)
    for number in range(6):
        net.conv(16 * 2**number, 3)
        net.add("maxpool", size=2, stride=2 if number < 5 else 1)
    net.conv(1024, 3)
    net.conv(256, 1)
    net.conv(512, 3)
    net.boxes(255, "3,4,5")
    net.add("route", layers=-4)
    net.conv(128, 1)
    net.add("upsample", stride=2)
    net.add("route", layers="-1, 8")
    net.conv(256, 3)
    net.boxes(255, "0,1,2")
    return net.text


def _darknet53(net: Cfg) -> None:
    """Darknet-53 of YOLOv3's table 1, without its classifier."""
    net.conv(32, 3)
    for filters, count in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        net.conv(filters, 3, 2)
        for _ in range(count):
            net.conv(filters // 2, 1)
            net.conv(filters, 3)
            net.add("shortcut", **{"from": -3, "activation": "linear"})


def darknet53() -> str:
    net = Cfg(256, equals=" = ")
    _darknet53(net)
    net.add("avgpool")
    net.add("convolutional", filters=1000, size=1, stride=1, pad=1, activation="linear")
    net.add("softmax", groups=1)
    return net.text


def yolov3() -> str:
    net = Cfg(416)
    _darknet53(net)
    for filters, join, mask in ((512, None, "6,7,8"), (256, 61, "3,4,5"), (128, 36, "0,1,2")):
        if join is not None:
            net.add("route", layers=-4)
            net.conv(filters, 1)
            net.add("upsample", stride=2)
            net.add("route", layers=f"-1, {join}")
        for number in range(6):
            net.conv(filters * (1 + number % 2), 1 + 2 * (number % 2))
        net.boxes(255, mask)
    return net.text


def darknet19() -> str:
    """Darknet-19 of YOLO9000's table 6."""
    net = Cfg(224)
    for filters, count in ((32, 1), (64, 1), (128, 3), (256, 3), (512, 5), (1024, 5)):
        for number in range(count):
            net.conv(filters if number % 2 == 0 else filters // 2, 3 if number % 2 == 0 else 1)
        if filters < 1024:
            net.add("maxpool", size=2, stride=2)
    net.add("convolutional", filters=1000, size=1, stride=1, pad=1, activation="linear")
    net.add("avgpool")
    net.add("softmax", groups=1)
    net.add("cost", type="sse")
    return net.text


FILES: dict[str, Callable[[], str]] = {
    "darknet19": darknet19,
    "darknet53": darknet53,
    "yolov3": yolov3,
    "yolov3_tiny": yolov3_tiny,
}
"""The text of each file, by its name."""

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, make in FILES.items():
        (FOLDER / f"{file}.cfg").write_text(make(), encoding="utf-8")
