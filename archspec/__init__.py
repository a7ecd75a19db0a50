"""Convolutional networks as specs: exact costs in a blink, an ordinary Keras model, training.

    spec = archspec.load("vgg16")             # a path, a bundled family or variant
    print(archspec.report(spec))              # shapes, parameters, MACs, memory, line by line
    model = archspec.build(spec)              # an ordinary functional keras.Model
    archspec.weights.copy("a.keras", model)   # with the weights of another, or of ImageNet
    run = archspec.fit(spec, epochs=20)       # a run folder that explains itself
    model = archspec.load_model("best.keras") # as Keras loads it, but of any depth

Everything is loaded on first use: importing archspec imports nothing heavier than itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from archspec.emit.registration import install as _install

if TYPE_CHECKING:
    from archspec import explain as explain
    from archspec.analysis.compare import Comparison as Comparison
    from archspec.analysis.compare import compare as compare
    from archspec.analysis.difference import Difference as Difference
    from archspec.analysis.difference import diff as diff
    from archspec.analysis.probe import Probe as Probe
    from archspec.analysis.report import Report as Report
    from archspec.analysis.report import report as report
    from archspec.diagnostics import ArchspecError as ArchspecError
    from archspec.diagnostics import Diagnostic as Diagnostic
    from archspec.diagnostics import SpecError as SpecError
    from archspec.diagnostics import UsageError as UsageError
    from archspec.emit import weights as weights
    from archspec.emit.export import Exported as Exported
    from archspec.emit.export import export as export
    from archspec.emit.model import Verification as Verification
    from archspec.emit.model import build as build
    from archspec.emit.model import load_model as load_model
    from archspec.emit.model import verify as verify
    from archspec.explanation import Explanation as Explanation
    from archspec.explanation import show as show
    from archspec.graph.graph import Graph as Graph
    from archspec.inventory import Kinds as Kinds
    from archspec.inventory import Networks as Networks
    from archspec.inventory import kinds as kinds
    from archspec.inventory import networks as networks
    from archspec.json_schema import JSONSchema as JSONSchema
    from archspec.json_schema import schema as schema
    from archspec.proof import Proof as Proof
    from archspec.proof import check as check
    from archspec.spec.document import Spec as Spec
    from archspec.spec.loading import load as load
    from archspec.training.comparison import RunComparison as RunComparison
    from archspec.training.comparison import compare_runs as compare_runs
    from archspec.training.probe import probe as probe
    from archspec.training.rates import Rates as Rates
    from archspec.training.rates import find_lr as find_lr
    from archspec.training.run import fit as fit
    from archspec.training.run import resume as resume
    from archspec.training.runs.outcome import DivergedError as DivergedError
    from archspec.training.runs.outcome import Run as Run
    from archspec.training.scoring.evaluation import Evaluation as Evaluation
    from archspec.training.scoring.evaluation import evaluate as evaluate
    from archspec.training.scoring.prediction import Predictions as Predictions
    from archspec.training.scoring.prediction import predict as predict

_install()  # that Keras, whenever it is imported, can load a saved model with archspec's layers

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "archspec.analysis.compare",
    "compare": "archspec.analysis.compare",
    "Difference": "archspec.analysis.difference",
    "diff": "archspec.analysis.difference",
    "Probe": "archspec.analysis.probe",
    "Report": "archspec.analysis.report",
    "report": "archspec.analysis.report",
    "ArchspecError": "archspec.diagnostics",
    "Diagnostic": "archspec.diagnostics",
    "SpecError": "archspec.diagnostics",
    "UsageError": "archspec.diagnostics",
    "Exported": "archspec.emit.export",
    "export": "archspec.emit.export",
    "Verification": "archspec.emit.model",
    "build": "archspec.emit.model",
    "load_model": "archspec.emit.model",
    "verify": "archspec.emit.model",
    "Explanation": "archspec.explanation",
    "show": "archspec.explanation",
    "Graph": "archspec.graph.graph",
    "Kinds": "archspec.inventory",
    "Networks": "archspec.inventory",
    "kinds": "archspec.inventory",
    "networks": "archspec.inventory",
    "JSONSchema": "archspec.json_schema",
    "schema": "archspec.json_schema",
    "Proof": "archspec.proof",
    "check": "archspec.proof",
    "Spec": "archspec.spec.document",
    "load": "archspec.spec.loading",
    "RunComparison": "archspec.training.comparison",
    "compare_runs": "archspec.training.comparison",
    "probe": "archspec.training.probe",
    "Evaluation": "archspec.training.scoring.evaluation",
    "evaluate": "archspec.training.scoring.evaluation",
    "Predictions": "archspec.training.scoring.prediction",
    "predict": "archspec.training.scoring.prediction",
    "DivergedError": "archspec.training.runs.outcome",
    "Run": "archspec.training.runs.outcome",
    "Rates": "archspec.training.rates",
    "find_lr": "archspec.training.rates",
    "fit": "archspec.training.run",
    "resume": "archspec.training.run",
}

_MODULES = {"explain": "archspec.explain", "weights": "archspec.emit.weights"}

__all__ = sorted(["__version__", *_HOMES, *_MODULES])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    value: Any
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    else:
        raise AttributeError(f"module 'archspec' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
