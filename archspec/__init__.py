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

if TYPE_CHECKING:
    from archspec import explain as explain
    from archspec.cost.compare import Comparison as Comparison
    from archspec.cost.compare import compare as compare
    from archspec.cost.difference import Difference as Difference
    from archspec.cost.difference import diff as diff
    from archspec.cost.report import Report as Report
    from archspec.cost.report import report as report
    from archspec.cost.roofline import Roofline as Roofline
    from archspec.cost.roofline import roofline as roofline
    from archspec.decompile.importing import ImportedSpec as ImportedSpec
    from archspec.decompile.importing import import_model as import_model
    from archspec.ejection.ejecting import eject as eject
    from archspec.ejection.torch_weights import torch_weights as torch_weights
    from archspec.errors import ArchspecError as ArchspecError
    from archspec.errors import Diagnostic as Diagnostic
    from archspec.errors import SpecError as SpecError
    from archspec.errors import UsageError as UsageError
    from archspec.evaluation.evaluation import Evaluation as Evaluation
    from archspec.evaluation.evaluation import evaluate as evaluate
    from archspec.evaluation.prediction import Predictions as Predictions
    from archspec.evaluation.prediction import predict as predict
    from archspec.evaluation.scores import Scores as Scores
    from archspec.explain.gallery import Gallery as Gallery
    from archspec.explanation import Explanation as Explanation
    from archspec.explanation import show as show
    from archspec.figure import AnyFigure as AnyFigure
    from archspec.figure import ComparisonFigure as ComparisonFigure
    from archspec.figure import DifferenceFigure as DifferenceFigure
    from archspec.figure import Figure as Figure
    from archspec.figure import RooflineFigure as RooflineFigure
    from archspec.figure import draw as draw
    from archspec.graph.graph import Graph as Graph
    from archspec.imports.loading import load as load
    from archspec.imports.model import ImportedModel as ImportedModel
    from archspec.inventory import Kinds as Kinds
    from archspec.inventory import Networks as Networks
    from archspec.inventory import kinds as kinds
    from archspec.inventory import networks as networks
    from archspec.json_schema import JSONSchema as JSONSchema
    from archspec.json_schema import schema as schema
    from archspec.keras_model import weights as weights
    from archspec.keras_model.build import build as build
    from archspec.keras_model.build import load_model as load_model
    from archspec.keras_model.export import Exported as Exported
    from archspec.keras_model.export import UnequalError as UnequalError
    from archspec.keras_model.export import export as export
    from archspec.keras_model.verify import Verification as Verification
    from archspec.keras_model.verify import verify as verify
    from archspec.keras_model.weights import Copied as Copied
    from archspec.measurement.fits import Fits as Fits
    from archspec.measurement.fits import fits as fits
    from archspec.measurement.measurement import Measurement as Measurement
    from archspec.measurement.measurement import measure as measure
    from archspec.measurement.timing import Timings as Timings
    from archspec.measurement.timing import time_network as time_network
    from archspec.proof import Proof as Proof
    from archspec.proof import check as check
    from archspec.runs.comparison import RunComparison as RunComparison
    from archspec.runs.comparison import compare_runs as compare_runs
    from archspec.runs.outcome import DivergedError as DivergedError
    from archspec.runs.outcome import Run as Run
    from archspec.spec.document import Spec as Spec
    from archspec.studies.search import join_search as join_search
    from archspec.studies.search import search as search
    from archspec.studies.study import Study as Study
    from archspec.studies.sweep import Sweep as Sweep
    from archspec.studies.sweep import sweep as sweep
    from archspec.training.fit import fit as fit
    from archspec.training.fit import resume as resume
    from archspec.training.probe import Probe as Probe
    from archspec.training.probe import probe as probe
    from archspec.training.rates import Rates as Rates
    from archspec.training.rates import find_lr as find_lr

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "archspec.cost.compare",
    "compare": "archspec.cost.compare",
    "Difference": "archspec.cost.difference",
    "diff": "archspec.cost.difference",
    "Probe": "archspec.training.probe",
    "Report": "archspec.cost.report",
    "report": "archspec.cost.report",
    "ImportedSpec": "archspec.decompile.importing",
    "import_model": "archspec.decompile.importing",
    "eject": "archspec.ejection.ejecting",
    "torch_weights": "archspec.ejection.torch_weights",
    "ArchspecError": "archspec.errors",
    "Diagnostic": "archspec.errors",
    "SpecError": "archspec.errors",
    "UsageError": "archspec.errors",
    "Exported": "archspec.keras_model.export",
    "UnequalError": "archspec.keras_model.export",
    "export": "archspec.keras_model.export",
    "Verification": "archspec.keras_model.verify",
    "build": "archspec.keras_model.build",
    "load_model": "archspec.keras_model.build",
    "Gallery": "archspec.explain.gallery",
    "verify": "archspec.keras_model.verify",
    "Explanation": "archspec.explanation",
    "show": "archspec.explanation",
    "Roofline": "archspec.cost.roofline",
    "roofline": "archspec.cost.roofline",
    "AnyFigure": "archspec.figure",
    "ComparisonFigure": "archspec.figure",
    "DifferenceFigure": "archspec.figure",
    "Figure": "archspec.figure",
    "RooflineFigure": "archspec.figure",
    "draw": "archspec.figure",
    "Graph": "archspec.graph.graph",
    "Kinds": "archspec.inventory",
    "Networks": "archspec.inventory",
    "kinds": "archspec.inventory",
    "networks": "archspec.inventory",
    "JSONSchema": "archspec.json_schema",
    "schema": "archspec.json_schema",
    "Copied": "archspec.keras_model.weights",
    "Fits": "archspec.measurement.fits",
    "fits": "archspec.measurement.fits",
    "Measurement": "archspec.measurement.measurement",
    "measure": "archspec.measurement.measurement",
    "Timings": "archspec.measurement.timing",
    "time_network": "archspec.measurement.timing",
    "Proof": "archspec.proof",
    "check": "archspec.proof",
    "Study": "archspec.studies.study",
    "join_search": "archspec.studies.search",
    "search": "archspec.studies.search",
    "Sweep": "archspec.studies.sweep",
    "sweep": "archspec.studies.sweep",
    "Spec": "archspec.spec.document",
    "ImportedModel": "archspec.imports.model",
    "load": "archspec.imports.loading",
    "RunComparison": "archspec.runs.comparison",
    "compare_runs": "archspec.runs.comparison",
    "probe": "archspec.training.probe",
    "Evaluation": "archspec.evaluation.evaluation",
    "evaluate": "archspec.evaluation.evaluation",
    "Scores": "archspec.evaluation.scores",
    "Predictions": "archspec.evaluation.prediction",
    "predict": "archspec.evaluation.prediction",
    "DivergedError": "archspec.runs.outcome",
    "Run": "archspec.runs.outcome",
    "Rates": "archspec.training.rates",
    "find_lr": "archspec.training.rates",
    "fit": "archspec.training.fit",
    "resume": "archspec.training.fit",
}

_MODULES = {"explain": "archspec.explain", "weights": "archspec.keras_model.weights"}

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
