#!/usr/bin/env bash
# keras-tuner 1.4.8: imports `six`, which it does not declare.
#
# Expected: `pip install keras-tuner jax`, then `import keras_tuner`.
# Real:     ModuleNotFoundError: No module named 'six'. Its hyperparameters import it, and it is not
#           among the package's dependencies; TensorFlow happens to bring it, JAX does not.
# Way out:  pip install six
#
# Output seen:
#   keras-tuner 1.4.8 declares six: False
#   import keras_tuner: No module named 'six'
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet keras-tuner==1.4.8 keras==3.15.1 jax==0.10.2 2>/dev/null
cd "$work"
KERAS_BACKEND=jax "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

needed = importlib.metadata.requires("keras-tuner")
declared = any(each.startswith("six") for each in needed)
print(f"keras-tuner {importlib.metadata.version('keras-tuner')} declares six: {declared}")
try:
    import keras_tuner  # noqa: F401
except ModuleNotFoundError as error:
    print("import keras_tuner:", error)
    sys.exit(declared or error.name != "six")
print("import keras_tuner: ok")
sys.exit(1)
PYTHON
