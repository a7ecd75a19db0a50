"""The factors of the estimate for an engine, and its errors, from the compiled truth.

    python benchmarks/memory/calibrate.py                    # show the errors of jax-gpu
    python benchmarks/memory/calibrate.py --write            # and write jax_gpu.json
    python benchmarks/memory/calibrate.py --engine jax-gpu   # which is the default

The factors weigh the terms of the engine's rule in `archspec/cost/estimate` so that the squared
relative errors of its truth are least, none of them negative. For the errors, each family of
networks is estimated with factors that were fitted to all others. The rule itself (what is kept)
was chosen with all networks in sight. Where more is kept than the device has memory, the compiler
recomputes until it fits, or fails: such steps are left out. NumPy is needed, and nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

import archspec
from archspec.cost.estimate import cpu, jax_gpu, jax_tpu, tensorflow_gpu
from archspec.cost.estimate.calibrated import CalibratedRule
from archspec.device.table import BY_NAME

TRUTH = Path(__file__).with_name("truth")

RULES: Final[dict[str, CalibratedRule]] = {
    "jax-gpu": jax_gpu.RULE,
    "tensorflow-gpu": tensorflow_gpu.RULE,
    "jax-tpu": jax_tpu.RULE,
    "cpu": cpu.RULE,
}
"""The rules whose factors are fitted, by engine."""

FITTED_TO: Final = {"tensorflow-gpu": "jax-gpu"}
"""The engine to whose truth the factors of another are fitted."""

RELATED: Final = {
    "cifar_resnet": "resnet",
    "preresnet": "resnet",
    "resnext": "resnet",
    "se_resnet": "resnet",
    "wide_resnet": "resnet",
    "mobilenet_v2": "mobilenet",
    "mobilenet_v3": "mobilenet",
    "googlenet": "inception",
    "inception_v3": "inception",
    "mlp_mixer": "tokens",
    "swin": "tokens",
    "vit": "tokens",
}
"""The family of specs that are kin to others: none of them may judge the others' factors."""


class Case(NamedTuple):
    """A network at a batch and a dtype."""

    network: str
    family: str
    batch: int
    dtype: str
    total: int
    """Bytes that the compiler plans."""
    known: int
    """Bytes of the weights, the state and the inputs, which are not estimated."""
    terms: Sequence[int]
    """Bytes of each term that a factor weighs."""


def truth_of(engine: str) -> dict[str, Any]:
    """Return the compiled truth of an engine."""
    truth: dict[str, Any] = json.loads((TRUTH / f"{engine}.json").read_text(encoding="utf-8"))
    return truth


def cases(truth: dict[str, Any], rule: CalibratedRule) -> tuple[list[str], list[Case]]:
    """Return the names of the factors and the cases."""
    found: list[Case] = []
    names: list[str] = []
    device = BY_NAME.get(truth["device"])
    room = device.memory if device else float("inf")
    for entry in truth["entries"]:
        spec = archspec.load(entry["network"])
        report = archspec.report(
            spec, batch=entry["batch"], dtype=entry["dtype"], optimizer=truth["optimizer"]
        )
        known, terms = rule.known(report), rule.terms_at(report)
        names = list(terms)
        if known + terms["kept"] > room:
            continue
        own = spec.document.name
        found.append(
            Case(
                entry["network"],
                RELATED.get(own, own),
                entry["batch"],
                entry["dtype"],
                entry["total"],
                known,
                list(terms.values()),
            )
        )
    return names, found


def fitted(chosen: Sequence[Case]) -> Any:
    """Return the factors, none of them negative, with the least squared relative errors."""
    totals = np.array([case.total for case in chosen], float)
    parts = np.array([case.terms for case in chosen], float) / totals[:, None]
    wanted = 1 - np.array([case.known for case in chosen], float) / totals
    count = parts.shape[1]
    best: tuple[float, Any] | None = None
    for used in itertools.product((False, True), repeat=count):
        if not any(used):
            continue
        columns = parts[:, used]
        factors, *_ = np.linalg.lstsq(columns, wanted, rcond=None)
        error = float(np.sum((columns @ factors - wanted) ** 2))
        if (factors >= 0).all() and (best is None or error < best[0]):
            every = np.zeros(count)
            every[list(used)] = factors
            best = error, every
    if best is None:
        raise SystemExit("no factors fit")
    return best[1].round(3)


def errors(judged: Sequence[Case], fit: Sequence[Case]) -> list[float]:
    """Return the error of each case, estimated by factors that were fitted to other families."""
    by_family = {
        family: fitted([case for case in fit if case.family != family])
        for family in sorted({case.family for case in judged})
    }
    return [
        (case.known + float(np.dot(by_family[case.family], case.terms))) / case.total - 1
        for case in judged
    ]


def calibration(engine: str) -> tuple[dict[str, Any], list[tuple[Case, float]]]:
    """Return the content of the engine's calibration, and the error of each case."""
    truth, rule = truth_of(engine), RULES[engine]
    names, judged = cases(truth, rule)
    fit = cases(truth_of(FITTED_TO[engine]), rule)[1] if engine in FITTED_TO else judged
    off = errors(judged, fit)
    sizes = [abs(error) for error in off]
    result = {
        "command": f"python benchmarks/memory/calibrate.py --engine {engine} --write",
        "engine": engine,
        "device": truth["device"],
        "factors": dict(zip(names, map(float, fitted(fit)), strict=True)),
        "errors": {
            "mean": round(sum(sizes) / len(sizes), 4),
            "worst": round(max(sizes), 4),
            "networks": len({case.network for case in judged}),
            "cases": len(judged),
            "families": len({case.family for case in judged}),
            "batches": sorted({case.batch for case in judged}),
            "dtypes": sorted({case.dtype for case in judged}),
            "versions": truth["versions"],
        },
    }
    return result, list(zip(judged, off, strict=True))


def summary(judged: Sequence[tuple[Case, float]]) -> Iterator[str]:
    """Yield the rows of a table in Markdown: errors by batch, by dtype and by network."""
    yield "| cases | number | mean error | worst |"
    yield "|---|---|---|---|"
    for part in ("batch", "dtype", "network"):
        groups: dict[Any, list[float]] = {}
        for case, error in judged:
            groups.setdefault(getattr(case, part), []).append(error)
        for name, off in sorted(groups.items()):
            mean, worst = sum(map(abs, off)) / len(off), max(off, key=abs)
            label = f"batch {name}" if part == "batch" else name
            yield f"| {label} | {len(off)} | {mean:.1%} | {worst:+.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--engine", choices=RULES, default="jax-gpu")
    parser.add_argument("--write", action="store_true", help="write the engine's calibration")
    options = parser.parse_args()
    result, judged = calibration(options.engine)
    for case, error in sorted(judged, key=lambda pair: -abs(pair[1])):
        print(f"{case.network:20} {case.family:14} {case.batch:4} {case.dtype:15} {error:+.1%}")
    print(*summary(judged), sep="\n")
    text = json.dumps(result, indent=1)
    print(text)
    if options.write:
        RULES[options.engine].calibration.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
