"""The commands by name, and the words of other tools for them."""

from __future__ import annotations

from typing import Final

COMMANDS: Final[dict[str, str]] = {
    "build": "Show what a network costs; write it as a model or a report.",
    "import": "Make a spec of a model file of Keras, ONNX, TFLite, Caffe, Darknet or PyTorch.",
    "measure": "Compile a network for a device and show the memory that it takes; or time it here.",
    "fits": "Find the largest batch of a training step that fits in a memory.",
    "draw": "Draw a network: blocks, feature maps, or the table of a paper.",
    "serve": "Show a spec's page in the browser, redrawn whenever its file is saved.",
    "check": "Prove a spec: every variant valid, its figures and budgets true.",
    "compare": "Show networks side by side, or where two of them differ; or trainings.",
    "sweep": "Cost all combinations of some variables' values, and show the Pareto front.",
    "roofline": "Show the least time of each layer on a device, and draw it.",
    "search": "Search for the best network within a budget, and train every candidate.",
    "fit": "Train a network, and keep all of the run in a folder.",
    "evaluate": "Score trained networks on images they were not trained on.",
    "predict": "Predict the classes, labels or numbers of images with a trained network.",
    "explain": "Show what a trained network sees: maps, filters, features, and more.",
    "export": "Write a model for other programs, each file proven by running it.",
    "eject": "Write a network as plain source of Keras or PyTorch, in which there is no archspec.",
    "probe": "Show activations and gradients at initialisation.",
    "list": "List the networks that come with archspec, or the kinds of steps.",
    "show": "Explain a kind of step, or print a bundled spec.",
    "schema": "Print the JSON Schema of specs, for editors.",
    "lsp": "Answer an editor while a spec is written (a language server).",
    "completion": "Print a script with which a shell completes archspec's words.",
}
"""Every command, with the first line of its help: `archspec --help` imports none of them."""

WORDS = {
    "train": "fit",
    "run": "fit",
    "summary": "build",
    "cost": "build",
    "plot": "draw",
    "plot_model": "draw",
    "visualize": "draw",
    "visualise": "draw",
    "diagram": "draw",
    "figure": "draw",
    "picture": "draw",
    "render": "draw",
    "validate": "check",
    "verify": "build --verify",
    "test": "evaluate",
    "score": "evaluate",
    "infer": "predict",
    "convert": "export",
    "decompile": "import",
    "load": "import",
    "ls": "list",
    "models": "list",
    "help": "--help",
    "version": "--version",
}
"""Other tools' words for a command."""
