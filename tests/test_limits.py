"""Specs that ask for too much: each is refused, or built, in bounded time and memory.

Each is read in a process of its own, whose memory is measured.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import run
from support.specs import share_of, spec_of

from archspec.compile.expand import DEEPEST, MOST_REPEATS, expand
from archspec.errors import SpecError
from archspec.spec.loading import load

MOST_MEGABYTES = 200


def net(layers: str, before: str = "", extent: str = "[8, 8, 3]") -> str:
    return f"name: net\ninput: {extent}\n{before}layers:\n{layers}"


def blocks(more: str) -> str:
    return f"blocks:\n  b0: {{layers: [softmax]}}\n{more}"


def many(text: str, number: int, between: str = "") -> str:
    """`text` again and again; each @ in it is the number of the time, each ^ that of the next."""
    parts = (text.replace("@", str(i)).replace("^", str(i + 1)) for i in range(number))
    return between.join(parts)


OPEN = "[null, null, 3]"
STEPS = "limit: the spec asks for more than 50,000 steps"
LAYERS = "limit: the network has more than 50,000 layers, or 200,000 connections"

REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "repeats in repeats": (
        lambda: net("- {repeat: 10000, layers: [{repeat: 10000, layers: [softmax]}]}"),
        STEPS,
    ),
    "repeats of nothing": (
        lambda: net(
            f"- {{repeat: 10000, layers: [{many('{repeat: 0, flatten: {}}', 9_000, ', ')}]}}"
        ),
        STEPS,
    ),
    "branches in a loop": (
        lambda: net(f"- {{repeat: 10000, branches: [{many('[]', 5000, ', ')}], merge: add}}"),
        STEPS,
    ),
    "long computations in a loop": (
        lambda: net(f'- {{repeat: 10000, dropout: "=0 * ({many("sum(range(999))", 60, "+")})"}}'),
        STEPS,
    ),
    "long lists in a loop": (
        lambda: net(f"- {{repeat: 10000, reshape: [{'=index + 1, ' * 900}1]}}"),
        "shape: `reshape` gives at most three spatial axes",
    ),
    "lists built in a loop": (
        lambda: net("- {repeat: 10000, dropout: '=0 * len([0 for i in range(999)])'}"),
        "limit: the `for`s of expressions take more than 100,000 rounds",
    ),
    "lists built in lists, by variables": (
        lambda: net("- softmax", "vars:\n" + many("  v@: =[v^ for i in range(900)][:1]\n", 900)),
        "unknown-name: `v900` is not defined",
    ),
    "lists of lists": (
        lambda: net(
            "- softmax", "vars:\n  v0: 0\n" + many("  v^: [=v@, =v@, =v@, =v@, =v@]\n", 40)
        ),
        "expression: the list has more than 1,000 items",
    ),
    "texts that double": (
        lambda: net(
            "- {let: {a0: '=\"abc\"', " + many("a^: =a@ + a@", 900, ", ") + "}, layers: [softmax]}"
        ),
        "expression: the text has more than 1,000 characters",
    ),
    "variables of groups in a loop": (
        lambda: net(
            "- {repeat: 10000, let: {" + many("a@: =index", 5_000, ", ") + "}, layers: [softmax]}"
        ),
        STEPS,
    ),
    "variables of a block in a loop": (
        lambda: net(
            "- {repeat: 10000, b: }",
            "blocks: {b: {let: {" + many("a@: =1", 5_000, ", ") + "}, layers: [softmax]}}\n",
        ),
        STEPS,
    ),
    "a circle of defaults": (
        lambda: net(
            "- b", "blocks: {b: {args: {" + many("a@: =a^", 9_000, ", ") + ", a9000: =a0}}}\n"
        ).replace("a0}}}", "a0}, layers: [softmax]}}"),
        "circular: defaults that depend on each other: a0 -> a1",
    ),
    "computed defaults in a loop": (
        lambda: net(
            "- {repeat: 10000, b: }",
            "blocks: {b: {args: {n: 1, "
            + many("a@: =n + 1", 5_000, ", ")
            + "}, layers: [softmax]}}\n",
        ),
        STEPS,
    ),
    "lists of names in a loop": (
        lambda: net("- {repeat: 9000, layers: [{add: \"=['input'] * 1000\"}]}"),
        LAYERS,
    ),
    "computed names of no meaning": (
        lambda: net(
            "- {repeat: 5000, softmax: {}}\n"
            '- {repeat: 9000, layers: [{add: ="s" + str(index * 0)}]}'
        ),
        "unknown-name: no step before this one is called `s0`",
    ),
    "shapes of steps of no meaning": (
        lambda: net(
            "- {repeat: 5000, softmax: {}}\n"
            "- {repeat: 9000, layers: [{pad_channels: =nothing.channels}]}"
        ),
        "unknown-name: no step before this one is called `nothing`",
    ),
    "inputs of a block": (
        lambda: net(
            "- {repeat: 10000, layers: [{b: , from: [" + "input, " * 5_000 + "input]}]}",
            "blocks: {b: {inputs: [" + many("i@", 5_001, ", ") + "], layers: [softmax]}}\n",
        ),
        STEPS,
    ),
    "names for a merge, in a loop": (
        lambda: net(f"- {{repeat: 9000, layers: [{{add: [{'input, ' * 9000}input]}}]}}"),
        LAYERS,
    ),
    "blocks in blocks that double": (
        lambda: net("- b40", blocks(many("  b^: {layers: [b@, b@]}\n", 40))),
        STEPS,
    ),
    "blocks in blocks": (
        lambda: net("- b900", blocks(many("  b^: {layers: [b@]}\n", 900))),
        "limit: steps are nested more than 64 deep",
    ),
    "a circle of blocks": (
        lambda: net("- b1", blocks(many("  b^: {layers: [b@, b900]}\n", 900))),
        "circular: blocks that contain themselves: b1 -> b900 ->",
    ),
    "blocks": (
        lambda: net("- b0", "blocks:\n" + many("  b@: {layers: [softmax]}\n", 20_000)),
        "limit: 20,000 blocks are more than 1,000",
    ),
    "a circle of variables": (
        lambda: net("- softmax", "vars:\n" + many("  v@: =v^\n", 20_000) + "  v20000: =v0\n"),
        "circular: variables that depend on each other: v0 -> v1",
    ),
    "layers in a block": (lambda: net("- dense: {layers: 2147483647, growth: 1}"), LAYERS),
    "joints in a block": (
        lambda: net("- dual_path: {layers: 20000, filters: 4, growth: 1, width: 1}"),
        LAYERS,
    ),
    "columns": (lambda: net("- fractal: {filters: 4, columns: 16}"), LAYERS),
    "blocks in a loop": (
        lambda: net("- {repeat: 10000, fire: {squeeze: 1, expand1x1: 1, expand3x3: 1}}"),
        LAYERS,
    ),
    "an extent that grows": (
        lambda: net("- {repeat: 10000, branches: [[], []], merge: concat}"),
        "limit: `concat` would give 8x8x3221225472",
    ),
    "an enormous window": (
        lambda: net("- conv: {filters: 2147483647, kernel: 2147483647, padding: 2147483647}"),
        "limit: `convolution` would give 2147483656x2147483656x2147483647",
    ),
    "an enormous vector": (
        lambda: net("- flatten", extent="[2147483647, 2147483647, 2147483647]"),
        "limit: `flatten` would give 9903520300447984150353281023",
    ),
    "an enormous number": (lambda: net(f"- conv: {'9' * 100}"), "value: `filters` of `conv`"),
    "a long list": (
        lambda: net(f"- mlpconv: {{kernel: 1, filters: [{'3, ' * 50_000}3]}}"),
        "limit: a list of 50,001 is longer than 1,000",
    ),
    "a long name": (
        lambda: net(f"- {{name: {'x' * 500_000}, softmax: {{}}}}"),
        'value: a step cannot be called "xxx',
    ),
    "a long kind": (lambda: net(f"- {'x' * 500_000}"), "unknown-kind: there is no kind"),
    "a long path": (
        lambda: net("- " + f"{{name: {'x' * 64}, layers: [" * 20 + "softmax" + "]}" * 20),
        "limit: the path of a step is longer than 1,000 characters",
    ),
    "steps of no kind": (lambda: net(many("- cnv@\n", 40_000)), "unknown-kind: there is no kind"),
    "keys of no meaning": (
        lambda: net("- softmax\n" + many("lay@: 3\n", 40_000).rstrip()),
        "unknown-key: `lay0` is not a key here",
    ),
    "arguments of no meaning": (
        lambda: net(f"- conv: {{{many('f@: 3', 40_000, ', ')}}}"),
        "unknown-key: `conv` has no argument `f0`",
    ),
    "variables of no meaning": (
        lambda: net("- conv: =vx\n" * 2_000, "vars:\n" + many("  v@: 3\n", 20_000)),
        "unknown-name: `vx` is not defined",
    ),
    "names of no meaning": (
        lambda: net("- {repeat: 10000, softmax: {}}\n" + many("- {fc: 1, from: s@}\n", 9_000)),
        "unknown-name: no step before this one is called `s0`",
    ),
    "variants of no meaning": (
        lambda: net("- softmax", "variants:\n" + many("  v@: {x: 3}\n", 20_000)),
        "unknown-name: variant `v0` sets `x`",
    ),
    "wrong values": (
        lambda: net(f"- conv: {{filters: 3, kernel: [{'-1, ' * 999}-1]}}\n" * 90),
        "value: `kernel` of `conv` must be",
    ),
    "aliases of aliases": (
        lambda: net("- softmax", "a0: &a0 [1]\n" + many("a^: &a^ [*a@, *a@, *a@, *a@]\n", 10)),
        "limit: the spec holds more than 100,000 values",
    ),
    "strides of an open extent": (
        lambda: net("- {repeat: 10000, max_pool: {size: 2, padding: same}}", extent=OPEN),
        "limit: the formula of an extent has more than 200 characters",
    ),
    "an open extent, multiplied": (
        lambda: net("- {repeat: 10000, upsample: 2}", extent=OPEN),
        "limit: `upsample` would give 2147483648*height x 2147483648*width x 3: an extent over",
    ),
    "an open extent, multiplied at once": (
        lambda: net(
            "- {repeat: 10000, transposed_conv: {filters: 1, kernel: 3, stride: 2147483647}}",
            extent=OPEN,
        ),
        "limit: `transposed_convolution` would give 4611686014132420609*height x",
    ),
    "a sum of many divisions": (
        lambda: net(
            many("- {name: p^, from: input, max_pool: {size: ^, stride: ^, padding: same}}\n", 900)
            + f"- {{concat: {{axis: length}}, from: [p1, {many('p^', 900, ', ')}]}}",
            extent="[null, 3]",
        ),
        "limit: a formula in the input's size has more than 500 terms",
    ),
    "costs of many strides": (
        lambda: net(
            "- branches:\n"
            + many("  - [{conv: {filters: 1, kernel: 1, stride: ^}}, resize: 8]\n", 600)
            + "  merge: concat",
            extent=OPEN,
        ),
        "limit: a formula in the input's size has more than 500 terms",
    ),
    "nesting": (lambda: net("- " + "[" * 100_000), "limit: the spec is nested more"),
    "text": (lambda: "# " + "x" * 5_000_000, "limit: the spec is larger than 1 MiB"),
}

BUILT: dict[str, tuple[Callable[[], str], int]] = {
    "a chain of variables": (
        lambda: net(
            "- pad_channels: =v0", "vars:\n" + many("  v@: =v^\n", 10_000) + "  v10000: 9\n"
        ),
        2,
    ),
    "as many repeats as may be": (
        lambda: net(f"- {{repeat: {MOST_REPEATS}, softmax: {{}}}}"),
        10_001,
    ),
    "many variables in a long loop": (
        lambda: net("- {repeat: 10000, layers: [softmax]}", "vars:\n" + many("  v@: 3\n", 30_000)),
        10_001,
    ),
    "many branches": (
        lambda: net(f"- {{branches: [{many('[softmax]', 9_000, ', ')}], merge: concat}}"),
        9_002,
    ),
    "many arguments": (
        lambda: net(
            "- b", f"blocks: {{b: {{args: {{{many('a@: 1', 5_000, ', ')}}}, layers: [softmax]}}}}\n"
        ),
        2,
    ),
    "a chain of defaults": (
        lambda: net(
            "- b",
            "blocks: {b: {args: {"
            + many("a@: =a^", 9_000, ", ")
            + ", a9000: 1}, layers: [softmax]}}\n",
        ),
        2,
    ),
    "a chain of variables of a group": (
        lambda: net(
            "- {let: {a0: 1, "
            + many("a^: =a@ + 1", 9_000, ", ")
            + "}, layers: [pad_channels: =a9000]}"
        ),
        2,
    ),
    "an open extent, padded again and again": (
        lambda: net("- {repeat: 10000, pad: 1}", extent=OPEN),
        10_001,
    ),
    "the deepest text": (lambda: net("  " + "[layers: " * 31 + "[softmax]" + "]" * 31), 2),
}


READ = r"""
import re, resource, sys
from pathlib import Path
from archspec.compile.expand import expand
from archspec.errors import SpecError
from archspec.spec.loading import load

resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
try:
    print(len(expand(load(sys.argv[1])).nodes), "layers")
except SpecError as error:
    print(f"{error.diagnostics[0].code}: {error.diagnostics[0].message}")
# What getrusage says of a process includes its parent's memory before it became itself.
print(int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def measured(text: str, tmp_path: Path) -> str:
    """Return the result of a spec in a separate process with bounded memory."""
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    done = run(path, code=READ)
    assert (done.returncode, done.stderr) == (0, "")
    result, _, megabytes = done.stdout.strip().rpartition("\n")
    assert int(megabytes) < MOST_MEGABYTES
    return result


@pytest.mark.parametrize("case", share_of(REFUSED))
def test_too_much_is_refused(case, tmp_path):
    text, expected = REFUSED[case]
    assert measured(text(), tmp_path).startswith(expected)


@pytest.mark.parametrize("case", share_of(BUILT))
def test_much_is_built(case, tmp_path):
    text, layers = BUILT[case]
    assert measured(text(), tmp_path) == f"{layers} layers"


def deep(levels: int) -> str:
    """Steps `levels` deep, in groups and blocks alternately."""
    blocks = many("  b^: {layers: [layers: [b@]]}\n", levels // 2 - 1)
    return net(f"- b{levels // 2 - 1}", "blocks:\n  b0: {layers: [layers: [softmax]]}\n" + blocks)


def test_steps_are_as_deep_as_they_may_be():
    assert len(expand(spec_of(deep(DEEPEST))).nodes) == 2
    with pytest.raises(SpecError, match="nested more than 64 deep"):
        expand(spec_of(deep(DEEPEST + 2)))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x00\x01\x02" * 100, "file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "file"),
        (b"\xff\xfe" + "name: net".encode("utf-16-le"), "file"),
        (b"PK\x03\x04", "file"),
        (b"", "missing"),
        (b"\t", "syntax"),
        (b"[" * 2**20, "limit"),
        (b"a" * (2**20 + 1), "limit"),
    ],
    ids=["NUL", "an image", "UTF-16", "an archive", "nothing", "a tab", "brackets", "letters"],
)
def test_a_file_that_is_no_spec(content, code, tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load(path)
    assert [found.code for found in caught.value.diagnostics] == [code]
    assert {found.file for found in caught.value.diagnostics} == {str(path)}
