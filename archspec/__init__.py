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
    from archspec.errors import EngineError as EngineError
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
    name: home
    for home, names in {
        "archspec.cost.compare": "Comparison compare",
        "archspec.cost.difference": "Difference diff",
        "archspec.cost.report": "Report report",
        "archspec.cost.roofline": "Roofline roofline",
        "archspec.decompile.importing": "ImportedSpec import_model",
        "archspec.ejection.ejecting": "eject",
        "archspec.ejection.torch_weights": "torch_weights",
        "archspec.errors": "ArchspecError Diagnostic EngineError SpecError UsageError",
        "archspec.evaluation.evaluation": "Evaluation evaluate",
        "archspec.evaluation.prediction": "Predictions predict",
        "archspec.evaluation.scores": "Scores",
        "archspec.explain.gallery": "Gallery",
        "archspec.explanation": "Explanation show",
        "archspec.figure": "AnyFigure ComparisonFigure DifferenceFigure Figure RooflineFigure draw",
        "archspec.graph.graph": "Graph",
        "archspec.imports.loading": "load",
        "archspec.imports.model": "ImportedModel",
        "archspec.inventory": "Kinds Networks kinds networks",
        "archspec.json_schema": "JSONSchema schema",
        "archspec.keras_model.build": "build load_model",
        "archspec.keras_model.export": "Exported UnequalError export",
        "archspec.keras_model.verify": "Verification verify",
        "archspec.keras_model.weights": "Copied",
        "archspec.measurement.fits": "Fits fits",
        "archspec.measurement.measurement": "Measurement measure",
        "archspec.measurement.timing": "Timings time_network",
        "archspec.proof": "Proof check",
        "archspec.runs.comparison": "RunComparison compare_runs",
        "archspec.runs.outcome": "DivergedError Run",
        "archspec.spec.document": "Spec",
        "archspec.studies.search": "join_search search",
        "archspec.studies.study": "Study",
        "archspec.studies.sweep": "Sweep sweep",
        "archspec.training.fit": "fit resume",
        "archspec.training.probe": "Probe probe",
        "archspec.training.rates": "Rates find_lr",
    }.items()
    for name in names.split()
}
"""The module of each public name."""

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
