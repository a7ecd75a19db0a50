"""archspec/ejection/layer_sources.json: the source of archspec's own layers, for ejected programs.

python tests/layer_sources.py

Each class stands there with the names of the classes, functions and constants that it needs, in
black's layout, so that `archspec eject` neither imports Keras nor needs black.
"""

import ast
import json
import re
from pathlib import Path

import black

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "archspec" / "ejection" / "layer_sources.json"
MODULES_WITH_LAYERS = tuple(
    f"archspec.keras_model.{name}"
    for name in ("layers", "open_layers", "attention_layers", "moving_layers")
)
STAND_INS = {
    "register": (
        "register = keras.saving.register_keras_serializable(package=__name__)",
        "A model with these layers can be saved, and loaded after this module is imported.",
    )
}
"""What ejected programs have instead of a name of archspec's."""


SHORT = {
    "Pad (constant)": """\
@register
class Pad(layers.Layer):
    \"\"\"Padding of the first axes after the batch with a value, such as minus infinity.\"\"\"

    def __init__(
        self,
        amounts: tuple[tuple[int, int], ...],
        value: float | str = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.amounts = amounts
        self.value = float(value)

    def call(self, x: Any) -> Any:
        rest = ((0, 0),) * (len(x.shape) - 1 - len(self.amounts))
        return ops.pad(x, ((0, 0), *self.amounts, *rest), constant_values=self.value)

    def get_config(self) -> dict[str, Any]:
        value = str(self.value)  # JSON has no infinity
        return {**super().get_config(), "amounts": self.amounts, "value": value}
""",
}
"""Shorter forms of layers for programs that need only a part of what they can do, by class and use.

`archspec.ejection.layer_sources.short_form` says when one is enough.
"""


class Module:
    """The names of a module: what it defines, and what it imports."""

    def __init__(self, name: str) -> None:
        self.name = name
        path = ROOT / Path(*name.split(".")).with_suffix(".py")
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.defined: dict[str, str] = {}
        self.trees: dict[str, list[ast.AST]] = {}
        self.ours: dict[str, tuple[str, str]] = {}
        self.imports: dict[str, str] = {}
        self.modules: dict[str, str] = {}
        self._read(ast.parse("\n".join(self.lines)).body)

    def _read(self, body: list[ast.stmt]) -> None:
        for number, node in enumerate(body):
            after = body[number + 1 : number + 2]
            if isinstance(node, ast.If):
                self._read(node.body)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    known_as = f" as {alias.asname}" if alias.asname else ""
                    self.imports[alias.asname or alias.name] = f"import {alias.name}{known_as}"
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    if (ROOT / Path(*inner.split("."))).with_suffix(".py").is_file():
                        self.modules[alias.name] = inner
                    elif str(node.module).startswith("archspec"):
                        self.ours[alias.name] = (str(node.module), alias.name)
                    else:
                        self.imports[alias.name] = f"from {node.module} import {alias.name}"
            elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                self._define(node.name, [node])
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                about = [n for n in after if isinstance(n, ast.Expr)]
                if isinstance(target, ast.Name):
                    self._define(target.id, [node, *about])

    def _define(self, name: str, nodes: list[ast.stmt]) -> None:
        first = nodes[0]
        decorators = getattr(first, "decorator_list", [])
        start = min([first.lineno, *(each.lineno for each in decorators)])
        indent = first.col_offset
        text = self.lines[start - 1 : nodes[-1].end_lineno]
        self.defined[name] = "\n".join(line[indent:] for line in text)
        self.trees[name] = [*nodes]


MODULES: dict[str, Module] = {}
PENDING: set[str] = set()
"""Names whose definitions are being read: functions may call each other."""


def module(name: str) -> Module:
    if name not in MODULES:
        MODULES[name] = Module(name)
    return MODULES[name]


def home(name: str, at: Module) -> tuple[Module, str] | None:
    """Return the module that defines a name, and the name there."""
    if name in at.defined:
        return at, name
    if name in at.ours:
        where, original = at.ours[name]
        return home(original, module(where))
    return None


def imported(name: str, at: Module) -> str | None:
    """Return the line that imports a name of another package, if it is one."""
    if name in at.ours:
        where, original = at.ours[name]
        return imported(original, module(where))
    return at.imports.get(name)


def collect(name: str, at: Module, found: dict[str, dict[str, object]]) -> str:
    """Add a definition and all that it needs; return its name in the program."""
    place = home(name, at)
    assert place, name
    where, name = place
    if name in found or name in PENDING:
        return name
    if name in STAND_INS:
        text, about = STAND_INS[name]
        source = f'{text}\n"""{about}"""'
        found[name] = {"source": source, "needs": [], "imports": ["import keras"]}
        return name
    PENDING.add(name)
    text = where.defined[name]
    needs: dict[str, None] = {}
    imports: set[str] = set()
    entry: dict[str, object] = {}
    for tree in where.trees[name]:
        own = {n.name for n in ast.walk(tree) if isinstance(n, (ast.ClassDef, ast.FunctionDef))}
        own |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
        own |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _is_stored(n)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                base = node.value.id
                if base in where.modules:
                    inner = module(where.modules[base])
                    needs[collect(node.attr, inner, found)] = None
                    text = text.replace(f"{base}.{node.attr}", node.attr)
            if not isinstance(node, ast.Name) or node.id in own or node.id == name:
                continue
            if line := imported(node.id, where):
                imports.add(line)
            elif home(node.id, where):
                needs[collect(node.id, where, found)] = None
    text = re.sub(r" *# (noqa|type: ignore|fmt: skip).*", "", text)
    entry["source"] = black.format_str(text, mode=black.Mode()).rstrip()
    entry["needs"] = [*needs]
    entry["imports"] = sorted(imports)
    found[name] = entry
    return name


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def sources() -> str:
    """Return the text of the file."""
    found: dict[str, dict[str, object]] = {}
    for where in map(module, MODULES_WITH_LAYERS):
        for name, text in where.defined.items():
            if text.startswith("@register"):
                collect(name, where, found)
    for name, text in SHORT.items():
        source = black.format_str(text, mode=black.Mode()).rstrip()
        imports = ["from keras import ops", "from typing import Any"]
        found[name] = {"source": source, "needs": ["register"], "imports": imports}
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(sources(), encoding="utf-8")
