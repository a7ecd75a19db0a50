"""Maps of `deconvnet` and `guided`, to be compared between backends (see `support/backends.py`)."""

from support.networks import images, relu_net, seeded, subject_of

from archspec import explain
from archspec.explain.attribution import class_gradients


def hidden(keras):
    """ReLUs as an op, an `Activation`, in a nested model; pools that overlap; a stride; ties."""
    layers = keras.layers
    inner = keras.Sequential(
        [
            layers.Input((7, 7, 6)),
            layers.Conv2D(8, 3, padding="same", strides=2),
            layers.Activation("relu", name="act"),
        ],
        name="inner",
    )
    inputs = keras.Input((15, 15, 3))
    x = keras.ops.relu(layers.Conv2D(6, 3, padding="same")(inputs))
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Flatten()(inner(x))
    return seeded(keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x)))


def projections(keras):
    given = images(3, (15, 15, 3))
    given[:, 4:12, 4:12] = 128  # equal values: ties in the pools
    subject = subject_of(hidden(keras))
    found = {
        rule: class_gradients(subject, given, [0, 1, 2], 3, rule)
        for rule in ("vanilla", "guided", "deconvnet")
    }
    gallery = explain.deconvnet(subject, given, layer="inner", units=2)
    for exhibit in gallery:
        found |= {f"{exhibit.name} {item.name}": item.values for item in exhibit.items}
    return found


def units(keras):
    subject = subject_of(relu_net(keras, (12, 12, 1), seed=1))
    gallery = explain.deconvnet(subject, images(6, (12, 12, 1)), layer="relu2", units=1)
    return {"patches": gallery[0].items[0].values, "maps": gallery[0].items[1].values}


def likeness(keras):
    """Curves, and maps of a network that is re-initialised: the same weights on all backends."""
    gallery = explain.faithfulness(
        relu_net(keras, (12, 12, 1), seed=1),
        images(4, (12, 12, 1)),
        normalize="unit",
        method="guided",
        check=["curves", "sanity"],
        steps=6,
        draws=2,
    )
    lines = {
        f"{chart.name} {name}": [y for _, y in points]
        for chart in gallery[-1].items[:-1]
        for name, points in chart.lines.items()
    }
    return {"maps": gallery[0].items[-1].values, **lines}


CASES = {"projections": projections, "units": units, "likeness": likeness}
