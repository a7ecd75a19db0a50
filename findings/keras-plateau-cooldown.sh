#!/usr/bin/env bash
# Keras 3.15.1: ReduceLROnPlateau(cooldown=1) waits for no epoch; cooldown=N waits for N - 1.
#
# Expected: as its documentation has it, the callback sits out that many epochs after each step down:
#           with a patience of 2, and a loss that never improves, steps lie 2 + cooldown epochs apart.
# Real:     the counter is lowered before it is looked at, so that the last epoch of a cooldown counts
#           as one without progress: cooldown=1 does the same as cooldown=0.
# Way out:  ask for one epoch more than is meant, unless none is.
#
# Output seen:
#   keras 3.15.1
#   cooldown=0: the rate falls after epochs 3, 5, 7
#   cooldown=1: the rate falls after epochs 3, 5, 7
#   cooldown=2: the rate falls after epochs 3, 6, 9
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6 2>/dev/null
cd "$work"
export KERAS_BACKEND=jax JAX_PLATFORMS=cpu
"$work/venv/bin/python" - <<'PYTHON'
import sys
from types import SimpleNamespace

import keras


def steps_down(cooldown):
    """After which epochs the rate falls, of a loss that never improves."""
    callback = keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=2, cooldown=cooldown)
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=1.0)))
    callback.on_train_begin()
    rate, found = 1.0, []
    for epoch in range(12):
        callback.on_epoch_end(epoch, {"loss": 1.0})
        if callback.model.optimizer.learning_rate < rate:
            rate = callback.model.optimizer.learning_rate
            found.append(epoch + 1)
    return found[:3]


print(f"keras {keras.__version__}")
seen = [steps_down(cooldown) for cooldown in range(3)]
for cooldown, epochs in enumerate(seen):
    print(f"cooldown={cooldown}: the rate falls after epochs {', '.join(map(str, epochs))}")
sys.exit(seen != [[3, 5, 7], [3, 5, 7], [3, 6, 9]])
PYTHON
