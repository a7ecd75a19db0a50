#!/usr/bin/env bash
# Keras 3.15.1: Adafactor keeps a value for each weight, beside the factors that are to save them.
#
# Expected: its point is memory: for a matrix of n x m weights the second moment is kept as n + m
#           numbers (Shazeer & Stern 2018, arXiv:1804.04235, section 3), and there is no first moment.
# Real:     the product of the two factors is kept as well, in a variable of the weight's own shape, and
#           written anew from them at every step. Memory and checkpoints are as large as with momentum.
# Way out:  none by an argument; count its slots as one value for each weight and the factors.
#
# Output seen:
#   keras 3.15.1
#   weights 1,000,000; slots of Adafactor 1,002,000, of SGD with momentum 1,000,000
#   shapes: (1000,) (1000,) (1000, 1000); the largest is the product of the others: True
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6 2>/dev/null
cd "$work"
export KERAS_BACKEND=jax JAX_PLATFORMS=cpu
"$work/venv/bin/python" - <<'PYTHON'
import sys

import keras
import numpy as np


def slots(optimizer):
    """The variables that an optimizer keeps of a 1000x1000 matrix after three updates."""
    weights = keras.Variable(np.ones((1000, 1000), "float32"))
    optimizer.build([weights])
    for _ in range(3):
        optimizer.apply([keras.ops.full((1000, 1000), 0.5)])
    return [np.array(variable) for variable in optimizer.variables if len(variable.shape)]


factored = slots(keras.optimizers.Adafactor())
momentum = slots(keras.optimizers.SGD(momentum=0.9))
counts = [sum(array.size for array in arrays) for arrays in (factored, momentum)]
rows, columns, largest = sorted(factored, key=np.size)
is_product = np.allclose(largest, np.outer(rows / rows.mean(), columns))
print(f"keras {keras.__version__}")
print(f"weights 1,000,000; slots of Adafactor {counts[0]:,}, of SGD with momentum {counts[1]:,}")
shapes = " ".join(str(array.shape) for array in sorted(factored, key=np.size))
print(f"shapes: {shapes}; the largest is the product of the others: {is_product}")
sys.exit(counts != [1_002_000, 1_000_000] or not is_product)
PYTHON
