"""Names as values: decoders and cells whose steps are read by computed names.

Each network is written as loops, in plain YAML, and once more with every step unrolled by Python.
Both must have the same layers: in the same order, of the same shapes and weights, and with the same
inputs.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.errors import SpecError
from archspec.graph.graph import Graph
from archspec.reference import OWN_BLOCKS


def graph(text: str) -> Graph:
    return expand(spec_of(text))


def layers(network: Graph) -> list[tuple[str, str, int, tuple[int, ...]]]:
    """Kind, shape and parameters of each layer, and the numbers of the layers that it reads."""
    return [
        (node.layer.op.kind, str(node.shape), node.layer.params, tuple(node.inputs))
        for node in network.nodes
    ]


def unrolled(extent: list[int], steps: list[Any], **conv: Any) -> str:
    """The spec of steps that are all written out."""
    spec = {"name": "net", "input": extent, "defaults": {"conv": conv}, "layers": steps}
    return yaml.safe_dump(spec, sort_keys=False)


def conv(name: str | None = None, source: str | None = None, **arguments: Any) -> dict[str, Any]:
    step: dict[str, Any] = {"name": name} if name else {}
    step |= {"from": source} if source else {}
    return {**step, "conv": arguments}


# U-Net: skips are read in the opposite order.

UNET = """
name: unet
input: [64, 64, 3]
vars: {levels: 3}
defaults: {conv: {padding: same, activation: relu}}
layers:
  - for: {level: =range(levels)}
    layers:
      - {name: ="down" + str(level), conv: =16 * 2**level}
      - max_pool: 2
  - conv: =16 * 2**levels
  - for: {level: "=range(levels)[::-1]"}
    layers:
      - transposed_conv: {filters: =in.channels // 2, kernel: 2, stride: 2}
      - concat: ="down" + str(level)
      - conv: =in.channels // 2
"""


def unet() -> str:
    steps: list[Any] = []
    for level in range(3):
        steps += [conv(f"d{level}", filters=16 * 2**level), {"max_pool": 2}]
    steps.append(conv(filters=128))
    for level in (2, 1, 0):
        filters = 16 * 2**level
        up = {"filters": filters, "kernel": 2, "stride": 2}
        steps += [{"transposed_conv": up}, {"concat": f"d{level}"}, conv(filters=filters)]
    return unrolled([64, 64, 3], steps, padding="same", activation="relu")


# The same with the way up as a block of two inputs.

UNET_OF_BLOCKS = """
name: unet
input: [64, 64, 3]
vars: {levels: 3}
defaults: {conv: {padding: same, activation: relu}}
blocks:
  up:
    about: Doubles the size of `below`, and puts `skip` beside it.
    inputs: [below, skip]
    layers:
      - transposed_conv: {filters: =skip.channels, kernel: 2, stride: 2}
      - concat: skip
      - conv: =skip.channels
layers:
  - for: {level: =range(levels)}
    layers:
      - {name: ="down" + str(level), conv: =16 * 2**level}
      - max_pool: 2
  - conv: =16 * 2**levels
  - for: {level: "=range(levels)[::-1]"}
    layers:
      - {up: {}, from: {skip: ="down" + str(level)}}
"""

# FPN: a sum down the pyramid, then an output at each level.

FPN = """
name: fpn
input: [64, 64, 3]
defaults: {conv: {padding: same}}
layers:
  - for: {i: "=range(2, 6)"}
    layers: [{name: ="c" + str(i), conv: {filters: =8 * 2**i, stride: 2}}]
  - {name: m5, conv: {filters: 32, kernel: 1}}
  - for: {i: "=range(4, 1, -1)"}
    layers:
      - {name: ="wide" + str(i), upsample: 2}
      - {from: ="c" + str(i), conv: {filters: 32, kernel: 1}}
      - {name: ="m" + str(i), add: ="wide" + str(i)}
  - for: {i: "=range(2, 6)"}
    layers:
      - {from: ="m" + str(i), conv: 32}
      - {name: ="p" + str(i), global_avg_pool: {}}
  - concat: =["p" + str(i) for i in range(2, 6)]
"""


def fpn() -> str:
    steps: list[Any] = [conv(f"c{i}", filters=8 * 2**i, stride=2) for i in range(2, 6)]
    steps.append(conv("m5", filters=32, kernel=1))
    for i in (4, 3, 2):
        steps += [{"name": f"wide{i}", "upsample": 2}, conv(None, f"c{i}", filters=32, kernel=1)]
        steps.append({"name": f"m{i}", "add": f"wide{i}"})
    for i in range(2, 6):
        steps += [conv(None, f"m{i}", filters=32), {"name": f"p{i}", "global_avg_pool": None}]
    steps.append({"concat": ["p2", "p3", "p4", "p5"]})
    return unrolled([64, 64, 3], steps, padding="same")


# HRNet: streams side by side, one more in each stage; after each, every one is added to every one.

HRNET = """
name: hrnet
input: [64, 64, 3]
vars: {width: 8}
defaults: {conv: {padding: same, norm: batch}}
layers:
  - name: stage1
    layers: [{name: y0, conv: {filters: 32, stride: 4}}]
  - for: {streams: [2, 3, 4]}
    name: ="stage" + str(streams)
    let: {before: ="stage" + str(streams - 1) + "/y"}
    layers:
      # Every stream goes on; a new one starts from the last, at half the size.
      - for: {i: =range(streams)}
        layers:
          - name: ="x" + str(i)
            from: =before + str(min(i, streams - 2))
            conv: {filters: =width * 2**i, stride: =2 if i == streams - 1 else 1, activation: relu}
      # Each stream is the sum of all, those above shrunk and those below grown to its size.
      - for: {j: =range(streams)}
        name: ="y" + str(j)
        layers:
          - for: {i: "=[i for i in range(streams) if i != j]"}
            name: ="from" + str(i)
            from: ="x" + str(i)
            layers:
              - {repeat: "=max(0, j - i)", conv: {filters: =width * 2**j, stride: 2}}
              - when: =i > j
                layers: [conv: {filters: =width * 2**j, kernel: 1}, upsample: =2**(i - j)]
          - add: =["x" + str(j)] + ["from" + str(i) for i in range(streams) if i != j]
          - activation: relu
  - for: {i: =range(4)}
    layers: [{name: ="head" + str(i), upsample: =2**i, from: ="stage4/y" + str(i)}]
  - concat: =["head" + str(i) for i in range(4)]
"""


def hrnet() -> str:
    steps: list[Any] = [conv("s1y0", filters=32, stride=4)]
    for n in (2, 3, 4):
        for i in range(n):
            stride, before = (2, n - 2) if i == n - 1 else (1, i)
            stream = {"filters": 8 * 2**i, "stride": stride, "activation": "relu"}
            steps.append(conv(f"s{n}x{i}", f"s{n - 1}y{before}", **stream))
        for j in range(n):
            sums = [f"s{n}x{j}"]
            for i in range(n):
                name, last = f"s{n}x{i}to{j}", f"s{n}x{i}"
                for k in range(j - i):
                    steps.append(conv(f"{name}k{k}", last, filters=8 * 2**j, stride=2))
                    last = f"{name}k{k}"
                if i > j:
                    steps.append(conv(None, last, filters=8 * 2**j, kernel=1))
                    steps.append({"name": name, "upsample": 2 ** (i - j)})
                    last = name
                sums += [last] if i != j else []
            steps += [{"add": sums}, {"name": f"s{n}y{j}", "activation": "relu"}]
    steps += [{"name": f"h{i}", "from": f"s4y{i}", "upsample": 2**i} for i in range(4)]
    steps.append({"concat": ["h0", "h1", "h2", "h3"]})
    return unrolled([64, 64, 3], steps, padding="same", norm="batch")


# NASNet: a cell is five sums of two earlier states each; its output, the states that no sum took.

NASNET = """
name: nasnet
input: [32, 32, 3]
vars:
  # State and kernel, twice. A kernel of 1 is an average pool, and 0 is nothing.
  normal: [[1, 3, 1, 0], [0, 3, 1, 5], [1, 1, 0, 0], [0, 1, 0, 1], [0, 5, 0, 3]]
defaults:
  conv: {kernel: 1}
  separable_conv: {padding: same}
  avg_pool: {size: 3, stride: 1, padding: same}
blocks:
  way:
    args: {kernel: int, filters: int}
    layers:
      - {separable_conv: {filters: =filters, kernel: =kernel}, when: =kernel > 1}
      - {avg_pool: {}, when: =kernel == 1}
      - {dropout: 0, when: =kernel == 0}
  cell:
    args: {filters: int, sums: =normal}
    inputs: [now, before]
    let: {used: "=[sum[0] for sum in sums] + [sum[2] for sum in sums]"}
    layers:
      - {name: h0, from: before, conv: =filters}
      - {name: h1, from: now, conv: =filters}
      - for: {sum: =sums}
        layers:
          - name: ="left" + str(index)
            from: ="h" + str(sum[0])
            way: {kernel: "=sum[1]", filters: =filters}
          - name: ="right" + str(index)
            from: ="h" + str(sum[2])
            way: {kernel: "=sum[3]", filters: =filters}
          - {name: ="h" + str(index + 2), add: ="left" + str(index)}
      - concat: =["h" + str(i) for i in range(7) if i not in used]
layers:
  - {name: cell0, conv: {filters: 8, kernel: 3, padding: same}}
  - {name: cell1, activation: relu}
  - for: {i: "=range(2, 6)"}
    layers:
      - {name: ="cell" + str(i), cell: 8, from: {before: ="cell" + str(i - 2)}}
  - concat: cell4/h3
"""


def nasnet() -> str:
    sums = [[1, 3, 1, 0], [0, 3, 1, 5], [1, 1, 0, 0], [0, 1, 0, 1], [0, 5, 0, 3]]
    steps: list[Any] = [conv("c0", filters=8, kernel=3, padding="same")]
    steps.append({"name": "c1", "activation": "relu"})

    def way(name: str, source: str, kernel: int) -> dict[str, Any]:
        kinds = {0: {"dropout": 0}, 1: {"avg_pool": None}}
        separable = {"separable_conv": {"filters": 8, "kernel": kernel}}
        return {"name": name, "from": source, **kinds.get(kernel, separable)}

    for cell in range(2, 6):
        states = [f"c{cell}h{i}" for i in range(7)]
        steps += [conv(states[0], f"c{cell - 2}", filters=8)]
        steps += [conv(states[1], f"c{cell - 1}", filters=8)]
        for i, (left, first, right, second) in enumerate(sums):
            ends = [f"c{cell}left{i}", f"c{cell}right{i}"]
            steps.append(way(ends[0], states[left], first))
            steps.append(way(ends[1], states[right], second))
            steps.append({"name": states[i + 2], "add": [ends[1], ends[0]]})
        steps.append({"name": f"c{cell}", "concat": states[2:]})
    steps.append({"concat": ["c5", "c4h3"]})
    data = yaml.safe_load(unrolled([32, 32, 3], steps, kernel=1))
    data["defaults"] |= yaml.safe_load(NASNET)["defaults"]
    return yaml.safe_dump(data, sort_keys=False)


EXAMPLES = re.findall(r"```yaml\n(.*?)```", OWN_BLOCKS, re.DOTALL)


def test_the_examples_of_the_reference_are_networks():
    squeezed, small_unet = map(graph, EXAMPLES)
    ours = EXAMPLES[0].replace("- squeeze: 8", "- squeeze_excitation: 8")
    # The order of a product's factors aside.
    assert [each[:3] for each in layers(squeezed)] == [each[:3] for each in layers(graph(ours))]
    assert str(small_unet.output) == "64x64x2"


@pytest.mark.parametrize(
    ("loops", "steps"),
    [(UNET, unet), (UNET_OF_BLOCKS, unet), (FPN, fpn), (HRNET, hrnet), (NASNET, nasnet)],
    ids=["u-net", "u-net of blocks", "fpn", "hrnet", "nasnet"],
)
def test_loops_are_the_network_that_their_steps_are(loops: str, steps: Callable[[], str]):
    assert layers(graph(loops)) == layers(graph(steps()))


# What a step may read, and what it sees.

SEEN = """
name: net
input: [8, 8, 3]
vars: {wide: 7}
blocks:
  unit:
    args: {filters: int, inner: =filters * wide, last: =inner + 1}
    let: {both: =in.channels + input.channels, more: =both + filters}
    layers:
      - {name: first, conv: {filters: =more, kernel: 1}}
      - conv: {filters: =inner, kernel: 1}
      - conv: {filters: =last, kernel: 1}
layers:
"""


def widths(steps: str) -> list[int]:
    return [node.channels for node in graph(SEEN + steps).nodes[1:]]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("- unit: 2", [8, 14, 15]),
        ("- unit: {filters: 2, last: 5}", [8, 14, 5]),
        ("- unit: {filters: 2, inner: 5}", [8, 5, 6]),
        ("- {name: u, unit: 2}\n- concat: u/first", [8, 14, 15, 23]),
        ('- {name: ="u" + str(1), unit: 2}\n- concat: u1/first', [8, 14, 15, 23]),
        ("- {let: {a: =in.channels, b: =a * 2}, layers: [pad_channels: =b]}", [6]),
        ("- {repeat: 2, let: {a: =in.channels * 2 + index}, layers: [pad_channels: =a]}", [6, 13]),
        ("- {let: {wide: =wide + 1}, layers: [pad_channels: =wide]}", [8]),
        (
            "- pad_channels: 4\n- {name: a, pad_channels: 5}\n- pad_channels: =a.channels + 1",
            [4, 5, 6],
        ),
    ],
)
def test_what_a_block_and_a_group_see(steps: str, expected: list[int]):
    assert widths(steps) == expected


def test_a_head_that_is_left_out_may_read_any_step_by_a_computed_name():
    text = f"""{SEEN}
- {{name: a, softmax: {{}}}}
- {{name: b, from: input, softmax: {{}}}}
heads:
  side: {{when: false, layers: [add: ="a", flatten, fc: 3]}}
"""
    assert [node.name for node in graph(text).nodes] == ["input", "b"]
    with pytest.raises(SpecError, match="no step uses the output"):
        graph(text.partition("heads:")[0])


@pytest.mark.parametrize(
    ("step", "reads"),
    [
        ("from: a, softmax: {}", ["a", "r1"]),
        ('from: ="a", softmax: {}', ["a", "r1"]),
        ('from: \'=["a", "b"][index]\', softmax: {}', ["a", "b"]),
        ("add: b", ["c b", "r1 b"]),
        ('add: \'=["a", "b"][index]\'', ["c a", "r1 b"]),
        ('add: \'=[["a", "b"], ["b", "c"]][index]\'', ["a b", "b c"]),
    ],
)
def test_every_round_reads_what_its_name_says(step: str, reads: list[str]):
    before = "".join(f"- {{name: {name}, from: input, softmax: {{}}}}\n" for name in "abc")
    nodes = graph(
        f"{SEEN}{before}- {{name: r, repeat: 2, {step}}}\n- concat: [a, b, c, r1, r2]"
    ).nodes
    rounds = [node for node in nodes if node.name in ("r1", "r2")]
    assert [" ".join(nodes[i].name for i in node.inputs) for node in rounds] == reads
