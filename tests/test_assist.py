"""Help while a spec is written: each feature as a table of texts and answers.

`|` is where the cursor is. Texts that begin with two spaces and a dash are steps of a small spec.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from test_diagnostics import CASES
from test_diagnostics import HEADER as BARE

from archspec.assist import language, sketch
from archspec.assist.completion import Completion, completions
from archspec.assist.definition import definition, references
from archspec.assist.diagnostics import mistakes
from archspec.assist.document import Document, Region
from archspec.assist.fixes import Fix, fix_of, fixes
from archspec.assist.hints import hints
from archspec.assist.hover import hover
from archspec.assist.lenses import lenses
from archspec.assist.outline import Symbol, outline
from archspec.assist.places import Lines
from archspec.spec.bundled import bundled
from archspec.spec.source import parse

HEADER = """\
name: net
input: [32, 32, 3]
vars: {n: 3, wide: true}
blocks:
  mine: {about: A block., args: {width: int}, layers: [conv: =width]}
layers:
"""


def document(text: str) -> tuple[Document, int]:
    """Return a document and the place of its cursor."""
    text = HEADER + text if text.startswith(("  -", "  |")) else text
    before, _, after = text.partition("|")
    return Document(before + after), len(before)


def complete(text: str) -> dict[str, Completion]:
    return {each.label: each for each in completions(*document(text))}


# Which texts are specs.


@pytest.mark.parametrize(
    ("text", "is_spec"),
    [
        ("input: [8, 8, 3]\nlayers: [softmax]\n", True),
        ("layers:\n  - softmax\n'input': 3\n", True),
        ('{"input": [8], "layers": []}', True),
        ("# yaml-language-server: $schema=archspec.schema.json\n", True),
        ("# $schema=../other.json\nname: x\n", False),
        ("name: x\nlayers: [softmax]\n", False),
        ("a:\n  input: 1\n  layers: 2\n", False),
        ('{"a": {"input": 1, "layers": 2}}', False),
        ("services: {}\n", False),
        ("", False),
    ],
)
def test_a_text_is_a_spec_if_it_has_input_and_layers_at_the_top_or_says_so(text, is_spec):
    assert Document(text).is_spec == is_spec


def test_a_spec_stays_one_while_one_of_its_keys_is_rewritten():
    spec = Document("input: [8, 8, 3]\nlayers: [softmax]\n")
    half = spec.edited("inpt: [8, 8, 3]\nlayers: [softmax]\n")
    assert half.is_spec
    assert not half.edited("other: 1\n").is_spec


# Sketches.


def plain(node: sketch.Node | None) -> object:
    if isinstance(node, sketch.Mapping):
        return {entry.name: plain(entry.value) for entry in node.entries}
    if isinstance(node, sketch.Sequence):
        return [plain(entry.value) for entry in node.entries]
    return node.text if node else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb:\n  - x\n  - y: 2\n", {"a": "1", "b": ["x", {"y": "2"}]}),
        ("b:\n- x\n- y\nc: 1\n", {"b": ["x", "y"], "c": "1"}),
        ("a: {b: 1, c: [2, 3]} # d\n", {"a": {"b": "1", "c": ["2", "3"]}}),
        ("a: {b: 1,\n  c: 2}\nd: 3\n", {"a": {"b": "1", "c": "2"}, "d": "3"}),
        ("a:\n  - b: {c\n  - d: 2\n", {"a": [{"b": {"c": None}}, {"d": "2"}]}),
        ("a: [1, {b: 2, c: [3\nd: 4\n", {"a": ["1", {"b": "2", "c": ["3"]}], "d": "4"}),
        ("a:\n  - b: 1\n    c\n  - d\n", {"a": [{"b": "1", "c": None}, "d"]}),
        ("a:\n  - b: 1\n  c\nd: 2\n", {"a": [{"b": "1"}, "c"], "d": "2"}),
        ("a:\n    b: 1\n  c: 2\n", {"a": {"b": "1"}, "c": "2"}),
        ("a: >\n  long: text\n  more\nb: 1\n", {"a": ">\n  long: text\n  more", "b": "1"}),
        ("a: one\n  two\nb: 1\n", {"a": "one", "b": "1"}),
        ("\"a b\": 'x: y'\n", {"a b": "x: y"}),
        ("a: &x [1]\nb: *x\n", {"a": ["1"], "b": "*x"}),
        ("- - a\n  - b\n- c\n", [["a", "b"], "c"]),
        ("a: [b]}\nc: 1\n", {"a": ["b"], "c": "1"}),
        ("\ta: 1\n", {"a": "1"}),
        ("# nothing\n", None),
    ],
)
def test_a_sketch_is_what_the_author_is_about_to_write(text, expected):
    assert plain(sketch.sketch(text)) == expected


def alike(sketched: object, data: object) -> bool:
    """Whether a sketch has the structure of data; a sketch does not follow aliases."""
    if isinstance(sketched, str) and sketched.startswith("*"):
        return True
    if isinstance(data, dict) and isinstance(sketched, dict):
        return [*data] == [*sketched] and all(alike(sketched[key], data[key]) for key in data)
    if isinstance(data, list) and isinstance(sketched, list):
        return len(data) == len(sketched) and all(map(alike, sketched, data))
    return not isinstance(data, dict | list) and not isinstance(sketched, dict | list)


@pytest.mark.parametrize("family", bundled())
def test_a_sketch_of_a_right_text_has_the_structure_that_the_reader_finds(family):
    text = bundled()[family].read_text(encoding="utf-8")
    assert alike(plain(sketch.sketch(text)), parse(text).data)


def test_every_beginning_of_a_spec_can_be_sketched():
    text = bundled()["googlenet"].read_text(encoding="utf-8")
    for stop in range(0, len(text), 7):
        root = sketch.sketch(text[:stop])
        for path, node, is_key in sketch.scalars(root):
            assert 0 <= node.start <= node.stop <= stop, (path, is_key)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**6,
        "{a: " * 250_000,
        "- " * 500_000,
        "a:\n" * 300_000,
        "[\n" * 500_000,
        "a" * 500_000 + " " * 500_000,
        '"a\\' * 300_000,
    ],
    ids=lambda text: text[:4],
)
def test_a_hostile_text_is_sketched_within_bounds(text):
    assert sum(1 for _ in sketch.scalars(sketch.sketch(text))) <= 2 * 10**5


# Places.


def test_editors_count_utf_16_code_units_and_three_ends_of_lines():
    text = "a😀b\r\nc\rd\u2028e\nf"
    lines = Lines(text)
    assert [lines.position(text.index(each)) for each in "abcdef"] == [
        (0, 0), (0, 3), (1, 0), (2, 0), (2, 2), (3, 0),
    ]  # fmt: skip
    for offset in range(len(text)):
        if text[offset : offset + 1] != "\n" or text[offset - 1] != "\r":
            assert lines.offset(*lines.position(offset)) == offset
    assert lines.offset(0, 99) == text.index("\r\n")
    assert lines.offset(99, 0) == len(text)
    assert Lines(text, "utf-8").position(text.index("b")) == (0, 5)


# Mistakes.


def test_mistakes_are_those_of_all_variants_each_once():
    text = """\
name: net
input: [8, 8, 3]
vars: {n: 8}
variants: {a: {}, b: {n: 0}, c: {n: -1}}
layers:
  - {conv: =n, krnel: 3}
  - fc: 3
"""
    spec = Document(text)
    for variant in spec.to_examine():
        spec.examine(variant)
    found = [(each.diagnostic.message.partition(" must")[0], each.diagnostic.notes[-1:])
             for each in mistakes(spec)]  # fmt: skip
    assert found == [
        ("`krnel` is not allowed beside a kind", ()),
    ]
    spec = Document(text.replace(", krnel: 3", "").replace("  - fc", "  - flatten\n  - fc"))
    assert mistakes(spec) == ()
    assert spec.to_examine() == ("b", "c")
    for variant in spec.to_examine():
        spec.examine(variant)
    assert [each.diagnostic.notes for each in mistakes(spec)] == [("in b",), ("in c",)]


def test_a_mistake_is_marked_where_the_yaml_parser_ends_lines_otherwise_than_editors():
    text = "input: [8, 8, 3]\nname: 'a\u2028b'\nlayers:\n  - convv: 3\n"
    *_, kind = mistakes(Document(text))
    assert text[slice(*kind.region)] == "convv"


def mended(spec: Document, fix: Fix) -> str:
    (start, stop), text = fix.edit
    return spec.text[:start] + text + spec.text[stop:]


@cache
def fixable() -> dict[str, Document]:
    """Return those of the wrong specs of `test_diagnostics` that have a mistake with a fix.

    Those that reach a limit, which takes tens of thousands of steps, are left out.
    """
    specs = {
        title: Document((BARE + text if text.startswith("- ") else text), was_spec=True)
        for title, (text, _) in CASES.items()
        if not title.startswith("limits: ")
    }
    return {
        title: spec
        for title, spec in specs.items()
        if any(fix_of(spec, each) for each in mistakes(spec))
    }


def test_a_fix_of_any_mistake_makes_the_mistake_go():
    for title, spec in fixable().items():
        found = mistakes(spec)
        before = Counter(each.diagnostic.message for each in found)
        for each in found:
            fix = fix_of(spec, each)
            if fix is not None:
                left = mistakes(spec.edited(mended(spec, fix)))
                after = Counter(each.diagnostic.message for each in left)
                message = each.diagnostic.message
                assert after[message] < before[message], (title, fix)


def test_most_mistakes_with_a_suggestion_have_a_fix():
    assert len(fixable()) > 40


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("  - con|vv: 3\n", "  - conv: 3\n"),
        ("  - conv: {fliters|: 3}\n", "  - conv: {filters: 3}\n"),
        ('  - conv: {filters: 8, kernel: "3x3|"}\n', "  - conv: {filters: 8, kernel: [3, 3]}\n"),
        ("  - conv: =wid| * 2\n", "  - conv: =wide * 2\n"),
        ("  - conv: =wdie| + wdie\n", "  - conv: =wide + wide\n"),
        ("  - conv: {filters: =max(n, 4)|}\n", '  - conv: {filters: "=max(n, 4)"}\n'),
        ("  - relu|\n", "  - activation: relu\n"),
        ("  - relu|: {}\n", None),
        ("  - conv: 3\n    name: a-b|\n", "  - conv: 3\n    name: a_b\n"),
        ("  - conv:3|\n", "  - conv: 3\n"),
        ("  - conv: =in.chanels|\n", "  - conv: =in.channels\n"),
        ("  - softmax\ntrain: {optimizer: {adamm|: {}}}\n",
         "  - softmax\ntrain: {optimizer: {adam: {}}}\n"),
        ('{"name": "x", "input": [8, 8, 3], "layers": [{"convv|": 3}]}',
         '{"name": "x", "input": [8, 8, 3], "layers": [{"conv": 3}]}'),
        ('{"name": 1, "input": [8, 8], "layers": [{"max_pool": {"size": 2, "padding": "sam|"}}]}',
         '{"name": 1, "input": [8, 8], "layers": [{"max_pool": {"size": 2, "padding": "same"}}]}'),
    ],
)  # fmt: skip
def test_a_fix_replaces_the_wrong_word_and_nothing_else(wrong, right):
    spec, offset = document(wrong)
    found = fixes(spec, Region(offset, offset))
    if right is None:
        assert found == ()
        return
    (fix,) = found
    expected = HEADER + right if right.startswith("  -") else right
    assert mended(spec, fix) == expected


# Completion.


@pytest.mark.parametrize(
    ("text", "offered", "not_offered"),
    [
        ("  - con|\n", {"conv", "mine", "layers", "max_pool"}, {"filters", "train"}),
        ("  |\n", {"conv", "mine"}, {"train"}),
        ("  - conv: 3\n    |\n", {"name", "from", "repeat", "when"}, {"conv", "for", "merge"}),
        ("  - layers: [softmax]\n    |\n", {"for", "repeat"}, {"merge", "conv"}),
        ("  - conv: 3\n|\n", {"train", "defaults"}, {"layers", "conv", "name"}),
        ("  - conv: {fil|\n", {"filters", "kernel"}, {"conv", "name"}),
        ("  - conv: {filters: 3, |\n  - softmax\n", {"kernel", "norm"}, {"filters"}),
        ("  - conv: {filters: 3, norm: |}\n", {"batch", "null"}, {"relu", "kernel"}),
        ("  - conv: {filters: 3, bias: t|}\n", {"true", "false"}, {"same"}),
        ("  - mine: {|}\n", {"width"}, {"filters"}),
        ("  - branches: [[conv: {|\n    merge: add\n", {"filters"}, {"conv"}),
        ("  - branches: [[], []]\n    merge: |\n", {"add", "concat"}, {"conv"}),
        ("  - {conv: 3, name: a}\n  - add: |\n", {"a", "input"}, {"conv"}),
        ("  - {conv: 3, name: a}\n  - concat: [a, |]\n", {"a", "input"}, set()),
        ("  - {conv: 3, name: a}\n  - {conv: 3, from: |}\n  - {conv: 3, name: b}\n", {"a"}, {"b"}),
        ("  - {name: g, layers: [{conv: 3, name: a}]}\n  - {conv: 3, from: |}\n", {"g"}, {"a"}),
        ("  - conv: =|\n", {"n", "wide", "max", "in.channels"}, {"width", "index"}),
        ("  - {conv: =|, repeat: 2}\n", {"n", "index"}, set()),
        ("  - for: {f: [1]}\n    layers: [conv: =|]\n", {"f", "index", "n"}, {"width"}),
        ("  - conv: =in.|\n", {"in.channels", "in.height"}, {"n", "max"}),
        ("  - softmax\ntrain: {opt|}\n", {"optimizer", "epochs"}, {"layers"}),
        ("  - softmax\ntrain:\n  optimizer: |\n", {"adam", "sgd"}, {"true"}),
        ("  - softmax\ntrain: {optimizer: {sgd: {|}}}\n", {"momentum", "learning_rate"}, set()),
        ("  - softmax\ntrain: {callbacks: [ear|]}\n", {"early_stopping"}, {"adam"}),
        ("  - softmax\ntrain: {data: {source: |}}\n", {"digits", "folder"}, {"path"}),
        ("  - softmax\ntrain: {augment: [|]}\n", {"horizontal_flip", "mixup"}, set()),
        ("  - softmax\ndefaults:\n  |\n", {"conv", "mine", "batch_norm"}, {"layers"}),
        ("  - softmax\ndefaults: {conv: {|}}\n", {"norm"}, {"conv"}),
        ("  - softmax\nvariants: {a: {|}}\n", {"n", "wide", "input"}, {"width"}),
        ("  - softmax\npublished:\n  |\n", {"net"}, set()),
        ("  - softmax\nbudget: {|}\n", {"params", "macs"}, set()),
        ("  - softmax\nheads: {a: {|}}\n", {"from", "layers"}, {"conv"}),
        ("  - softmax # |\n", set(), {"conv"}),
        ("  - fc: 3\n  - >-\n    some|\n    text\n", set(), {"conv"}),
        ("  - fc: 3\n  - some|\n    text\n", set(), {"conv"}),
        ("", {"network", "family"}, set()),
        ("# a comment\nnet|\n", {"network"}, set()),
        ("services:\n  |\n", set(), {"conv", "layers"}),
        ("input: [32, 32, 3]\nvars: {a: [\nlayers:\n  - conv: {f|\n", {"filters"}, set()),
        ('{"input": [8, 8, 3], "layers": [{"conv": {"f|', {"filters"}, {"conv"}),
    ],
)  # fmt: skip
def test_what_is_offered(text, offered, not_offered):
    found = complete(text) if text else {each.label: each for each in completions(Document(""), 0)}
    assert offered <= found.keys()
    assert not not_offered & found.keys()


@pytest.mark.parametrize(
    ("text", "label", "result"),
    [
        ("  - con|\n", "conv", "  - conv: ${1:filters}\n"),
        ("  - fla|\n", "flatten", "  - flatten\n"),
        ("  |\n", "flatten", "  - flatten\n"),
        ("  - softmax\n  |\n", "flatten", "  - softmax\n  - flatten\n"),
        ("  - con|v: 3\n", "convolution", "  - convolution: 3\n"),
        ("  - max_pool: {padding: va|l}\n", "same", "  - max_pool: {padding: same}\n"),
        ("  - conv: =n + wi|de\n", "n", "  - conv: =n + n\n"),
        ("  - conv: =in.ch|\n", "in.channels", "  - conv: =in.channels\n"),
        ("  - softmax\nvar|\n", "variants", "  - softmax\nvariants:\n  $0\n"),
        ("  - softmax\nvar|: {}\n", "variants", "  - softmax\nvariants: {}\n"),
        ('  - {"con|": 3}\n', "conv", '  - {"conv": 3}\n'),
        ("  - 'con|'\n", "conv", "  - 'conv'\n"),
        ("  - inc|\n", "inception", None),
    ],
)  # fmt: skip
def test_what_an_offer_inserts(text, label, result):
    spec, _ = document(text)
    offer = complete(text)[label]
    (start, stop) = offer.region
    written = spec.text[:start] + offer.text + spec.text[stop:]
    if result is None:
        assert offer.text.startswith("inception: {conv1x1: ${1}, ")
    else:
        assert written == HEADER + result


def _mappings(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the mappings with known keys up to a depth."""
    keys = language.keys_at(path)
    if keys:
        yield path
    for key in keys if len(path) < 3 else ():
        yield from _mappings((*path, key))


def test_in_every_mapping_of_the_language_all_its_keys_are_offered():
    paths = [path for path in _mappings(()) if path[:1] not in {(), ("layers",), ("input",)}]
    assert {("expect",), ("train", "optimizer", "sgd"), ("budget",)} <= set(paths)
    for path in paths:
        opened = "".join(f"{'  ' * depth}{key}:\n" for depth, key in enumerate(path))
        text = f"{HEADER}  - softmax\n{opened}{'  ' * len(path)}"
        found = {each.label for each in completions(Document(text), len(text))}
        assert language.keys_at(path).keys() <= found, path


@pytest.mark.parametrize(
    ("layers", "label", "result"),
    [
        ("|", "conv", '{"conv": $1}'),
        ('"con|"', "conv", '"conv"'),
        ('{"con|": 3}', "conv", '{"conv": 3}'),
        ('{"conv": {|}}', "filters", '{"conv": {"filters": }}'),
        ('{"conv": {"fil|"}}', "filters", '{"conv": {"filters"}}'),
        ('{"conv": {"padding": |}}', "same", '{"conv": {"padding": "same"}}'),
        ('{"conv": {"bias": |}}', "false", '{"conv": {"bias": false}}'),
    ],
)  # fmt: skip
def test_an_offer_in_a_json_file_inserts_json(layers, label, result):
    before, after = (f'{{"input": [8, 8, 3], "layers": [{layers}').split("|")
    offers = completions(Document(f"{before}{after}]}}", "net.json"), len(before))
    offer = next(each for each in offers if each.label == label)
    (start, stop) = offer.region
    written = before[:start] + offer.text + (before + after)[stop:]
    assert written.endswith(f"[{result}")


@pytest.mark.parametrize("after", [0, 3_000])
def test_a_large_text_is_completed_by_what_is_near(after):
    step = "  - {conv: {filters: 8, kernel: 3}, name: a%d}\n"
    before = HEADER + "".join(step % n for n in range(3_000))
    rest = "".join(step % (n + 3_000) for n in range(after))
    text = f"{before}  - {{conv: =wi, from: a2999, na}}\n{rest}"
    spec, offset = Document(text), len(before) + len("  - {conv: =wi")
    offers = {each.label: each for each in completions(spec, offset)}
    assert offers["wide"].region == (offset - 2, offset)
    named = completions(spec, text.index("a2999, na") + 2)
    assert [each.label for each in named][:2] == ["a2999", "a2998"]
    offset = text.index("na}}\n".replace("}}", "}")) + 2
    offers = {each.label: each for each in completions(spec, offset)}
    assert "name" in offers
    assert "from" not in offers


def test_offers_are_in_the_same_order_every_time():
    known = ["name", "from", "repeat", "when", "for", "let", "merge", "layers", "branches", "share"]
    assert [label for label in complete("  - {|}\n") if label in known] == known


def test_offers_are_explained():
    offer = complete("  - conv: {|}\n")["padding"]
    assert offer.detail.endswith("valid by default")
    assert offer.about.startswith("Zeros around the input")
    assert complete("  - con|\n")["mine"].about == "A block."


# Hover.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  - con|v: 16\n", "Convolution, then optional normalisation"),
        ("  - con|v: 16\n", "`conv1` CONV3-16 → **30x30x16**"),
        ("  - con|v: 16\n", "params: (3*3*3)*16 = 432 (+16 biases)"),
        ("  - softma|x\n", "Softmax over the channels"),
        ("  - conv: {fil|ters: 16}\n", "Number of output channels."),
        ("  - conv: {filters: 16, activation: re|lu}\n", "**`relu`**"),
        ("  - {conv: 16, rep|eat: 2}\n", "Number of times that a step stands"),
        ("  - {co|nv: 16, repeat: 2}\n", "| `conv2` CONV3-16 | 28x28x16 | 2,320 |"),
        ("  - conv: =n| * 2\n", "**`n`**: 3 in `net`"),
        ("  - conv: =ma|x(n, 8)\n", "max(a, b, ...)"),
        ("  - conv: =in.chan|nels\n", "channels of the step's input"),
        ("  - mi|ne: 3\n", "block of this spec"),
        ("  - mine: {wid|th: 3}\n", "argument of the block `mine`"),
        ("  - {conv: 16, name: a}\n  - add: |a\n", "**30x30x16**"),
        ("  - softmax\ntr|ain: {}\n", "The recipe"),
        ("  - softmax\ntrain: {batch: 3, optimizer: {sgd: {mom|entum: 0.9}}}\n", "from 0 below 1"),
        ("  - convv: 3\n  - con|v: 3\n", "Convolution"),
    ],
)
def test_what_a_hover_says(text, expected):
    said = hover(*document(text))
    assert said is not None
    assert expected in said.markdown


GATED = """input: [8, 8, 3]
blocks:
  mine: {args: {depth: 3}, layers: [relu]}
layers:
  - residual: {filters: 8, gate: @}
"""


@pytest.mark.parametrize(
    ("gate", "offered"),
    [
        ("|", {"mine", "squeeze_excitation"}),
        ("{|}", {"mine", "squeeze_excitation", "when"}),
        ("{mine: {|}}", {"depth"}),
        ("{squeeze_excitation: {r|}}", {"ratio", "channels", "function"}),
        ("{squeeze_excitation: {function: |}}", {"sigmoid", "hard_sigmoid"}),
    ],
)
def test_a_gate_is_completed_as_a_step_is(gate, offered):
    assert complete(GATED.replace("@", gate)).keys() >= offered


def test_a_gate_is_explained_and_defined_as_a_step_is():
    explained = {
        "squeeze_exc|itation": "**`squeeze_excitation`** (block)",
        "{squeeze_excitation: {ra|tio: 4}}": "**`ratio`** of `squeeze_excitation`",
        "{mi|ne: {depth: 2}}": "**`mine`** (block of this spec)",
    }
    for gate, beginning in explained.items():
        said = hover(*document(GATED.replace("@", gate)))
        assert said is not None
        assert said.markdown.startswith(beginning)
    for gate in ("mi|ne", "{mi|ne: {depth: 2}}"):
        spec, offset = document(GATED.replace("@", gate))
        region = definition(spec, offset)
        assert region is not None
        assert spec.text[region.start :].startswith("mine: {args")


def test_a_hover_has_nothing_to_say_about_comments_and_other_files():
    assert hover(*document("  - softmax # co|nv\n")) is None
    assert hover(Document("conv: 3\n"), 2) is None


# Hints.


def hinted(spec: Document) -> dict[int, str]:
    lines = Lines(spec.text)
    return {lines.position(each.offset)[0]: each.text for each in hints(spec)}


STEPS = """\
  - {conv: 16, name: stem}
  - name: stage
    for: {f: [16, 32]}
    layers:
      - {conv: =f, repeat: 2}
      - max_pool: 2
  - {dropout: 0.5, when: =not wide}
  - mine: 8
"""


def test_hints_stand_behind_steps_and_a_loop_has_a_range():
    spec, _ = document(STEPS)
    assert hinted(spec) == {
        4: "2x2x8 · 2.31K params · 9.22K MACs",  # in the block, which is used once
        6: "30x30x16 · 448 params · 389K MACs",
        7: "2 x 13x13x16...4x4x32 · 4.64K...13.9K params · 1.30M...3.36M MACs each",
        10: "4 x 28x28x16...9x9x32 · 2.32K...9.25K params · 558K...1.81M MACs each",
        11: "2 x 13x13x16...4x4x32",
        12: "not in net",
        13: "2x2x8 · 2.31K params · 9.22K MACs",
    }


@pytest.mark.parametrize(
    ("old", "new", "first", "by", "gone"),
    [
        ("  - mine: 8", "  - mine: 8\n  - {", 99, 0, set()),
        ("      - max_pool: 2", "      - max_pool: {", 99, 0, set()),
        ("  - {conv: 16, name", "  - {\n  - {conv: 16, name", 6, 1, set()),
        ("=f, repeat: 2}\n      - max_pool: 2\n", "=f, repeat: [}\n", 12, -1, {11}),
    ],
)
def test_while_a_text_is_broken_hints_stay_where_their_lines_go(old, new, first, by, gone):
    spec, _ = document(STEPS)
    before = hinted(spec)
    broken = spec.edited(spec.text.replace(old, new))
    assert broken.report is None
    after = hinted(broken)
    for line in before.keys() - gone:
        assert after[line + by if line >= first else line] == before[line]


def test_a_document_keeps_one_state_from_before_and_no_more():
    spec, _ = document("  - softmax\n")
    assert spec.report is not None
    for n in range(50):
        spec = spec.edited(f"{spec.text}  - [{n}\n")
        assert spec.report is None
    assert spec.before is not None
    assert spec.before.text.endswith("  - softmax\n")


# Names.


NAMED = """\
  - {conv: 3, name: stem}
  - {conv: 3, name: u, repeat: 3}
  - add: u2
  - layers:
      - {conv: 3, name: stem}
      - {conv: 3, from: stem}
      - {add: conv1, from: input}
    name: g
  - {mine: =n, from: g/stem}
"""


COMPUTED = """\
name: net
input: [8, 8, 3]
blocks:
  both:
    inputs: [below, skip]
    let: {wide: =skip.channels}
    layers: [add: skip, conv: {filters: =wide, kernel: 1}]
layers:
  - {conv: 3, name: stem}
  - for: {i: =range(2)}
    layers: [{name: ="s" + str(i), softmax: {}}]
  - let: {w: =stem.channels}
    layers: [{both: , from: {skip: s1}}]
  - add: =["s0", "both1"]
"""


@pytest.mark.parametrize(
    ("text", "cursor", "target"),
    [
        (HEADER + NAMED, "add: u|2", "u, repeat"),
        (HEADER + NAMED, "from: ste|m", "stem}\n      - {conv: 3, from"),
        (HEADER + NAMED, "from: g/st|em", "stem}\n      - {conv: 3, from"),
        (HEADER + NAMED, "{mi|ne: =n", "mine: {about"),
        (HEADER + NAMED, "mine: =|n", "n: 3, wide"),
        (HEADER + NAMED, "conv: =wid|th", "width: int"),
        (HEADER + NAMED, "from: in|put", None),
        (HEADER + NAMED, "name: st|em", None),
        (COMPUTED, "=st|em.channels", "stem}"),
        (COMPUTED, "{skip: s|1}", '="s" + str(i)'),
        (COMPUTED, '"s|0"', '="s" + str(i)'),
        (COMPUTED, '"bo|th1"', "both: , from"),
        (COMPUTED, "from: {sk|ip", "skip]\n    let"),
        (COMPUTED, "add: sk|ip", "skip]\n    let"),
        (COMPUTED, "=sk|ip.channels", "skip]\n    let"),
        (COMPUTED, "filters: =wi|de", "wide: =skip"),
        (COMPUTED, "w: =ste|m", "stem}"),
    ],
)
def test_where_a_name_is_defined(text, cursor, target):
    before, _, after = cursor.partition("|")
    offset = text.index(before + after) + len(before)
    spec = Document(text)
    if text == COMPUTED:  # what computed names are is known once the text was examined
        assert spec.report is not None
    region = definition(spec, offset)
    assert (region and region.start) == (text.index(target) if target else None)


def test_references_are_all_uses_in_scope():
    text = HEADER + NAMED
    spec = Document(text)
    uses = references(spec, text.index("stem}\n      - {conv: 3, from"))
    assert [text[: use.start].count("\n") + 1 for use in uses] == [11, 12, 15]
    assert references(spec, text.index("n: 3, wide"))[-1].start == text.index("=n") + 1


# Outline and lenses.


def test_the_outline_has_sections_steps_and_what_is_in_them():
    spec, _ = document(STEPS + "  - branches: {left: [conv: 3], right: []}\n    merge: concat\n")

    def names(symbols: tuple[Symbol, ...]) -> list[object]:
        return [(each.name, names(each.children)) if each.children else each.name
                for each in symbols]  # fmt: skip

    assert names(outline(spec)) == [
        "name",
        "input",
        ("vars", ["n", "wide"]),
        ("blocks", [("mine", ["conv"])]),
        (
            "layers",
            [
                "stem: conv",
                ("stage: layers", ["conv", "max_pool"]),
                "dropout",
                "mine",
                ("branches", [("left", ["conv"]), "right"]),
            ],
        ),
    ]
    for symbol in outline(spec):
        assert symbol.region.start <= symbol.selection.start
        assert symbol.selection.stop <= symbol.region.stop


def test_lenses_show_totals_and_another_variant_can_be_shown():
    spec = Document(bundled()["vgg"].read_text(encoding="utf-8"))
    for variant in spec.to_examine():
        spec.examine(variant)
    first, *variants = lenses(spec)
    assert first.text.startswith("vgg11: 133M params · 7.61G MACs")
    assert [each.variant for each in variants][:2] == [None, "vgg11_lrn"]
    spec = spec.showing("vgg16")
    assert lenses(spec)[0].text.startswith("vgg16: 138M params · 15.5G MACs")


# Nothing but the document.

EVENTS: list[str] = []
WATCHED = ("open", "os.", "socket.", "subprocess.", "exec", "import", "shutil.")


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if EVENTS and event.startswith(WATCHED):
        EVENTS.append(f"{event} {arguments}")


def help_everywhere(text: str) -> None:
    spec = Document(text)
    mistakes(spec), hints(spec), outline(spec), lenses(spec)
    for offset in range(0, len(text), 3):
        completions(spec, offset)
        hover(spec, offset)
        definition(spec, offset)


def test_nothing_but_the_document_is_read_and_nothing_in_it_is_executed():
    text = HEADER + NAMED + "train: {data: {source: folder, path: /etc}, optimiser: sgd}\n"
    help_everywhere(text)  # modules and docstrings are loaded now
    sys.addaudithook(watch)
    EVENTS.append("begun")
    try:
        help_everywhere(text.replace("/etc", "/etc/passwd").replace("mine", "ours"))
        assert EVENTS == ["begun"]
    finally:
        EVENTS.clear()
