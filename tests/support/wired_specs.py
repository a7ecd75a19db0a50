"""Random specs whose wiring is as odd as a spec can say: steps read any steps before them."""

from random import Random
from typing import Any


def wired_spec(random: Random, most: int) -> dict[str, Any]:
    """A spec of at most so many steps, some of them in groups, that read from anywhere before.

    All outputs have one shape, so that any of them can be added.
    """
    wiring = _Wiring(random, most)
    layers = wiring.steps("", 0)
    end = wiring.read(layers, "", None)
    loose = [path for path in wiring.paths if path not in wiring.used and path != end]
    if loose:
        layers.append({"name": "end", "add": [*loose, end]})
    return {
        "name": "wired",
        "input": [8, 8, 4],
        "defaults": {"conv": {"padding": "same"}},
        "layers": layers,
    }


class _Wiring:
    def __init__(self, random: Random, most: int) -> None:
        self._random = random
        self._most = most
        self._count = 0
        self.paths: list[str] = []
        self.used: set[str] = set()

    def steps(self, prefix: str, depth: int) -> list[dict[str, Any]]:
        made = []
        for _ in range(self._random.randint(1, 5)):
            if self._count == self._most:
                break
            self._count += 1
            step: dict[str, Any] = {"name": f"s{self._count}"}
            path = prefix + step["name"]
            choice = self._random.random()
            if choice < 0.25 and depth < 3:
                step["layers"] = self.steps(f"{path}/", depth + 1)
                if not step["layers"]:
                    continue
            elif choice < 0.6 and len(self.paths) > 1:
                count = self._random.randint(2, min(len(self.paths), 4))
                merge = self._random.choice(["add", "mean", "max"])
                step[merge] = self._random.sample(self.paths, count)
            else:
                step["conv"] = 4
                if self.paths and self._random.random() < 0.4:
                    step["from"] = self._random.choice(self.paths)
            made.append(step)
            self.paths.append(path)
        return made

    def read(self, steps: list[dict[str, Any]], prefix: str, before: str | None) -> str | None:
        """Note which paths are used, and return that of the last step."""
        for step in steps:
            path = prefix + step["name"]
            sources = next((step[key] for key in ("add", "mean", "max", "from") if key in step), [])
            self.used.update([sources] if isinstance(sources, str) else sources)
            if "layers" in step:
                self.read(step["layers"], f"{path}/", before)
                self.used.add(f"{path}/{step['layers'][-1]['name']}")
            elif not sources and before:
                self.used.add(before)
            before = path
        return before
