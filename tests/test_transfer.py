"""Transfer learning: what is copied, what is new, what is frozen, and that it helps."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import ROOT
from support.commands import BACKEND, run
from support.networks import randomized
from support.runs import describe_run
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.errors import RecipeError, UsageError
from archspec.graph.graph import Graph
from archspec.keras_model.build import build
from archspec.keras_model.engine import load_keras
from archspec.recipe.sections import Transfer
from archspec.training.transfer import Stage, begin, check_steps, freeze, stages

keras_test = pytest.mark.keras


RESIDUAL = """
name: small
input: [8, 8, 1]
vars: {classes: 4, filters: [2, 3], auxiliary: false}
defaults: {conv: {norm: batch, activation: relu}}
layers:
  - {name: stem, conv: {filters: 2, kernel: 3}}
  - for: {filters: =filters, stride: [1, 2]}
    name: stage
    layers:
      - {name: unit, repeat: 2, residual: {filters: =filters, stride: =stride if index == 0 else 1}}
  - global_avg_pool
  - dropout: 0.5
  - fc: {units: =classes, activation: softmax}
heads:
  side:
    when: =auxiliary
    from: stage1
    layers: [global_avg_pool, {fc: 5}, {fc: {units: =classes, activation: softmax}}]
"""

LAST = """
name: last
input: [6, 6, 1]
vars: {classes: 4}
layers:
  - {name: body, conv: {filters: 3, kernel: 3}}
  - {name: last, conv: {filters: =classes, kernel: 1, norm: batch, activation: relu}}
  - global_avg_pool
  - softmax
"""
"""The classes are made by a convolution, and a norm of them follows."""

FLAT = """
name: flat
input: [6, 6, 1]
vars: {classes: 4}
layers: [{conv: 2}, flatten, {fc: {units: 3, activation: relu}}, {fc: =classes}]
"""


def graph(text: str = RESIDUAL, **variables: Any) -> Graph:
    return expand(spec_of(text, **variables))


def values(model: Any) -> dict[str, list[np.ndarray]]:
    """The weights of each layer that has some, by its name."""
    convert = load_keras().ops.convert_to_numpy
    return {la.name: [convert(w) for w in la.weights] for la in model.layers if la.weights}


def changed(before: dict[str, list[np.ndarray]], model: Any) -> set[str]:
    """The layers with a weight that is another than before, in any bit."""
    after = values(model)
    return {
        name
        for name, weights in before.items()
        if not all(map(np.array_equal, weights, after[name]))
    }


def saved(model: Any, path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)
    return str(path)


# What is copied


@pytest.mark.parametrize("name", ["run/best.keras", "run/final.keras", "a.keras", "a.h5"])
def test_all_but_the_head_is_copied_bit_for_bit(keras, tmp_path, name):
    theirs = randomized(build(graph(classes=7)))
    path = saved(theirs, tmp_path / name)
    ours = build(graph())
    initial = values(ours)
    begun = begin(keras, ours, graph(), str(tmp_path / "run") if "run" in name else path)
    assert changed(values(theirs), ours) == {"fc1-fully_connected"}
    assert changed(initial, ours) == initial.keys() - {"fc1-fully_connected"}
    assert begun.new == ("fc1-fully_connected",)
    assert begun.params + begun.new_params == ours.count_params()
    assert (begun.new_params, begun.steps) == (16, ("fc1",))


def test_a_run_gives_its_best_model(keras, tmp_path):
    best, final = (randomized(build(graph()), seed) for seed in (1, 2))
    saved(best, tmp_path / "best.keras")
    saved(final, tmp_path / "final.keras")
    begin(keras, ours := build(graph()), graph(), str(tmp_path))
    assert changed(values(best), ours) == {"fc1-fully_connected"}


def test_one_line_says_what_was_copied(keras, tmp_path):
    path = saved(build(graph(FLAT, classes=7)), tmp_path / "a.keras")
    begun = begin(keras, build(graph(FLAT)), graph(FLAT), path)
    assert str(begun) == (
        f"copied 119 parameters of 2 layers from {path}; new: fc2 (16 parameters)"
    )


@pytest.mark.parametrize(
    ("told", "asked", "kept"),
    [
        ("abcd", "abcd", True),
        ("abcd", "abdc", False),
        ("abcd", "efgh", False),
        (None, "abcd", False),
    ],
)
def test_the_head_comes_along_only_from_a_run_of_the_same_classes(
    keras, tmp_path, told, asked, kept
):
    saved(theirs := randomized(build(graph())), tmp_path / "best.keras")
    if told is not None:
        text = "{name: net, input: [8, 8, 1], layers: [flatten, fc: 4]}"
        describe_run(tmp_path, text, told)
    begun = begin(keras, ours := build(graph()), graph(), str(tmp_path), tuple(asked))
    new = set() if kept else {"fc1-fully_connected"}
    assert changed(values(theirs), ours) == new == set(begun.new)


def test_a_head_may_be_a_convolution_and_its_norm(keras, tmp_path):
    theirs = randomized(build(graph(LAST, classes=7)))
    begun = begin(keras, build(graph(LAST)), graph(LAST), saved(theirs, tmp_path / "a.keras"))
    assert [mine for mine, _ in begun.layers] == ["body-convolution"]
    assert begun.new == ("last-convolution", "last-norm")
    assert begun.steps == ("last",)


def test_a_head_beside_the_main_one_is_left_out_or_begins_anew(keras, tmp_path):
    one, two = graph(), graph(auxiliary=True, classes=7)
    theirs = randomized(build(two))
    begin(keras, ours := build(one), one, saved(theirs, tmp_path / "two.keras"))
    assert changed(values(ours), theirs) == {"fc1-fully_connected"}
    theirs = randomized(build(one))
    begun = begin(keras, ours := build(two), two, saved(theirs, tmp_path / "one.keras"))
    assert changed(values(theirs), ours) == {"fc1-fully_connected"}
    assert begun.steps == ("fc1", "side/fc1", "side/fc2")


def test_of_a_head_beside_the_main_one_only_the_last_layer_is_new(keras, tmp_path):
    theirs = randomized(build(graph(auxiliary=True, classes=7)))
    ours = graph(auxiliary=True)
    begun = begin(keras, build(ours), ours, saved(theirs, tmp_path / "a.keras"))
    assert begun.steps == ("fc1", "side/fc2")


def test_an_image_of_another_extent_is_no_obstacle_to_convolutions(keras, tmp_path):
    theirs = randomized(build(graph(input=(12, 10, 1))))
    begin(keras, ours := build(graph()), graph(), saved(theirs, tmp_path / "a.keras"))
    assert changed(values(theirs), ours) == {"fc1-fully_connected"}


@pytest.mark.parametrize("name", ["a.weights.h5", "old.h5"])
def test_a_file_of_weights_alone_may_have_other_classes(keras, tmp_path, name):
    import h5py

    theirs = randomized(build(graph(classes=7)))
    path = saved(theirs, tmp_path / ("whole.h5" if name == "old.h5" else name))
    if name == "old.h5":
        with h5py.File(path) as source, h5py.File(tmp_path / name, "w") as target:
            for layer in source["model_weights"]:
                source.copy(f"model_weights/{layer}", target, layer)
            target.attrs.update(source["model_weights"].attrs)
    begin(keras, ours := build(graph()), graph(), str(tmp_path / name))
    assert changed(values(theirs), ours) == {"fc1-fully_connected"}


def foreign(keras: Any, *, top: bool = True, filters: int = 2, classes: int = 7) -> Any:
    """FLAT in plain Keras, with other names."""
    layers = keras.layers
    x = keras.Input((6, 6, 1))
    y = layers.Flatten()(layers.Conv2D(filters, 3, name="a")(x))
    if top:
        y = layers.Dense(classes, name="c")(layers.Dense(3, activation="relu", name="b")(y))
    return randomized(keras.Model(x, y, name="theirs"))


@pytest.mark.parametrize("top", [True, False])
def test_a_model_with_other_names_is_known_by_how_it_is_joined(keras, tmp_path, top):
    path = saved(foreign(keras, top=top), tmp_path / "a.keras")
    begun = begin(keras, build(graph(FLAT)), graph(FLAT), path)
    pairs = (("conv1-convolution", "a"), ("fc1-fully_connected", "b"))
    assert begun.layers == pairs[: 1 + top]
    assert begun.steps == ("fc1", "fc2")[top:]


def test_imagenet_is_the_network_of_keras_applications(keras, monkeypatch):
    def make(weights: str) -> Any:
        assert weights == "imagenet"
        return foreign(keras)

    monkeypatch.setattr(keras.applications, "Flat", make, raising=False)
    begun = begin(keras, build(graph(FLAT)), graph(FLAT), "imagenet")
    assert (len(begun.layers), begun.steps) == (2, ("fc2",))


def test_random_states_are_not_copied(keras, tmp_path):
    theirs = randomized(build(graph()))
    theirs.get_layer("dropout1").seed_generator.state.assign([7, 7])
    begin(keras, ours := build(graph()), graph(), saved(theirs, tmp_path / "a.keras"))
    state = keras.ops.convert_to_numpy(ours.get_layer("dropout1").seed_generator.state)
    assert state.tolist() != [7, 7]


# What is refused


REFUSED = {
    "filters": (
        {"filters": 5},
        "here `conv1-convolution` (bias [2], kernel [3, 3, 1, 2]), which gives 4x4x2; "
        "there `a` (bias [5], kernel [3, 3, 1, 5])",
    ),
    "channels": (
        {"input": (6, 6, 3)},
        "it has an input of 6x6x1, here it is an input of 6x6x3: the first layer's weights are for "
        "1 channels: give the network here an `input` of as many",
    ),
    "rank": ({"input": (6, 1)}, "it has an input of 6x6x1 with its channels, here it is an input"),
    "extent": (
        {"input": (8, 8, 1)},
        "here `fc1-fully_connected` (bias [3], kernel [72, 3]), which gives 3; there `b` (bias "
        "[3], kernel [32, 3]), which gives 3; it has an input of 6x6x1, here it is an input of "
        "8x8x1, and what follows `flatten` fits one extent only",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_network_is_refused_with_what_differs(keras, tmp_path, case):
    change, message = REFUSED[case]
    theirs = foreign(keras, **{k: v for k, v in change.items() if k != "input"})
    path = saved(theirs, tmp_path / "a.keras")
    ours = graph(FLAT, **{k: v for k, v in change.items() if k == "input"})
    before = values(model := build(ours))
    with pytest.raises(UsageError) as refused:
        begin(keras, model, ours, path)
    assert str(refused.value).startswith(f"{path} is not a `flat`: ")
    assert message in str(refused.value)
    assert changed(before, model) == set()


def test_the_extent_is_not_blamed_where_the_first_layer_differs(keras, tmp_path):
    path = saved(foreign(keras, filters=5), tmp_path / "a.keras")
    with pytest.raises(UsageError) as refused:
        begin(keras, build(graph(FLAT, input=(8, 8, 1))), graph(FLAT, input=(8, 8, 1)), path)
    assert "what follows `flatten`" not in str(refused.value)


def test_a_head_alone_is_no_transfer(keras, tmp_path):
    text = "{name: line, input: [4, 1], vars: {n: 3}, layers: [flatten, {fc: =n}]}"
    path = saved(build(graph(text, n=2)), tmp_path / "a.keras")
    with pytest.raises(UsageError, match="no layer in common with `line` but the head"):
        begin(keras, build(graph(text)), graph(text), path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "there is no run or file nowhere"),
        (".", "holds no trained model: neither best.keras nor final.keras is there"),
        ("imagenet", "there are no ImageNet weights for `small`"),
    ],
)
def test_a_source_that_is_none_is_refused(keras, tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        begin(keras, build(graph()), graph(), source)


# What is frozen


UNITS = [f"stage{stage}-unit{unit}-" for stage in (1, 2) for unit in (1, 2)]
"""The residual units, whose layers' names begin so."""

FROZEN = {
    "none": (),
    "stem": ("stem-",),
    "stem/convolution": ("stem-convolution",),
    "stage1": ("stem-", *UNITS[:2]),
    "stage1/unit1": ("stem-", UNITS[0]),
    "stage2/unit1": ("stem-", *UNITS[:3]),
    "stage2-unit1": ("stem-", *UNITS[:3]),
    "stage2": ("stem-", *UNITS),
    "all": ("stem-", *UNITS, "side-fc1"),
}


@keras_test
@pytest.mark.parametrize("step", FROZEN)
def test_a_step_is_frozen_with_all_that_it_depends_on(step):
    network = graph(auxiliary=True)
    model = build(network)
    frozen = freeze(model, network, step, ("fc1-fully_connected", "side-fc2-fully_connected"))
    weighted = [layer for layer in model.layers if layer.weights]
    still = {layer.name for layer in weighted if not layer.trainable}
    assert still == {la.name for la in weighted if la.name.startswith((*FROZEN[step], "-"))}
    every = sum(node.layer.trainable for node in network.nodes)
    assert frozen == every - sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@keras_test
def test_unfreezing_trains_again_what_is_to_be_trained():
    network = graph()
    model = build(network)
    before = [w.path for w in model.trainable_weights]
    freeze(model, network, "all", ())
    assert [w.path for w in model.trainable_weights] == before[-2:]
    assert freeze(model, network, "none", ()) == 0
    assert [w.path for w in model.trainable_weights] == before
    assert not [path for path in before if "moving" in path]


@keras_test
def test_what_the_spec_itself_freezes_stays_frozen():
    network = graph(FLAT.replace("conv: 2", "conv: {filters: 2, trainable: false}"))
    model = build(network)
    before = [w.path for w in model.trainable_weights]
    assert before == [f"fc{n}-fully_connected/{w}" for n in (1, 2) for w in ("kernel", "bias")]
    # It may be new: its spec wants it as it is.
    assert freeze(model, network, "conv1", ["conv1-convolution"]) == 0
    freeze(model, network, "none", ())
    assert [w.path for w in model.trainable_weights] == before


@keras_test
@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("stag2", "`small` has no step `stag2`; did you mean `stage2`?"),
        ("stage1/unit3", "no step `stage1/unit3`; did you mean `stage1/unit"),
        ("conv", "steps: dropout1, fc1, global_avg_pool1, input, stage1, stage2, stem"),
        ("fc1", "`fc1` cannot be frozen: `fc1/fully_connected` is new, with random weights"),
    ],
)
def test_a_step_that_cannot_be_frozen_is_refused(step, message):
    network = graph()
    model = build(network)
    with pytest.raises(UsageError) as refused:
        freeze(model, network, step, ["fc1-fully_connected"])
    assert message in str(refused.value)
    assert all(layer.trainable for layer in model.layers)


@keras_test
def test_something_is_left_to_train():
    network = graph()
    with pytest.raises(UsageError, match="nothing is left to train after `fc1`"):
        freeze(build(network), network, "fc1", ())


@keras_test
def test_what_is_frozen_stays_as_it_is_and_the_rest_learns():
    network = graph()
    model = build(network)
    x = np.random.default_rng(0).normal(1, 2, (8, 8, 8, 1)).astype("float32")
    y = np.eye(4, dtype="float32")[[0, 1, 2, 3] * 2]
    for step, count in (("stage1", 5), ("none", 0)):
        freeze(model, network, step, ())
        model.compile("sgd", loss="categorical_crossentropy")
        before = values(model)
        model.fit(x, y, batch_size=4, epochs=1, verbose=0)
        still = before.keys() - changed(before, model)
        assert still == {name for name in before if count and name.startswith(("stem", "stage1"))}


def test_a_frozen_batch_norm_is_at_inference(keras):
    network = graph()
    model = randomized(build(network))
    part = keras.Model(model.inputs[0], model.get_layer("stage2-unit2-activation").output)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")

    def outputs() -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(part(x, training=t)) for t in (False, True)]

    assert not np.allclose(*outputs())
    freeze(model, network, "stage2", ())
    assert np.array_equal(*outputs())


# When


def transfer(*thaws: dict[str, Any], freeze: str = "all") -> Transfer:
    return Transfer.model_validate({"from": "a.keras", "freeze": freeze, "unfreeze": thaws})


def test_without_transfer_all_is_trained_all_the_time():
    assert stages(None, 30) == (Stage(1, 30, "none", None),)


def test_stages_follow_one_another():
    thaws = ({"epoch": 5, "freeze": "stage2", "learning_rate": 1e-4}, {"epoch": 9})
    assert stages(transfer({"epoch": 3, "freeze": "stage3"}, *thaws), 9) == (
        Stage(1, 2, "all", None),
        Stage(3, 4, "stage3", None),
        Stage(5, 8, "stage2", 1e-4),
        Stage(9, 9, "none", 1e-4),
    )


def test_what_was_trained_may_be_frozen_again():
    again = transfer({"epoch": 3, "freeze": "all"}, freeze="none")
    assert [stage.freeze for stage in stages(again, 5)] == ["none", "all"]


@pytest.mark.parametrize(
    ("epochs", "index", "message"),
    [
        ((1,), 0, "is 1, but the stage before it begins with epoch 1"),
        ((5, 5), 1, "is 5, but the stage before it begins with epoch 5"),
        ((5, 3), 1, "is 3, but the stage before it begins with epoch 5"),
        ((5, 31), 1, "is 31, but the last epoch is 30"),
    ],
)
def test_stages_out_of_order_are_refused(epochs, index, message):
    with pytest.raises(RecipeError) as refused:
        stages(transfer(*({"epoch": epoch} for epoch in epochs)), 30)
    ((path, problem),) = refused.value.problems
    assert path == ("transfer", "unfreeze", index, "epoch")
    assert problem.message == f"`train.transfer.unfreeze.{index}.epoch` {message}"


def test_every_stage_is_looked_at_before_the_first():
    thaws = ({"epoch": 2, "freeze": "stage3"}, {"epoch": 3, "freeze": "fc1"}, {"epoch": 4})
    with pytest.raises(RecipeError) as refused:
        check_steps(transfer(*thaws), graph(), ["fc1-fully_connected"])
    assert [(path[2], problem.message) for path, problem in refused.value.problems] == [
        (0, "`small` has no step `stage3`"),
        (1, "`fc1` cannot be frozen: `fc1/fully_connected` is new, with random weights"),
    ]


# What it is good for


@pytest.mark.slow
@keras_test
def test_the_page_s_digits_are_learned_sooner_than_from_scratch(tmp_path):
    """The page's own commands; the least gain that it reports is 12.8 points."""
    page = (ROOT / "docs" / "transfer.md").read_text(encoding="utf-8")
    accuracy = {}
    for command in re.findall(r"^archspec fit docs/transfer/.*$", page, re.MULTILINE):
        _, *arguments = command.replace("docs/", f"{ROOT}/docs/").split()
        done = run(*arguments, "--quiet", cwd=tmp_path, engine=BACKEND)
        assert done.returncode == 0, done.stderr
        accuracy[arguments[-1]] = float(re.search(r"test accuracy (\S+)%", done.stdout)[1])
    assert accuracy["runs/low"] > 95
    assert accuracy["runs/high"] > accuracy["runs/scratch"] + 10
