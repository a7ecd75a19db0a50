"""Networks that several scripts of this folder write."""

import keras
from keras import layers


def spelled_out() -> keras.Model:
    """Return one of norms, attention and functions, which are arithmetic in TensorFlow's files."""
    x = image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 2, strides=2, name="patches")(x)
    x = layers.GroupNormalization(2, name="group_norm")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="prelu")(x)
    x = layers.Reshape((16, 8), name="sequence")(x)
    y = layers.LayerNormalization(name="layer_norm")(x)
    y = layers.MultiHeadAttention(2, 4, name="attention")(y, y)
    x = layers.Add(name="add")([x, y])
    x = layers.Dense(6, activation="gelu", name="each_place")(x)
    x = layers.Conv1D(4, 3, dilation_rate=2, activation="selu", name="dilated")(x)
    x = layers.UnitNormalization(name="unit_norm")(x)
    return keras.Model(image, x)
