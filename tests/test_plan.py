"""The language of steps, as tables: what is written, and the network that it is.

A case is a title, steps, `=>` and the network, one layer a line: its name, its shape, and `<-` with
its inputs where these are not just the layer before it.
"""

import pytest
from support.specs import spec_of

import archspec.compile.expand
import archspec.graph.builder
from archspec.compile.expand import expand
from archspec.errors import SpecError
from archspec.graph.graph import Graph


def network(graph: Graph) -> str:
    lines = []
    for node in graph.nodes[1:]:
        sources = [graph.nodes[index].name for index in node.inputs]
        before = [graph.nodes[node.index - 1].name]
        arrow = "" if sources == before else f" <- {', '.join(sources)}"
        lines.append(f"{node.name} {node.shape}{arrow}")
    return "\n".join(lines)


def cases(text: str) -> pytest.MarkDecorator:
    """A test for each case of a table."""
    parts = [case.partition("\n") for case in text.split("\n# ")[1:]]
    split = [rest.partition("\n=>\n") for _, _, rest in parts]
    return pytest.mark.parametrize(
        ("layers", "expected"),
        [(layers, expected.strip()) for layers, _, expected in split],
        ids=[title for title, _, _ in parts],
    )


def of_layers(layers: str) -> str:
    """The network of some steps, those included that nothing takes: it keeps the cases short."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (archspec.compile.expand, archspec.graph.builder):
            patch.setattr(module, "reaching", lambda nodes, _: [True] * len(nodes))
        return network(expand(spec_of(f"name: net\ninput: [8, 8, 3]\nlayers:\n{layers}")))


ARGUMENTS = """
# a kind alone
- softmax
=>
softmax1 8x8x3

# a kind and nothing
- softmax:
=>
softmax1 8x8x3

# a mapping of no arguments
- softmax: {}
=>
softmax1 8x8x3

# a value for the main argument
- convolution: {filters: 4, kernel: 3}
- dropout: 0.5
=>
convolution1 6x6x4
dropout1 6x6x4

# a list for the main argument
- reshape: [4, 16, 3]
=>
reshape1 4x16x3

# all arguments by name
- max_pool: {size: 2, stride: 1, padding: same}
=>
max_pool1 8x8x3

# in block style
- max_pool:
    size: [2, 4]
  name: pool
=>
pool 4x2x3

# null where an argument may be null
- conv: {filters: 4, norm: null}
=>
conv1/convolution 6x6x4

# a whole number where a number may stand
- dropout: 0
=>
dropout1 8x8x3
"""


@cases(ARGUMENTS)
def test_arguments(layers, expected):
    assert of_layers(layers) == expected


NAMES = """
# without a name, the kind and a number
- softmax
- flatten
- softmax
=>
softmax1 8x8x3
flatten1 192
softmax2 192

# a name counts for no other
- {softmax: {}, name: s}
- softmax
=>
s 8x8x3
softmax1 8x8x3

# a number that is taken is passed over
- {flatten: {}, name: softmax1}
- softmax
=>
softmax1 192
softmax2 192

# a block's layers stand below it
- {conv: {filters: 4, activation: relu}, name: stem}
=>
stem/convolution 6x6x4
stem/activation 6x6x4

# a repeated step has its number after its name
- {softmax: {}, name: s, repeat: 2}
=>
s1 8x8x3
s2 8x8x3

# even if it is repeated once
- {softmax: {}, name: s, repeat: 1}
=>
s1 8x8x3

# a group with a name is a scope
- {name: g, layers: [softmax, softmax]}
- softmax
=>
g/softmax1 8x8x3
g/softmax2 8x8x3
softmax1 8x8x3

# a group without is only brackets
- layers: [softmax, softmax]
- softmax
=>
softmax1 8x8x3
softmax2 8x8x3
softmax3 8x8x3

# scopes in scopes, rounds in rounds
- repeat: 2
  name: stage
  layers: [{repeat: 2, name: unit, layers: [softmax]}]
=>
stage1/unit1/softmax1 8x8x3
stage1/unit2/softmax1 8x8x3
stage2/unit1/softmax1 8x8x3
stage2/unit2/softmax1 8x8x3

# a name may be computed
- for: {size: [1, 2]}
  layers: [{max_pool: =size, name: "='pool' if size > 1 else 'none'"}]
=>
none 8x8x3
pool 4x4x3
"""


@cases(NAMES)
def test_names(layers, expected):
    assert of_layers(layers) == expected


LOOPS = """
# repeat is a chain
- {convolution: {filters: 4, kernel: 3}, repeat: 3}
=>
convolution1 6x6x4
convolution2 4x4x4
convolution3 2x2x4

# repeat counts from 0 in index
- {repeat: 3, convolution: {filters: =index + 1, kernel: 1}}
=>
convolution1 8x8x1
convolution2 8x8x2
convolution3 8x8x3

# repeat of 0 is nothing
- {repeat: 0, flatten: {}}
- softmax
=>
softmax1 8x8x3

# repeat may be computed
- {repeat: =in.channels - 1, softmax: {}}
=>
softmax1 8x8x3
softmax2 8x8x3

# for zips its lists
- for: {filters: [4, 5], kernel: [1, 3]}
  layers: [convolution: {filters: =filters, kernel: =kernel}]
=>
convolution1 8x8x4
convolution2 6x6x5

# for has an index as well
- for: {filters: [4, 5]}
  layers: [convolution: {filters: =filters * 10 + index, kernel: 1}]
=>
convolution1 8x8x40
convolution2 8x8x51

# for may compute a list, or items of one
- for: {a: "=range(2, 4)", b: [=in.channels, =1 + 1]}
  layers: [pad_channels: =a * b]
=>
pad_channels1 8x8x6
pad_channels2 8x8x6

# for over nothing is nothing
- for: {a: []}
  layers: [flatten]
- softmax
=>
softmax1 8x8x3

# the innermost loop has the index
- for: {a: [10, 20]}
  layers: [{repeat: 2, pad_channels: =a + index}]
=>
pad_channels1 8x8x10
pad_channels2 8x8x11
pad_channels3 8x8x20
pad_channels4 8x8x21

# an inner loop sees the outer's variables
- for: {a: [4, 5]}
  layers:
  - for: {b: [=a, =a + 1]}
    layers: [pad_channels: =a * b]
=>
pad_channels1 8x8x16
pad_channels2 8x8x20
pad_channels3 8x8x25
pad_channels4 8x8x30

# a merge may be repeated
- {name: s, softmax: {}}
- {add: s, repeat: 2}
=>
s 8x8x3
add1 8x8x3 <- s, s
add2 8x8x3 <- add1, s

# a repeated step takes its inputs by name once
- {name: s, softmax: {}}
- flatten
- {softmax: {}, from: s, repeat: 2}
=>
s 8x8x3
flatten1 192
softmax1 8x8x3 <- s
softmax2 8x8x3
"""


@cases(LOOPS)
def test_loops(layers, expected):
    assert of_layers(layers) == expected


WHEN = """
# true
- {flatten: {}, when: true}
=>
flatten1 192

# false leaves the step out
- {flatten: {}, when: false}
- softmax
=>
softmax1 8x8x3

# computed from the input
- {max_pool: 2, repeat: 5, when: =in.height > 2}
=>
max_pool1 4x4x3
max_pool2 2x2x3

# computed in every round
- {max_pool: 2, repeat: 3, when: =index == 1, name: p}
=>
p2 4x4x3

# of a group
- {layers: [flatten], when: =in.rank == 3}
- softmax
=>
softmax1 8x8x3

# an item chosen by the index
- for: {filters: [4, 5], pool: [false, true]}
  layers: [{convolution: {filters: =filters, kernel: 1}}, {max_pool: 2, when: =pool}]
=>
convolution1 8x8x4
convolution2 8x8x5
max_pool1 4x4x5
"""


@cases(WHEN)
def test_when(layers, expected):
    assert of_layers(layers) == expected


FROM = """
# a name
- {flatten: {}, name: a}
- softmax
- {softmax: {}, from: a}
=>
a 192
softmax1 192
softmax2 192 <- a

# a list of names
- {softmax: {}, name: a}
- softmax
- {add: {}, from: [a, softmax1, input]}
=>
a 8x8x3
softmax1 8x8x3
add1 8x8x3 <- a, softmax1, input

# a list of one name
- flatten
- {softmax: {}, from: [input]}
=>
flatten1 192
softmax1 8x8x3 <- input

# a block by its last layer
- {name: a, conv: 4}
- flatten
- {softmax: {}, from: a}
=>
a/convolution 6x6x4
flatten1 144
softmax1 6x6x4 <- a/convolution

# a group by its last step
- {name: g, layers: [softmax]}
- flatten
- {softmax: {}, from: g}
=>
g/softmax1 8x8x3
flatten1 192
softmax1 8x8x3 <- g/softmax1

# a step inside a group
- {name: g, layers: [softmax, flatten]}
- {softmax: {}, from: g/softmax1}
=>
g/softmax1 8x8x3
g/flatten1 192
softmax1 8x8x3 <- g/softmax1

# a step around the group
- {name: a, softmax: {}}
- flatten
- {name: g, layers: [{softmax: {}, from: a}]}
=>
a 8x8x3
flatten1 192
g/softmax1 8x8x3 <- a

# the nearest of two of one name
- {name: a, flatten: {}}
- name: g
  layers: [{name: a, softmax: {}, from: input}, softmax, {softmax: {}, from: a}]
=>
a 192
g/a 192
g/softmax1 192
g/softmax2 192 <- g/a

# one round of a loop
- {name: p, max_pool: 2, repeat: 3}
- {softmax: {}, from: p2}
=>
p1 4x4x3
p2 2x2x3
p3 1x1x3
softmax1 2x2x3 <- p2

# input is that of the network
- flatten
- {softmax: {}, from: input}
=>
flatten1 192
softmax1 8x8x3 <- input

# input is that of the group, with or without a name
- max_pool: 2
- layers: [flatten, {softmax: {}, from: input}]
- {name: g, layers: [flatten, {softmax: {}, from: input}]}
=>
max_pool1 4x4x3
flatten1 48
softmax1 4x4x3 <- max_pool1
g/flatten1 48
g/softmax1 4x4x3 <- softmax1

# input is that of the round
- repeat: 2
  layers: [softmax, add: input]
=>
softmax1 8x8x3
add1 8x8x3 <- softmax1, input
softmax2 8x8x3
add2 8x8x3 <- softmax2, add1

# a group that starts elsewhere
- flatten
- {from: input, layers: [softmax, add: input]}
=>
flatten1 192
softmax1 8x8x3 <- input
add1 8x8x3 <- softmax1, input

# in is what the name brings
- flatten
- {from: input, pad_channels: =in.channels * 2}
=>
flatten1 192
pad_channels1 8x8x6 <- input
"""


@cases(FROM)
def test_from(layers, expected):
    assert of_layers(layers) == expected


MERGES = """
# a name: with the step before
- softmax
- add: input
=>
softmax1 8x8x3
add1 8x8x3 <- softmax1, input

# a list: these and no others
- softmax
- softmax
- concat: [input, softmax1]
=>
softmax1 8x8x3
softmax2 8x8x3
concat1 8x8x6 <- input, softmax1

# one input may be there twice
- mean: [input, input]
=>
mean1 8x8x3 <- input, input

# with arguments, and from
- {join: {rate: 0.5}, from: [input, input]}
=>
join1 8x8x3 <- input, input

# side by side
- {branches: [[softmax], [pad_channels: 4]], merge: concat}
=>
branches1/branch1/softmax1 8x8x3
branches1/branch2/pad_channels1 8x8x4 <- input
branches1/concat 8x8x7 <- branches1/branch1/softmax1, branches1/branch2/pad_channels1

# [] is the identity
- {branches: [[softmax], []], merge: add}
=>
branches1/branch1/softmax1 8x8x3
branches1/add 8x8x3 <- branches1/branch1/softmax1, input

# branches with names
- {name: b, branches: {left: [softmax], right: []}, merge: multiply}
- {softmax: {}, from: b/left}
=>
b/left/softmax1 8x8x3
b/multiply 8x8x3 <- b/left/softmax1, input
softmax1 8x8x3 <- b/left/softmax1

# input is that of the branches
- {branches: [[], [softmax, add: input]], merge: max}
=>
branches1/branch2/softmax1 8x8x3
branches1/branch2/add1 8x8x3 <- branches1/branch2/softmax1, input
branches1/max 8x8x3 <- input, branches1/branch2/add1

# a branch may take from one before it
- {branches: [[softmax], [{softmax: {}, from: branch1}]], merge: mean}
=>
branches1/branch1/softmax1 8x8x3
branches1/branch2/softmax1 8x8x3
branches1/mean 8x8x3 <- branches1/branch1/softmax1, branches1/branch2/softmax1

# branches in branches
- {branches: [[], [{branches: [[], []], merge: add}]], merge: concat}
=>
branches1/branch2/branches1/add 8x8x3 <- input, input
branches1/concat 8x8x6 <- input, branches1/branch2/branches1/add

# repeated
- {branches: [[], []], merge: concat, repeat: 2, name: b}
=>
b1/concat 8x8x6 <- input, input
b2/concat 8x8x12 <- b1/concat, b1/concat

# in a loop
- {for: {n: [4, 8]}, branches: [[], [pad_channels: =n]], merge: concat}
=>
branches1/branch2/pad_channels1 8x8x4
branches1/concat 8x8x7 <- input, branches1/branch2/pad_channels1
branches2/branch2/pad_channels1 8x8x8
branches2/concat 8x8x15 <- branches1/concat, branches2/branch2/pad_channels1
"""


@cases(MERGES)
def test_merges(layers, expected):
    assert of_layers(layers) == expected


def test_a_step_in_the_place_of_a_branch_is_put_in_a_list():
    text = "{name: n, input: [8, 8, 3], layers: [{branches: [{conv: 8}, relu], merge: add}]}"
    with pytest.raises(SpecError) as caught:
        expand(spec_of(text))
    helps = [each.help for each in caught.value.diagnostics]
    assert helps == [
        f"a single step is written as a list, too: `[{step}]`" for step in ("{conv: ...}", "relu")
    ]


def test_arguments_in_parentheses_are_told_how_arguments_are_named():
    with pytest.raises(SpecError) as caught:
        expand(spec_of("{name: n, input: [8, 8, 3], layers: ['conv(64, 3)']}"))
    assert caught.value.diagnostics[0].help == "arguments are named, as `conv: {name: value}`"
