#!/usr/bin/env bash
# ptflops 0.7.5, its default backend: a relu or a pool counts twice if it is a module.
#
# Expected: nn.ReLU and torch.relu count the same, and a pool as much as it has inputs.
# Real:     the hook of the module counts, and so does the function of torch.nn.functional that the
#           module calls, which is patched as well. A network's total depends on how it is written:
#           torchvision's GoogLeNet calls F.relu and counts its relus once, ResNet has modules and
#           counts them twice. nn.Linear was spared: the patch of F.linear is commented out.
# Way out:  extra_config={"count_functional": False}; or backend="aten", which counts neither.
#
# Output seen:
#   torch 2.13.0+cpu, ptflops 0.7.5
#   nn.ReLU 200, F.relu 100, values 100
#   nn.MaxPool2d 200, F.max_pool2d 100, values 100
#   modules twice: True
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ptflops==0.7.5 numpy==2.4.6 2>/dev/null
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from ptflops import get_model_complexity_info
from torch import nn
from torch.nn import functional as F


class Called(nn.Module):
    """A network that calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def count(model):
    found, _ = get_model_complexity_info(
        model, (1, 10, 10), as_strings=False, print_per_layer_stat=False, backend="pytorch"
    )
    return int(found)


print(f"torch {torch.__version__}, ptflops {version('ptflops')}")
twice = True
for name, module, called in (
    ("ReLU", nn.ReLU(), "relu"),
    ("MaxPool2d", nn.MaxPool2d(2), "max_pool2d"),
):
    arguments = () if called == "relu" else (2,)
    # Looked up at each call, as code of a network does, since ptflops patches it.
    counts = count(nn.Sequential(module)), count(Called(lambda x: getattr(F, called)(x, *arguments)))
    print(f"nn.{name} {counts[0]}, F.{called} {counts[1]}, values 100")
    twice &= counts == (200, 100)
print("modules twice:", twice)
sys.exit(not twice)
PYTHON
