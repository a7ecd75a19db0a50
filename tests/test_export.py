"""Exporting: what is written gives the model's outputs wherever it is run, or is not kept."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.runs import describe_run
from support.specs import graph_of, spec_of

import archspec
from archspec.cli.export import command
from archspec.data.values import LEVELS
from archspec.errors import SpecError, UsageError
from archspec.graph.graph import Graph
from archspec.keras_model import formats
from archspec.keras_model.build import build
from archspec.keras_model.engine import load_file, load_keras
from archspec.keras_model.export import Exported, UnequalError, check_target, export
from archspec.keras_model.formats import FORMATS, format_of
from archspec.spec.document import Spec

keras_test = pytest.mark.keras

SMALL = """
name: net
input: [8, 8, 4]
layers:
  - conv: {filters: 4, kernel: 3, activation: relu}
  - flatten
  - fc: {units: 3, activation: softmax}
"""

HEADS = """
name: heads
input: [12, 12, 3]
layers:
  - {name: stem, conv: {filters: 4, kernel: 3, activation: relu}}
  - global_avg_pool
  - fc: {units: 5, activation: softmax}
heads:
  side: {from: stem, layers: [flatten, fc: 5]}
  early: {from: stem, layers: [global_max_pool, fc: 2]}
"""

SEVERAL_INPUTS = """
name: pair
inputs: {right: [8, 8, 1], left: [8, 8, 1], facts: [3]}
layers:
  - {name: tower, from: left, layers: [{conv: {filters: 2, kernel: 3}}, flatten]}
  - {name: twin, share: tower, from: right}
  - {name: both, concat: [tower, twin, facts]}
  - fc: 2
"""

OWN_LAYERS = """
name: own
input: [16, 16, 4]
layers:
  - {name: paths, path_draw: 3}
  - {from: [input, paths], fractal: {filters: 6, columns: 3, dropout: 0.1, drop_path: 0.15}}
  - lrn: {}
  - transformer: {heads: 2, window: 4, shift: 1, relative_position_bias: true}
  - avg_pool: {size: 3, stride: 2, padding: 1}
  - residual: {filters: 8, shortcut: pad, stride: 2, drop_path: 0.5}
  - drop_path: {rate: 0.3, mode: batch}
  - l2_pool: 2
  - scale: {}
  - {slice: {start: 1, stop: 5}}
  - local_conv: {filters: 3, kernel: [2, 1]}
  - reshape: [2, 3]
  - class_token
  - position_embedding
  - lstm: {units: 3, bidirectional: true}
  - gru: {units: 4, output: last}
  - fc: 4
"""


def model_of(network: Graph | Spec | str = SMALL):
    """A network with weights that tell its outputs, its channels and its places apart."""
    model = build(spec_of(network) if isinstance(network, str) else network)
    random = np.random.default_rng(1)
    for weight in model.weights:
        if "variance" in weight.path:
            weight.assign(random.uniform(0.5, 2, weight.shape))
        elif "seed" not in weight.path:
            # Around what it is, for kernels: a network that amplifies amplifies rounding too.
            spread = np.abs(weight) if len(weight.shape) > 1 else 1
            weight.assign(weight + spread * random.normal(0, 0.1, weight.shape))
    return model


@cache
def mixed_model():
    """The same in mixed precision, to be read only."""
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return model_of()
    finally:
        keras.config.set_dtype_policy("float32")


shared_model = cache(model_of)
"""The same for tests that only read it: one for all formats."""


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(2).normal(size=shape).astype("float32")


def images(model, number: int) -> np.ndarray:
    return noise((number, *model.input_shape[1:]))


def examples(model, number: int) -> dict[str, np.ndarray]:
    """Return random arrays for the inputs of a model by name."""
    return {tensor.name: noise((number, *tensor.shape[1:])) for tensor in model.inputs}


def outputs(model, x: np.ndarray | dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = model(x, training=False)
    found = found if isinstance(found, dict) else {"output": found}
    return {name: load_keras().ops.convert_to_numpy(y) for name, y in found.items()}


def run_keras(path, x, _):
    return outputs(archspec.load_model(path), x)


def run_weights(path, x, model):
    import keras

    fresh = keras.models.clone_model(model)
    fresh.load_weights(path)
    return outputs(fresh, x)


def run_onnx(path, x, _):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    given = x if isinstance(x, dict) else {"input": x}
    return dict(zip(names, session.run(names, given), strict=True))


def run_saved_model(path, x, _):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    found = loaded.serve(x)
    return found if isinstance(found, dict) else {"output": found}


def run_tflite(path, x, _):
    import tensorflow as tf

    with pytest.warns(UserWarning, match="deprecated"):
        runner = tf.lite.Interpreter(model_path=str(path)).get_signature_runner()
    found = runner(**x) if isinstance(x, dict) else runner(input=x)
    return found if len(found) > 1 else {"output": found["output_0"]}


RUN = {
    "x.keras": run_keras,
    "x.weights.h5": run_weights,
    "x.onnx": run_onnx,
    "x.tflite": run_tflite,
    "saved": run_saved_model,
}
"""Programs that read an exported file, which know its format but not archspec."""


def skip_what_is_not_here(path: str) -> None:
    try:
        format_of(path).check(path, load_keras().backend.backend())
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return what came of exporting a model that is shared, once for all tests."""

    @cache
    def once(network: str, path: str) -> Exported:
        skip_what_is_not_here(path)
        target = tmp_path_factory.mktemp("exported") / path
        done = export(shared_model(network), target)
        assert done.path == target
        return done

    return once


def check(model, done: Exported) -> Exported:
    """Have others run what was exported, for batches of 1 and of 3."""
    several = len(model.inputs) > 1
    made = examples if several else images
    for batch in (made(model, 3), made(model, 1)):
        expected, found = outputs(model, batch), RUN[done.path.name](done.path, batch, model)
        assert set(found) == set(expected)
        for name, y in expected.items():
            np.testing.assert_allclose(found[name], y, atol=1e-5)
    return done


every_format = pytest.mark.parametrize("path", RUN)


@keras_test
@every_format
def test_a_small_network(exported, path):
    done = check(shared_model(SMALL), exported(SMALL, path))
    assert done.path.exists()
    assert done.images == 32
    assert done.largest_difference < 1e-6
    assert done.bytes >= 4 * (4 * 3 * 3 * 4 + 6 * 6 * 4 * 3)  # the kernels


@keras_test
@every_format
def test_several_outputs_keep_their_names(exported, path):
    check(shared_model(HEADS), exported(HEADS, path))


@keras_test
@every_format
def test_several_inputs_keep_their_names(exported, path):
    done = check(shared_model(SEVERAL_INPUTS), exported(SEVERAL_INPUTS, path))
    assert done.images == 32


@keras_test
@pytest.mark.parametrize(
    "path",
    [  # TFLite is converted from what `saved` holds, and `.keras` holds the weights file
        pytest.param(path, marks=[pytest.mark.slow] if path in ("saved", "x.weights.h5") else [])
        for path in RUN
    ],
)
def test_own_layers_do_what_they_do_at_inference(exported, path):
    if load_keras().backend.backend() == "jax" and path == "x.onnx":
        pytest.skip("jax2onnx refuses `lrn`")
    check(shared_model(OWN_LAYERS), exported(OWN_LAYERS, path))


@pytest.mark.slow
@keras_test
@every_format
@pytest.mark.parametrize(
    ("network", "variables"),
    [
        ("lenet5", {}),
        ("cifar_resnet20", {}),
        ("alexnet_grouped", {"input": [99, 99, 3], "classes": 10}),
        ("squeezenet_v1_1", {"input": [64, 64, 3]}),
        ("googlenet_aux", {"input": [128, 128, 3], "classes": 10}),
        ("fractalnet20", {"columns": 2}),
        ("stochastic_depth_110", {"depth": 20}),
        ("resnet50", {"input": [64, 64, 3], "classes": 10}),
    ],
)
def test_networks_of_the_literature(tmp_path, network, variables, path):
    if load_keras().backend.backend() == "jax" and path == "x.onnx":
        pytest.skip("jax2onnx refuses `lrn` and writes max pooling that nobody runs")
    skip_what_is_not_here(path)
    model = model_of(archspec.load(network, **variables))
    check(model, export(model, tmp_path / path))


@keras_test
def test_an_onnx_file_says_what_goes_in_and_out(exported):
    """Equal on each backend, without anything about the machine that wrote it."""
    path = exported(HEADS, "x.onnx").path
    import onnx

    graph = onnx.load(path).graph
    assert [tensor.name for tensor in graph.input] == ["input"]
    assert [tensor.name for tensor in graph.output] == ["early", "output", "side"]
    dims = [t.type.tensor_type.shape.dim[0].dim_param for t in (*graph.input, *graph.output)]
    assert dims == ["batch"] * 4
    assert b".py" not in path.read_bytes()


@keras_test
def test_an_onnx_file_names_several_inputs_as_the_spec_does(exported):
    path = exported(SEVERAL_INPUTS, "x.onnx").path
    import onnx

    graph = onnx.load(path).graph
    extents = {
        tensor.name: [d.dim_param or d.dim_value for d in tensor.type.tensor_type.shape.dim]
        for tensor in graph.input
    }
    assert extents == {
        "facts": ["batch", 3],
        "left": ["batch", 8, 8, 1],
        "right": ["batch", 8, 8, 1],
    }


@keras_test
@pytest.mark.parametrize("path", ["x.onnx", "x.tflite"])
def test_a_grouped_convolution(tmp_path, path):
    """On a CPU, TensorFlow compiles it with XLA, which converters do not support."""
    skip_what_is_not_here(path)
    model = model_of(graph_of("{convolution: {filters: 4, kernel: 3, groups: 2}}"))
    check(model, export(model, tmp_path / path))


@keras_test
@pytest.mark.usefixtures("blank_pictures")
def test_a_run_with_several_inputs_is_tried_with_examples_that_it_held_out(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    np.savez(tmp_path / "data.npz", a=x, b=-x, y=x)
    text = (
        "name: net\ninputs: {a: [3], b: [3]}\nlayers: [{concat: [a, b]}, fc: 3]\n"
        f"train: {{data: {{source: arrays, path: {tmp_path / 'data.npz'}}}, epochs: 1}}"
    )
    archspec.fit(spec_of(text), out=tmp_path / "run")
    done = invoke(tmp_path / "run", "-o", tmp_path / "x.weights.h5")
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.search(r" over \d+ test examples: ", done.stdout)


@keras_test
@pytest.mark.parametrize("path", ["x.onnx", "x.tflite", "saved"])
def test_mixed_precision_is_exported_in_float32(tmp_path, path):
    skip_what_is_not_here(path)
    mixed, exact = mixed_model(), model_of()
    done = export(mixed, tmp_path / path)
    assert done.widened == "mixed_bfloat16"
    exact.set_weights(mixed.get_weights())
    x = images(exact, 3)
    found = RUN[path](tmp_path / path, x, exact)["output"]
    np.testing.assert_allclose(found, outputs(exact, x)["output"], atol=1e-5)


@keras_test
def test_a_keras_file_keeps_its_precision(tmp_path):
    assert export(mixed_model(), tmp_path / "x.keras").widened is None
    assert archspec.load_model(tmp_path / "x.keras").layers[1].compute_dtype == "bfloat16"


@keras_test
def test_inputs_that_are_given_are_what_is_tried(tmp_path):
    model = shared_model(SMALL)
    assert export(model, tmp_path / "x.keras", inputs=images(model, 5)).images == 5


@keras_test
@pytest.mark.parametrize("shape", [(8, 8, 4), (2, 8, 8, 3), (0, 8, 8, 4)])
def test_inputs_that_do_not_fit_are_refused(tmp_path, shape):
    with pytest.raises(UsageError, match=r"are not examples of \(8, 8, 4\)"):
        export(shared_model(SMALL), tmp_path / "x.keras", inputs=np.zeros(shape))
    assert list(tmp_path.iterdir()) == []


def noisy():
    """A model that never gives the same twice, so that nothing can be proven of it."""
    import keras

    @keras.saving.register_keras_serializable(package="test_export")
    class Noise(keras.layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.seed = keras.random.SeedGenerator()

        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x), seed=self.seed)

        def compute_output_shape(self, input_shape):
            return input_shape

    x = keras.Input((4,))
    return keras.Model(x, Noise()(x), name="noisy")


@keras_test
def test_what_gives_something_else_is_not_kept(tmp_path):
    with pytest.raises(UnequalError, match=r"x\.keras was not written.*more than 0.0001") as caught:
        export(noisy(), tmp_path / "x.keras")
    assert caught.value.exported.largest_difference > 0.1
    assert list(tmp_path.iterdir()) == []


@keras_test
def test_a_model_that_gives_no_numbers_is_refused(tmp_path):
    model = model_of()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    with pytest.raises(UsageError, match="gives no finite numbers"):
        export(model, tmp_path / "x.keras")
    assert list(tmp_path.iterdir()) == []


@keras_test
@pytest.mark.parametrize("model", ["runs/lenet5-1", None])
def test_what_is_no_model_is_refused(tmp_path, model):
    with pytest.raises(UsageError, match=r"must be a Keras model; `archspec\.load_model` gives"):
        export(model, tmp_path / "x.keras")


@pytest.mark.parametrize("path", [None, 3, b"x.keras", ""])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(UsageError, match=r"`path=.*` must be a path or a name"):
        export(None, path)
    with pytest.raises(UsageError, match=r"`path=.*` must be a path or a name"):
        archspec.load_model(path)


@keras_test
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"left": (2, 8, 8, 1), "right": (2, 8, 8, 1)}, "an array for each of facts, left, right"),
        ((2, 8, 8, 1), "an array for each of facts, left, right"),
        (
            {"left": (2, 8, 8, 1), "right": (2, 8, 8, 3), "facts": (2, 3)},
            r"`inputs\['right'\]` of \(2, 8, 8, 3\) are not examples of \(8, 8, 1\)",
        ),
        (
            {"left": (2, 8, 8, 1), "right": (1, 8, 8, 1), "facts": (2, 3)},
            "as many examples of each input, not 2 of facts, 2 of left, 1 of right",
        ),
    ],
)
def test_several_inputs_that_do_not_fit_are_refused(tmp_path, given, words):
    arrays = {n: np.zeros(s) for n, s in given.items()} if isinstance(given, dict) else given
    with pytest.raises(UsageError, match=words):
        export(shared_model(SEVERAL_INPUTS), tmp_path / "x.keras", inputs=arrays)


@keras_test
@pytest.mark.parametrize("given", [[["x", "y"]], [[1, 2], [1]], [[None, {}]]])
def test_inputs_that_are_no_numbers_are_refused(tmp_path, given):
    model = model_of(spec_of("{name: n, input: [2], layers: [fc: 1]}"))
    with pytest.raises(UsageError, match="`inputs` is not an array of numbers"):
        export(model, tmp_path / "x.keras", inputs=given)


@keras_test
@every_format
def test_inputs_may_be_in_a_list_as_keras_has_it(tmp_path, path):
    skip_what_is_not_here(path)
    import keras

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    y = keras.layers.Dense(2)(keras.layers.Subtract()([a, b]))
    done = export(keras.Model([b, a], y), tmp_path / path)
    assert done.largest_difference < 1e-6


@keras_test
def test_a_model_that_does_not_say_what_it_takes_is_refused(tmp_path):
    import keras

    class Anything(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UsageError, match="`anything` does not say what it takes"):
        export(Anything(), tmp_path / "x.keras")


@keras_test
def test_a_model_that_is_not_archspec_s(tmp_path):
    import keras

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    model.save(tmp_path / "other.keras")
    done = export(load_file(tmp_path / "other.keras"), tmp_path / "x.keras")
    assert done.largest_difference == 0


@keras_test
def test_what_stands_there_survives_a_failure(tmp_path, monkeypatch):
    """Under its final name a file is complete, or absent."""
    model = shared_model(SMALL)
    export(model, tmp_path / "x.keras")
    before = (tmp_path / "x.keras").read_bytes()

    def broken(_, path):
        Path(path).write_bytes(before[:100])
        raise ValueError("half-way\nand a long story")

    monkeypatch.setattr(type(model), "save", broken)
    with pytest.raises(UsageError, match=r"cannot export `net` to \.keras: half-way$"):
        export(model, tmp_path / "x.keras", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x.keras"]
    assert (tmp_path / "x.keras").read_bytes() == before


@keras_test
def test_force_replaces_a_saved_model_as_a_whole(exported, tmp_path):
    model = shared_model(HEADS)
    shutil.copytree(exported(SMALL, "saved").path, tmp_path / "saved")
    (tmp_path / "saved" / "stale").touch()
    with pytest.raises(UsageError, match="exists already; `force=True`"):
        export(model, tmp_path / "saved")
    export(model, tmp_path / "saved", force=True)
    assert not (tmp_path / "saved" / "stale").exists()
    assert set(run_saved_model(tmp_path / "saved", images(model, 1), None)) == {
        "early",
        "output",
        "side",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.keras", ".keras"),
        ("runs/x-1/best.keras", ".keras"),
        ("a.weights.h5", "weights"),
        ("v1.2.onnx", "ONNX"),
        ("a.tflite", "TFLite"),
        ("a", "a SavedModel"),
        ("serving/1/", "a SavedModel"),
        ("model.v2/", "a SavedModel"),
    ],
)
def test_the_suffix_says_the_format(path, name):
    assert format_of(path).name == name


@pytest.mark.parametrize("path", ["a.h5", "a.pb", "a.onnxx", "model.v2"])
def test_a_suffix_that_says_none_is_refused(path):
    known = r"\.keras, \.weights\.h5, \.onnx, \.tflite; without one, a SavedModel's folder"
    with pytest.raises(UsageError, match=known):
        format_of(path)


@pytest.mark.parametrize("force", [False, True])
def test_what_is_not_an_export_is_never_replaced(tmp_path, force):
    (tmp_path / "photos").mkdir()
    (tmp_path / "x.onnx").mkdir()
    (tmp_path / "notes").touch()
    for name in ("photos", "x.onnx", "notes"):
        with pytest.raises(UsageError):
            check_target(tmp_path / name, force=force)


def test_a_file_is_replaced_only_by_force(tmp_path):
    (tmp_path / "x.onnx").touch()
    with pytest.raises(UsageError, match=r"x\.onnx exists already; `force=True`"):
        check_target(tmp_path / "x.onnx")
    assert check_target(tmp_path / "x.onnx", force=True).name == "ONNX"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere"):
        check_target(tmp_path / "nowhere" / "x.onnx")


@keras_test
def test_the_folders_above_a_saved_model_are_made(tmp_path):
    skip_what_is_not_here("saved")
    export(shared_model(SMALL), tmp_path / "serving" / "net" / "1")
    assert (tmp_path / "serving" / "net" / "1" / "saved_model.pb").is_file()


def test_no_folder_is_made_in_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"there is no folder .*file"):
        check_target(tmp_path / "file" / "heads" / "1")


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("path", ["x.tflite", "saved/"])
def test_another_backend_that_does_it_is_named(path, backend):
    does = f"Keras writes .* on tensorflow, not on {backend}; .*KERAS_BACKEND=tensorflow set"
    with pytest.raises(UsageError, match=does):
        format_of(path).check(path, backend)


@pytest.mark.parametrize(
    ("backend", "converter", "install"),
    [
        ("tensorflow", "tf2onnx", r"pip install 'keras-archspec\[onnx\]'$"),
        ("torch", "onnxscript", r"pip install 'keras-archspec\[onnx\]'$"),
        ("jax", "jax2onnx", r"pip install 'keras-archspec\[onnx\]' jax2onnx$"),
    ],
)
def test_a_package_that_is_missing_is_named(monkeypatch, backend, converter, install):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == converter else real(name)
    )
    with pytest.raises(UsageError, match=f"x.onnx: .*Keras needs {converter}.*: {install}"):
        format_of("x.onnx").check("x.onnx", backend)


@keras_test
def test_weights_that_no_file_of_the_format_holds_are_refused_at_once(tmp_path, monkeypatch):
    skip_what_is_not_here("x.onnx")
    monkeypatch.setattr("archspec.keras_model.export.MOST_BYTES", 100)
    with pytest.raises(UsageError, match="holds at most 100 bytes"):
        export(shared_model(SMALL), tmp_path / "x.onnx")


def test_keras_s_own_formats_need_nothing():
    for form in FORMATS:
        if form.suffix in {".keras", ".weights.h5"}:
            assert form.is_keras
            form.check("x", "jax")
    assert formats.MOST_BYTES < 2**31


# The command


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run's folder, as far as exporting looks into it."""
    folder = tmp_path_factory.mktemp("runs") / "net-1"
    folder.mkdir()
    for name in ("best.keras", "final.keras"):
        build(spec_of(SMALL)).save(folder / name)
    return folder


def invoke(*arguments: object):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@keras_test
def test_the_command_says_what_it_wrote_and_how_near_it_comes(run_folder, tmp_path):
    done = invoke(run_folder, "-o", tmp_path / "x.keras", "-o", tmp_path / "x.weights.h5")
    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path / 'x.keras'}: ")
    said = r": [0-9.]+ kB, largest difference to the model \S+ over 32 random images: "
    assert re.search(said + r"equal within 0.0001$", second)


LEARNT_DIGITS = """
name: net
input: [8, 8, 1]
layers: [{conv: {filters: 4, kernel: 3}}, flatten, fc: 10]
train: {data: {source: SOURCE, path: PATH}}
"""


def digits_run(folder: Path, source: str = "digits", path: str = "null") -> Path:
    """A run's folder that says what was learnt, and how images were prepared."""
    text = LEARNT_DIGITS.replace("SOURCE", source).replace("PATH", path)
    describe_run(folder, text, "0123456789", mean=(5.0,), deviation=(6.0,), range=LEVELS)
    build(spec_of(text)).save(folder / "best.keras")
    return folder


@keras_test
def test_a_run_is_tried_with_images_that_it_held_out(tmp_path):
    done = invoke(digits_run(tmp_path), "-o", tmp_path / "x.weights.h5")
    assert (done.exit_code, done.stderr) == (0, "")
    assert " over 32 test images: " in done.stdout


@keras_test
def test_a_run_whose_data_are_gone_is_tried_with_random_images(tmp_path):
    gone = tmp_path / "gone.npz"
    run = digits_run(tmp_path, "arrays", str(gone))
    done = invoke(run, "-o", tmp_path / "x.weights.h5")
    assert done.exit_code == 0
    assert done.stderr.startswith("note: tried with random examples, not with the run's: ")
    assert " over 32 random images: " in done.stdout


@keras_test
@pytest.mark.parametrize(("options", "meant"), [([], "best"), (["--which", "final"], "final")])
def test_the_best_epoch_is_meant_unless_another_is_named(run_folder, tmp_path, options, meant):
    assert invoke(run_folder, "-o", tmp_path / "x.keras", *options).exit_code == 0
    exported, original = load_file(tmp_path / "x.keras"), load_file(run_folder / f"{meant}.keras")
    for ours, theirs in zip(exported.get_weights(), original.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@keras_test
def test_a_file_that_differs_ends_the_command_with_1_and_the_others_are_written(tmp_path):
    noisy().save(tmp_path / "noisy.keras")
    done = invoke(tmp_path / "noisy.keras", "-o", tmp_path / "x.keras")
    assert done.exit_code == 1
    assert re.search(r"error: .*x\.keras was not written.*--tolerance accepts more", done.stderr)
    assert not (tmp_path / "x.keras").exists()
    accepted = invoke(tmp_path / "noisy.keras", "-o", tmp_path / "x.keras", "--tolerance", "100")
    assert accepted.exit_code == 0


@keras_test
def test_only_the_result_is_said(run_folder, tmp_path):
    """Whatever TensorFlow, torch, JAX and the converters have to say, at whatever level."""
    skip_what_is_not_here("x.onnx")
    paths = ["x.onnx", "x.keras"]
    paths += ["x.tflite", "saved/"] if load_keras().backend.backend() == "tensorflow" else []
    arguments = [argument for path in paths for argument in ("-o", path)]
    code = "from archspec.cli.export import command; command()"
    unset = {"TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(run_folder), *arguments],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name not in unset},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == paths


def message(*arguments: object) -> str:
    """Errors of a command line are reported before anything heavy is imported."""
    error = invoke(*arguments).exception
    assert isinstance(error, UsageError), error
    return str(error)


def test_a_run_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs/lenet-1").mkdir(parents=True)
    assert message("runs/lenet-2", "-o", "x.onnx") == (
        "there is no run runs/lenet-2; did you mean `runs/lenet-1`?"
    )
    assert message("lenet6", "-o", "x.onnx") == (
        "there is no spec called `lenet6`; did you mean `lenet`?"
    )
    assert message("nowhere/at/all", "-o", "x.onnx") == "there is no run nowhere/at/all"


def test_a_run_that_saved_no_model(tmp_path):
    said = message(tmp_path, "-o", tmp_path / "x.onnx")
    assert "neither best.keras nor final.keras is there" in said
    (tmp_path / "best.keras").touch()
    assert "holds no final.keras" in message(
        tmp_path, "-o", tmp_path / "x.onnx", "--which", "final"
    )


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "best.keras").write_bytes(b"PK\x03\x04 and no more")
    said = message(tmp_path / "best.keras", "-o", tmp_path / "x.onnx")
    assert "is not a Keras model: the zip is damaged" in said


def test_a_spec_with_mistakes_is_refused_before_an_engine_starts(tmp_path):
    (tmp_path / "spec.yaml").write_text("name: net\ninput: [8]\nlayers: [fc: none]\n")
    error = invoke(tmp_path / "spec.yaml", "-o", tmp_path / "x.onnx").exception
    assert isinstance(error, SpecError)


@keras_test
def test_a_spec_is_written_untrained_and_the_same_each_time(tmp_path):
    for name in ("a.weights.h5", "b.weights.h5"):
        done = invoke("lenet5", "--set", "classes=3", "-o", tmp_path / name)
        assert done.exit_code == 0, done.output
        assert done.stderr == "note: lenet5 is not trained: its weights are random, of seed 0\n"
    model = archspec.build(archspec.load("lenet5", classes=3))
    written = []
    for name in ("a.weights.h5", "b.weights.h5"):
        model.load_weights(tmp_path / name)
        written.append(model.get_weights())
    for a, b in zip(*written, strict=True):
        np.testing.assert_array_equal(a, b)


@keras_test
def test_an_onnx_file_has_the_opset_that_was_asked_for(run_folder, tmp_path):
    skip_what_is_not_here("x.onnx")
    import onnx

    done = invoke(run_folder, "-o", tmp_path / "x.onnx", "--opset", 18)
    assert done.exit_code == 0, done.output
    versions = {each.domain: each.version for each in onnx.load(tmp_path / "x.onnx").opset_import}
    assert versions[""] == 18
    with pytest.raises(UsageError, match=r"y\.onnx: Keras on \w+ writes the opsets 1\d to \d+"):
        export(shared_model(SMALL), tmp_path / "y.onnx", opset=99)
    with pytest.raises(UsageError, match="only an ONNX file has an opset"):
        export(shared_model(SMALL), tmp_path / "y.keras", opset=18)


@keras_test
def test_nodes_of_an_onnx_file_have_the_names_of_layers(exported):
    """One that gives a layer's output has its name, others its name and what they do."""
    if load_keras().backend.backend() == "jax":
        pytest.skip("jax2onnx keeps no record of layers")
    path = exported(SEVERAL_INPUTS, "x.onnx").path
    import onnx

    model = shared_model(SEVERAL_INPUTS)
    graph = onnx.load(path).graph
    names = {node.name for node in graph.node}
    layers = {layer.name for layer in model.layers} - {"left", "right", "facts"}
    assert layers <= names
    second = "tower-conv1-convolution_2"
    assert second in names
    assert {name.partition("/")[0] for name in names} == {*layers, second}
    weights = {tensor.name for tensor in graph.initializer}
    dense = ["fc1-fully_connected.kernel", "fc1-fully_connected.bias"]
    assert {"tower-conv1-convolution.kernel", *dense} <= weights


def test_a_command_line_that_makes_no_sense(tmp_path):
    (tmp_path / "a.keras").touch()
    for arguments in (
        [tmp_path],
        [tmp_path, "-o", tmp_path / "x.onnx", "--which", "first"],
        [tmp_path / "a.keras", "-o", tmp_path / "x.onnx", "--which", "best"],
        [tmp_path / "a.keras", "-o", tmp_path / "a.keras", "--force"],
        [tmp_path / "a.keras", "-o", tmp_path / "x.onnx", "--tolerance", "-1"],
    ):
        assert invoke(*arguments).exit_code == 2
