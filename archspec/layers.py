"""Import this module to load archspec's models with Keras alone.

    import archspec.layers
    import keras

    model = keras.models.load_model("best.keras")

Keras loads a layer of a class that is not its own once that class is registered. Importing this
module imports Keras and registers archspec's layers and learning-rate schedules, and the optimizers
of files that were written on PyTorch. So does every function of archspec that returns a Keras
model, `archspec.load_model` among them.
"""

from archspec.keras_model.engine import load_keras

load_keras()
