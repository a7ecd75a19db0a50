"""Write the TFLite files with recurrences, with TensorFlow 2.15, whose converter has an LSTM.

`python tests/model_files/make_tflite_recurrence.py` writes lstm.tflite, loop.tflite, and lstm.npz:
what TFLite computes of a sequence. Later versions write every recurrence as a loop.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

FOLDER = Path(__file__).parent / "tflite"


def converted(layer: layers.Layer) -> bytes:
    """Return a network of a recurrence and a product as the converter writes it."""
    sequence = tf.keras.Input((6, 8))
    model = tf.keras.Model(sequence, layers.Dense(2, name="scores")(layer(sequence)))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=each.shape) for each in model.get_weights()])
    given = tf.TensorSpec((1, 6, 8), tf.float32)
    function = tf.function(model).get_concrete_function(given)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    return bytes(converter.convert())


if __name__ == "__main__":
    (FOLDER / "loop.tflite").write_bytes(converted(layers.GRU(5, name="gru")))
    content = converted(layers.LSTM(5, return_sequences=True, name="lstm"))
    (FOLDER / "lstm.tflite").write_bytes(content)
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    x = np.random.default_rng(1).random((1, 6, 8), "float32")
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.savez_compressed(FOLDER / "lstm.npz", x=x, y=y)
