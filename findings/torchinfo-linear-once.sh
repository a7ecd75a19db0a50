#!/usr/bin/env bash
# torchinfo 1.8.0: a linear layer on a sequence counts the multiply-adds of one position.
#
# Expected: nn.Linear(4, 8) on 100 positions of 4 channels has 100 x 4 x 8 multiply-adds.
# Real:     any layer but a convolution counts its weights once for each example, however often it
#           uses them; attention counts nothing. torchvision's ViT-B/16 has 173 million multiply-adds
#           for torchinfo, and 17.56 thousand million for torchvision itself.
# Way out:  none by an option. A 1x1 convolution over the positions counts as expected.
#
# Output seen:
#   torch 2.13.0+cpu, torchinfo 1.8.0
#   nn.Linear on 1 position 40, on 100 positions 40; nn.Conv1d on 100 positions 4,000
#   a position alone is counted: True
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 torchinfo==1.8.0 numpy==2.4.6 2>/dev/null
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys

import torch
import torchinfo
from torch import nn

print(f"torch {torch.__version__}, torchinfo {torchinfo.__version__}")


def count(layer, *shape):
    return torchinfo.summary(layer, input_size=(1, *shape), verbose=0).total_mult_adds


one, many = count(nn.Linear(4, 8), 1, 4), count(nn.Linear(4, 8), 100, 4)
convolution = count(nn.Conv1d(4, 8, 1), 4, 100)
print(
    f"nn.Linear on 1 position {one}, on 100 positions {many}; "
    f"nn.Conv1d on 100 positions {convolution:,}"
)
once = (one, many, convolution) == (40, 40, 4000)
print("a position alone is counted:", once)
sys.exit(not once)
PYTHON
