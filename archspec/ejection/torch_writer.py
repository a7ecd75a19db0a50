"""A program as source of PyTorch: a module for each kind of block, and one for the network."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from archspec.ejection.chains import UnrollError, is_chain
from archspec.ejection.keras_writer import KerasWriter, given, quoted
from archspec.ejection.layout import INDENT, WIDTH, Brackets, Code, Joined, flat, lines
from archspec.ejection.levels import INCOMING
from archspec.ejection.naming import name_classes, singular
from archspec.ejection.parts import TORCH, own_parts, parts_of
from archspec.ejection.program import (
    Alias,
    Append,
    Apply,
    Arithmetic,
    Call,
    Constant,
    Expression,
    For,
    Formula,
    Function,
    If,
    Made,
    Operand,
    Program,
    Statement,
    Symbol,
    parts,
    statements,
)
from archspec.ejection.python import literal
from archspec.ejection.torch_ops.network import Torch
from archspec.ejection.torch_ops.place import FIRST, to_first
from archspec.ejection.torch_ops.values import PLAIN
from archspec.graph.graph import Graph
from archspec.text import free_name

_CONV: Final = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}
_POOL: Final = {"stride": None, "padding": 0, "ceil_mode": False}
_RECURRENT: Final = {"bias": True, "bidirectional": False, "last": False}

DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    **{f"nn.Conv{rank}d": _CONV for rank in (1, 2, 3)},
    **{f"nn.ConvTranspose{rank}d": {**_CONV, "output_padding": 0} for rank in (1, 2, 3)},
    **{f"nn.MaxPool{rank}d": _POOL for rank in (1, 2, 3)},
    **{f"nn.AvgPool{rank}d": {**_POOL, "count_include_pad": True} for rank in (1, 2, 3)},
    **{f"nn.LPPool{rank}d": {"stride": None} for rank in (1, 2, 3)},
    **{f"nn.BatchNorm{rank}d": {"eps": 1e-5, "momentum": 0.1} for rank in (1, 2, 3)},
    "FrozenBatchNorm2d": {"eps": 1e-5, "momentum": 0.1},
    "nn.Linear": {"bias": True},
    "nn.LayerNorm": {"eps": 1e-5},
    "nn.GroupNorm": {"eps": 1e-5},
    "nn.LocalResponseNorm": {"alpha": 1e-4, "beta": 0.75, "k": 1.0},
    "nn.PReLU": {"init": 0.25},
    "Parameter": {"mean": 0.0, "deviation": 0.0},
    "Scale": {"bias": True, "initial": 1.0, "axes_after": 0},
    "Lstm": _RECURRENT,
    "Gru": _RECURRENT,
    "Rnn": _RECURRENT,
    "mean": {"keepdim": False},
    "amax": {"keepdim": False},
}
"""Default values of the arguments that constructions give, by the name. A test reads them."""

FUNCTIONS: Final = frozenset(
    {
        "add", "subtract", "multiply", "divide", "mean_of", "maximum", "minimum", "difference",
        "cat", "matmul",
        "matmul_transposed", "slice", "permute", "reshape", "mean", "amax", "resize",
        "resize_like", "crop_like", "roll", "rescale", "scaled_tanh",
        "squareplus", "hard_sigmoid", "torch.exp", "torch.abs", "F.normalize", "F.pad",
    }
)  # fmt: skip
"""Constructions that are not modules, but are written where they are computed."""

FORMULAS: Final = {
    "difference": "({x} - {y}).abs()",
    "matmul": "{x} @ {y}",
    "matmul_transposed": "{x} @ {y}.transpose(-1, -2)",
    "scaled_tanh": "{} * torch.tanh({} * {x})",
    "hard_sigmoid": "({} * {x} + 0.5).clamp(0, 1)",
    "squareplus": "({x} + torch.sqrt({x}.square() + {})) / 2",
}
"""Functions that are one expression of their inputs, `x` and `y`, and of their arguments."""

TAKEN: Final = frozenset(
    {
        "self", "forward", "training", "train", "eval", "apply", "add_module", "register_buffer",
        "float", "double", "half", "to", "type", "state_dict", "parameters", "buffers", "children",
        "modules", "zero_grad", "share_memory", "extra_repr", "compile", "cpu", "cuda", "bfloat16",
        "requires_grad_", "register_parameter", "get_parameter", "get_submodule", "named_modules",
        "named_parameters", "load_state_dict", "torch", "nn", "F", "np",
    }
)  # fmt: skip
"""Names that a module's attribute may not have."""


_NUMBER: Final = re.compile(r"(?<![\dx])_?\d+$")
"""A number at the end of a name, but not that of `conv1x1`."""


@dataclass
class _Class:
    """A module being written: its tensors, attributes, and the parameters that it keeps."""

    parameters: tuple[Symbol, ...]
    paths: tuple[str, ...]
    attributes: dict[int, str] = field(default_factory=dict)
    """The attribute, or in a loop the list, of each statement, by its identity."""
    taken: set[str] = field(default_factory=set)
    kept: dict[Symbol, None] = field(default_factory=dict)
    """Parameters that `forward` reads."""
    tensors: set[str] = field(default_factory=set)
    """Variables of `forward`."""


class TorchWriter(KerasWriter):
    """Source of PyTorch."""

    prefix = ""

    keeps_inputs = False

    input_name = "x"

    given_names = KerasWriter.given_names | {"in_channels", "in_features", "out_features"}

    def __init__(self, program: Program, graph: Graph, torch: Torch) -> None:
        self.torch = torch
        self.here = _Class((), ())
        self.forward_pass = False
        self.looping: set[str] = set()
        """Variables of the loops of `forward` around what is being written."""
        self.read: set[Symbol] = set()
        """Symbols of what was written last."""
        self.parts: set[str] = set()
        """Classes and functions of `torch_parts` that the source needs."""
        self.words: set[str] = set()
        """Activations that modules take as words."""
        self.classes: dict[int, _Class] = {}
        super().__init__(program, graph)
        for function in program.functions:
            function.parameters.sort(key=lambda each: each.name not in INCOMING)
        self.title = name_classes(program, {*parts_of(TORCH), "Module", "Tensor"})

    # The program.

    def module_source(self, about: Sequence[str]) -> str:
        """Return the whole program, with lines about it in its docstring."""
        body: list[str] = []
        for function in self.program.functions:
            body += ["", *self.function(function), ""]
        body += ["", *self.network(), "", "", *self.loading()]
        own, imports = own_parts(parts_of(TORCH), self.parts)
        text = "\n".join(body)
        imports |= {"import numpy as np", "import torch", "from torch import nn"}
        if "F." in text:
            imports.add("from torch.nn import functional as F")
        head = self.beginning(about, imports, has_classes=bool(self.parts))
        if self.words:
            items: list[Code] = [f"{literal(w)}: {PLAIN[w]}" for w in sorted(self.words)]
            table = Brackets("ACTIVATIONS = {", items, "}", one_a_line=True)
            head += [*lines(table, 0), ""]
        return "\n".join([*head, *own, *body]) + "\n"

    def loading(self) -> list[str]:
        """Return the lines that load weights and show the network."""
        return [
            f"def load_weights(model: {self.title}, path: str) -> None:",
            f'{INDENT}"""Load the weights in a .npz file, by the names of the state dict."""',
            f"{INDENT}with np.load(path) as file:",
            f"{INDENT * 2}arrays = {{name: torch.from_numpy(file[name]) for name in file.files}}",
            f"{INDENT}model.load_state_dict(arrays)",
            "",
            "",
            'if __name__ == "__main__":',
            f"{INDENT}model = {self.title}()",
            f"{INDENT}print(model)",
            f"{INDENT}count = sum(each.numel() for each in model.parameters())",
            f'{INDENT}print(f"{{count:,}} parameters")',
        ]

    # Modules.

    def function(self, function: Function) -> list[str]:
        return self.module(
            function.name,
            self.docstring(function),
            function.parameters,
            self.declared(function.parameters),
            function.paths,
            function.body,
            [value.name for value in function.inputs],
            {str(n): each for n, each in enumerate(function.returns)},
            [""] * len(function.returns),
        )

    def network(self) -> list[str]:
        """Return the lines of the module that is the whole network."""
        program = self.program
        returned = []
        for index in self.graph.outputs.values():
            node = self.graph.nodes[index]
            last = node.shape.rank and self.torch.layouts[index] != FIRST
            returned.append(f".permute({to_first(node.shape.rank)})" if last else "")
        about = quoted("The network; images and maps are channels first.", self.constants())
        return self.module(
            self.title,
            about,
            program.parameters,
            self.options(),
            ("",),
            program.body,
            [value.name for value, _ in program.inputs.values()],
            dict(program.outputs),
            returned,
        )

    def module(
        self,
        name: str,
        docstring: list[str],
        parameters: Sequence[Symbol],
        declared: list[Code],
        paths: tuple[str, ...],
        body: list[Statement],
        inputs: list[str],
        returns: dict[str, Operand],
        after: list[str],
    ) -> list[str]:
        """Return the lines of a module."""
        here = self.here = _Class(tuple(parameters), paths)
        self.classes[id(body)] = here
        here.taken = {*TAKEN, *keyword.kwlist}
        here.tensors = {*inputs, *_tensor_names(body)}
        for each in statements(body):
            if isinstance(each, For):  # a list of a loop's round has its attribute's name
                here.taken |= {symbol.name for symbol in (*parameters, *each.variables)}
        self._name_attributes(body, in_loop=False)
        self.forward_pass = True
        forward = self.forward(body, 2)
        values = [
            self.operand(each) + suffix
            for each, suffix in zip(returns.values(), after, strict=True)
        ]
        self.forward_pass = False
        made = self.init(body, 2)
        is_named = len(values) > 1 and not next(iter(returns)).isdigit()
        kind, result = "torch.Tensor", ", ".join(values)
        if is_named:
            kind = "dict[str, torch.Tensor]"
            pairs: list[Code] = [f"{literal(k)}: {v}" for k, v in zip(returns, values, strict=True)]
            last = lines(Brackets("return {", pairs, "}"), 2)
        else:
            if len(values) > 1:
                kind = f"tuple[{', '.join([kind] * len(values))}]"
            last = [f"{INDENT * 2}return {result}"]
        signature = Brackets("def __init__(", ["self", *declared])
        kept = [f"{INDENT * 2}self.{self._keeper(each)} = {each.name}" for each in here.kept]
        head = lines(signature, 1, end=" -> None:")
        call: list[Code] = ["self", *(f"{each}: torch.Tensor" for each in inputs)]
        return [
            f"class {name}(nn.Module):",
            *docstring,
            "",
            *head,
            f"{INDENT * 2}super().__init__()",
            *kept,
            *made,
            "",
            *lines(Brackets("def forward(", call), 1, end=f" -> {kind}:"),
            *forward,
            *last,
        ]

    # Attributes.

    def _name_attributes(self, body: Sequence[Statement], *, in_loop: bool) -> None:
        here = self.here
        for statement in body:
            if isinstance(statement, If):
                self._name_attributes(statement.body, in_loop=in_loop)
            elif isinstance(statement, For):
                if is_chain(statement, is_link):
                    word = _plural(self._word_of_loop(statement))
                    here.attributes[id(statement)] = self._free(word)
                else:
                    self._name_attributes(statement.body, in_loop=True)
            elif isinstance(statement, (Apply, Call)):
                if isinstance(statement, Apply) and not is_module(statement):
                    continue
                if isinstance(statement, Apply) and statement.reuse:
                    name = here.attributes.get(statement.reuse)  # type: ignore[call-overload]
                    if name is None:
                        name = self._free(self._word(statement))
                        here.attributes[statement.reuse] = name  # type: ignore[index]
                    here.attributes[id(statement)] = name
                    continue
                word = self._word(statement, in_loop=in_loop)
                word = _plural(_NUMBER.sub("", word) or word) if in_loop else word
                here.attributes[id(statement)] = self._free(word)

    def _free(self, word: str) -> str:
        name = free_name(word, self.here.taken.__contains__, mark="")
        self.here.taken.add(name)
        return name

    def _word(self, statement: Apply | Call, *, in_loop: bool = False) -> str:
        """Return a name for what a statement makes, from the path of a step that it is."""
        path, is_last = _path(statement)
        words = self._relative(path).split("/")
        if len(words) > 1 and words[-1] in ("fully_connected", "convolution", "depthwise"):
            words = words[:-1]
        word = (
            re.sub(r"\W", "_", "_".join(words[-1:] if in_loop else words[-2:])).strip("_")
            or "layer"
        )
        word = f"_{word}" if word[0].isdigit() else word
        return word if is_last else f"{word}_pad"

    def _relative(self, path: str) -> str:
        for around in self.here.paths:
            if around and path.startswith(f"{around}/"):
                return path[len(around) + 1 :]
        return path

    def _word_of_loop(self, loop: For) -> str:
        path = self._relative(loop.starts[0][0])
        word = re.sub(r"\W", "_", path.rpartition("/")[2])
        return _NUMBER.sub("", word) or "layers"

    # What is made.

    def init(
        self, body: Sequence[Statement], depth: int, lists: dict[int, str] | None = None
    ) -> list[str]:
        """Return the lines of `__init__` for statements.

        In a loop, `lists` has the list to which each statement appends, by its identity.
        """
        result: list[str] = []
        for statement in body:
            if isinstance(statement, (Alias, Append)):
                continue
            if isinstance(statement, If):
                result += self._init_if(statement, depth, lists)
            elif isinstance(statement, For):
                result += self._init_loop(statement, depth, lists)
            elif isinstance(statement, Call) or is_module(statement):
                result += self._init_one(statement, depth, lists)
        return result

    def _attribute(self, statement: Statement) -> str:
        return self.here.attributes[id(statement)]

    def _init_one(
        self, statement: Apply | Call, depth: int, lists: dict[int, str] | None
    ) -> list[str]:
        if isinstance(statement, Apply) and statement.reuse and not statement.first:
            return []
        made = self.made(statement)
        if lists is None:
            return lines(Joined([f"self.{self._attribute(statement)} = ", made]), depth)
        append = Brackets(f"{lists[id(statement)]}.append(", [made], comma=False)
        return lines(append, depth)

    def _init_if(self, statement: If, depth: int, lists: dict[int, str] | None) -> list[str]:
        inside = self.init(statement.body, depth + 1, lists)
        if not inside:
            return []
        margin = INDENT * depth
        head = [f"{margin}if {self.text(statement.condition)}:", *inside]
        if lists is None:
            names = [self._attribute(each) for each in self._lone(statement.body)]
            return [*(f"{margin}self.{name} = None" for name in names), *head]
        if id(statement) in lists:  # in a chain, nothing stands for what is left out
            return head
        others = [lists[id(each)] for each in self._lone(statement.body)]
        rest = [f"{margin}{INDENT}{each}.append(nn.Identity())" for each in others]
        return [*head, f"{margin}else:", *rest]

    def _lone(self, body: Sequence[Statement]) -> Iterator[Statement]:
        """Yield the statements in a body that have an attribute."""
        for each in body:
            if id(each) in self.here.attributes:
                yield each
            elif isinstance(each, (If, For)):
                yield from self._lone(each.body)

    def _init_loop(self, loop: For, depth: int, lists: dict[int, str] | None) -> list[str]:
        margin = INDENT * depth
        if lists is not None and id(loop) in lists and lists.get(-id(loop)):
            return self._init_rounds(loop, depth, lists)  # a chain within a chain
        if is_chain(loop, is_link):
            target = self._list(loop, lists)
            within = {id(each): target for each in statements(loop.body)}
            within |= {-id(each): target for each in statements(loop.body)}
            result = [f"{margin}{target} = nn.Sequential()"]
            result += self._init_rounds(loop, depth, within)
            if lists is not None:
                result.append(f"{margin}{lists[id(loop)]}.append({target})")
            return result
        own = [*self._lone(loop.body)]
        within = {}
        before = []
        after = []
        for each in own:
            target = within[id(each)] = self._list(each, lists)
            before.append(f"{margin}{target} = nn.ModuleList()")
            if lists is not None:
                after.append(f"{margin}{lists[id(each)]}.append({target})")
        return [*before, *self._init_rounds(loop, depth, within), *after] if own else []

    def _list(self, statement: Statement, lists: dict[int, str] | None) -> str:
        """Return the list in which a loop keeps a statement's modules: the class's, or a round's.

        A round's list is a variable, called like the class's if no loop around it has one so.
        """
        name = self._attribute(statement)
        if lists is None:
            return f"self.{name}"
        return free_name(name, {*lists.values()}.__contains__)

    def _init_rounds(self, loop: For, depth: int, lists: dict[int, str]) -> list[str]:
        outer, self.read = self.read, set()
        body = self.init(loop.body, depth + 1, lists)
        used = self.read
        variables = {k: v for k, v in loop.variables.items() if k in used}
        loop = replace(loop, variables=variables)
        head = self._loop_head(loop, used=loop.index in used)
        self.read = outer | used
        return [*lines(head, depth, end=":"), *body]

    def made(self, statement: Apply | Call) -> Code:
        """Return the call that makes a statement's module."""
        if isinstance(statement, Apply):
            return self.code(replace(statement.layer, name=kind(statement)))
        return self.call(replace(statement, inputs=()))

    def code(self, expression: Expression) -> Code:
        if not isinstance(expression, Made):
            return super().code(expression)
        pairs = dict(expression.arguments)
        if expression.name == "activation":
            word = pairs[0]
            if isinstance(word, Constant):
                return f"{PLAIN[word.value]}()"
            self.words |= {*self._words_of(word)}
            return f"ACTIVATIONS[{self.text(word)}]()"
        if expression.name == "frozen":
            made = self.code(pairs[0])
            if isinstance(made, Brackets):
                made.after = [*made.after, ".requires_grad_(False)"]
            return made
        if not expression.name.startswith("nn."):
            self.parts.add(expression.name)
        return Brackets(f"{expression.name}(", self.arguments(_given(expression)))

    def _words_of(self, expression: Any) -> Iterator[str]:
        for part in parts(expression):
            if isinstance(part, Symbol):
                yield from (each for each in part.values if isinstance(each, str))
            elif isinstance(part, Constant) and isinstance(part.value, str):
                yield part.value

    def _text(self, expression: Expression) -> tuple[str, int]:
        text, level = super()._text(expression)
        if isinstance(expression, Symbol):
            self.read.add(expression)
            return self._at_hand(expression), level
        if isinstance(expression, Formula):
            for symbol in expression.symbols:
                text = re.sub(rf"\b{symbol.name}\b", self._at_hand(symbol), text)
        return text, level

    def _at_hand(self, symbol: Symbol) -> str:
        """Return what gives a symbol's value: `forward` reads a parameter from the module."""
        if self.forward_pass and symbol in self.here.parameters:
            self.here.kept[symbol] = None
            return f"self.{self._keeper(symbol)}"
        return symbol.name

    def _keeper(self, symbol: Symbol) -> str:
        """Return the attribute in which a parameter is kept for `forward`."""
        name = symbol.name
        taken = name in TAKEN or name in self.here.attributes.values()
        return f"given_{name}" if taken else name

    # What is computed.

    def forward(
        self, body: Sequence[Statement], depth: int, modules: dict[int, str] | None = None
    ) -> list[str]:
        """Return the lines of `forward` for statements.

        In a loop, `modules` has the variable of each statement's module, by its identity.
        """
        result: list[str] = []
        for statement in body:
            margin = INDENT * depth
            if isinstance(statement, (Alias, Append)):
                result += super().statement(statement, depth)
            elif isinstance(statement, If):
                inside = self.forward(statement.body, depth + 1, modules)
                result += [f"{margin}if {self._test(statement, modules)}:", *inside]
            elif isinstance(statement, For):
                result += self._forward_loop(statement, depth, modules)
            else:
                result += lines(self._computed(statement, modules), depth)
        return _joined(result)

    def _module(self, statement: Statement, modules: dict[int, str] | None) -> str:
        if modules is None:
            return f"self.{self._attribute(statement)}"
        return modules[id(statement)]

    def _test(self, statement: If, modules: dict[int, str] | None) -> str:
        first = next(self._lone(statement.body), None)
        if modules is None and first is not None:
            return f"self.{self._attribute(first)} is not None"
        return self.text(statement.condition)

    def _forward_loop(self, loop: For, depth: int, modules: dict[int, str] | None) -> list[str]:
        margin = INDENT * depth
        if is_chain(loop, is_link):
            name = loop.carried[0].name
            return [f"{margin}{name} = {self._module(loop, modules)}({name})"]
        own = [*self._lone(loop.body)]
        within: dict[int, str] = {}
        tensors = self.here.tensors
        around = self.looping
        self.looping = {*around}
        taken = {*tensors, *keyword.kwlist}
        for each in own:
            name = singular(self._attribute(each))
            name = f"{name}_layer" if name in tensors else name
            name = free_name(name, lambda each: each in taken or each in self.looping)
            within[id(each)] = name
            self.looping.add(name)
        outer, self.read = self.read, set()
        body = self.forward(loop.body, depth + 1, within)
        used, self.looping = self.read, around
        if used & {*loop.variables}:
            raise UnrollError(loop.starts)
        is_counted = loop.index in used
        self.read = (outer | used) - {loop.index}
        sources = [self._module(each, modules) for each in own]
        if not own:
            head = self._loop_head(replace(loop, variables={}), used=is_counted)
        else:
            table: Code = sources[0]
            if len(sources) > 1:
                table = Brackets("zip(", [*sources, "strict=True"])
            if is_counted:
                table = Brackets("enumerate(", [table, "start=1"])
            head = _for_each(
                [*within.values()], loop.index.name if is_counted else "", table, depth
            )
        before = [f"{margin}{each.name} = []" for each in loop.collected]
        return [*before, *lines(head, depth, end=":"), *body]

    def _computed(self, statement: Apply | Call, modules: dict[int, str] | None) -> Code:
        if isinstance(statement, Call):
            inputs: list[Code] = [self.operand(each) for each in statement.inputs]
            targets = ", ".join(each.name for each in statement.targets)
            return Brackets(
                f"{targets} = {self._module(statement, modules)}(", inputs, comma=len(inputs) > 1
            )
        target = statement.target.name
        read = [flat(each) for each in self._permuted(statement)]
        if is_module(statement):
            before = f"{target} = {self._module(statement, modules)}("
            several = Brackets("[", [*read], "]")
            return Brackets(before, [several] if len(read) > 1 else [*read], comma=False)
        return self._function(statement, target, read)

    def _permuted(self, apply: Apply) -> list[Code]:
        """Return what a layer reads, its axes put in the order that it wants; or one list."""
        orders = apply.layer.name.split("|")[1:]
        if not any(orders):
            whole = self._read(apply)
            if len(whole) == 1 and isinstance(whole[0], str):
                return whole
            return [self.operand(each) for each in apply.inputs]
        return [
            self.operand(each) + (f".permute({order})" if order else "")
            for each, order in zip(apply.inputs, orders, strict=True)
        ]

    def _function(self, apply: Apply, target: str, read: list[str]) -> Code:
        name = kind(apply)
        arguments = dict(_given(apply.layer))
        x = read[0]
        is_list = len(read) == 1 and len(apply.inputs) > 1
        value = {key: self.code(each) for key, each in arguments.items()}
        positional: list[Code] = [each for key, each in value.items() if isinstance(key, int)]
        named: list[Code] = [
            Joined([f"{key}=", each]) for key, each in value.items() if isinstance(key, str)
        ]
        items: Code = x if is_list else Brackets("[", [*read], "]")
        before = f"{target} = "
        signs = {"add": " + ", "subtract": " - ", "multiply": " * ", "divide": " / "}
        if name in signs and not is_list:
            return f"{before}{signs[name].join(read)}"
        if name in ("subtract", "divide"):  # of two, in order
            return f"{before}{x}[0]{signs[name]}{x}[1]"
        if name == "multiply":
            return Brackets(f"{before}torch.stack({x}).prod(", ["dim=0"])
        if name == "add":
            return f"{before}sum({x})"
        if name == "mean_of":
            total = f"sum({x})" if is_list else f"({' + '.join(read)})"
            return f"{before}{total} / {len(apply.inputs)}"
        if name in FORMULAS:
            values = [flat(each) for each in positional]
            return before + FORMULAS[name].format(*values, x=x, y=read[-1])
        if name in ("maximum", "minimum"):
            if is_list or len(read) > 2:
                return Brackets(f"{before}torch.stack(", [items], f").a{name[:3]}(dim=0)")
            return Brackets(f"{before}torch.{name}(", [*read])
        if name == "cat":
            return Brackets(f"{before}torch.cat(", [items, *named])
        if name == "slice":
            return self._sliced(before + x, arguments)
        if name in ("reshape", "permute", "mean", "amax", "roll"):
            batch = {"reshape": [f"len({x.partition('.')[0]})"], "permute": ["0"]}.get(name, [])
            return Brackets(f"{before}{x}.{name}(", [*batch, *positional, *named])
        if name in ("resize", "resize_like"):
            size = positional[0] if name == "resize" else f"{read[1]}.shape[2:]"
            mode = Joined(["mode=", positional[-1]])
            return Brackets(f"{before}F.interpolate(", [x, size, mode])
        if name == "rescale":
            return before + self._rescaled(x, arguments)
        if name == "crop_like":
            self.parts.add(name)
            empty = [each for each in positional if each != "None"]
            return Brackets(f"{before}crop_like(", [*read, *empty])
        return Brackets(f"{before}{name}(", [*read, *positional, *named])

    def _sliced(self, x: str, arguments: dict[Any, Expression]) -> Code:
        axis, start, stop, count = (arguments[place] for place in range(4))
        if not isinstance(axis, Constant):
            length: Expression = Arithmetic("-", stop, start)
            if isinstance(start, Constant) and isinstance(stop, Constant):
                length = Constant(stop.value - start.value)
            return Brackets(f"{x}.narrow(", [self.code(each) for each in (axis, start, length)])
        first = "" if isinstance(start, Constant) and start.value == 0 else self.text(start)
        place = axis.value
        is_last = isinstance(count, Constant) and place == count.value and place > 1
        places = ["..."] if is_last else [":"] * place
        last = self.text(stop)
        is_short = all(each.isalnum() or not each for each in (first, last))
        cut = f"{first}:{last}" if is_short else f"{first} : {last}".lstrip()
        return Brackets(f"{x}[", [*places, cut], "]")

    def _rescaled(self, x: str, arguments: dict[Any, Expression]) -> str:
        scale, offset = arguments[0], arguments[1]
        text = x
        if not (isinstance(scale, Constant) and scale.value == 1):
            text = f"{text} * {self.text(scale, 6)}"
        if not (isinstance(offset, Constant) and offset.value == 0):
            shift = self.text(offset, 5)
            text = f"{text} - {shift[1:]}" if shift.startswith("-") else f"{text} + {shift}"
        return text


def _given(made: Made) -> list[tuple[int | str, Expression]]:
    return given(made, DEFAULTS.get(made.name.partition("|")[0], {}))


def kind(apply: Apply) -> str:
    """Return the name of a construction without the orders of axes that its inputs have."""
    return apply.layer.name.partition("|")[0]


def is_module(statement: Statement) -> bool:
    """Return whether a layer is a module, and not a function."""
    return isinstance(statement, Apply) and kind(statement) not in FUNCTIONS


def is_link(apply: Apply) -> bool:
    """Return whether a layer can stand in an `nn.Sequential`."""
    return is_module(apply) and "|" not in apply.layer.name


def _joined(result: list[str]) -> list[str]:
    """Return lines, `y = x` and `y = f(y)` after it as one."""
    joined: list[str] = []
    for line in result:
        previous = joined[-1] if joined else ""
        alias = re.fullmatch(r"( *)(\w+) = (\w+)", previous)
        call = re.fullmatch(r"( *)(\w+) = ([\w.]+)\((\w+)\)", line)
        if alias and call and call[1] == alias[1] and call[2] == call[4] == alias[2]:
            joined[-1] = f"{call[1]}{call[2]} = {call[3]}({alias[3]})"
        else:
            joined.append(line)
    return joined


def _path(statement: Apply | Call) -> tuple[str, bool]:
    """Return the path of the first step that a statement is, and whether it is the step's last."""
    if isinstance(statement, Call):
        use = next(each for each in statement.uses if each is not None)
        return statement.function.paths[use], True
    at, node = next((k, each) for k, each in enumerate(statement.nodes) if each is not None)
    return node.name, not isinstance(statement.target.ids[at], tuple)


def _tensor_names(body: Sequence[Statement]) -> Iterator[str]:
    """Yield the variables of statements."""
    for each in statements(body):
        if isinstance(each, (Apply, Call)):
            yield from (target.name for target in each.targets)
        elif isinstance(each, For):
            yield from (value.name for value in (*each.carried, *each.collected))


def _for_each(names: list[str], index: str, table: Code, depth: int) -> Code:
    """Return the head of a loop over modules."""
    target = ", ".join(names)
    before = f"for {index}, " if index else "for "
    if index and len(names) > 1:
        target = f"({target})"
    opened = table.before if isinstance(table, Brackets) else flat(table)
    if len(INDENT) * depth + len(f"{before}{target} in {opened}") <= WIDTH:
        return Joined([f"{before}{target} in ", table])
    return Brackets(f"{before}(", [*names], ")", [" in ", table], one_a_line=True)


def _plural(word: str) -> str:
    return word if word.endswith("s") else f"{word}s"
