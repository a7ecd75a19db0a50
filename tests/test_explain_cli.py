"""`archspec explain`: what every method refuses, and how; what is printed, and what is written.

Most tests run for each method there is: a new one is held to all of it from its first day.
"""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from support.blank import blank
from support.networks import images, linear, relu_net

import archspec
from archspec import explain
from archspec.cli import main
from archspec.errors import SpecError, UsageError
from archspec.explain.method import arguments_of, takes_images
from archspec.explain.study import Study
from archspec.explain.subject import open_subject

METHODS = list(explain.METHODS)
OF_IMAGES = [name for name in METHODS if takes_images(getattr(explain, name.replace("-", "_")))]

FILES = Path(__file__).parent / "model_files"

each_method = pytest.mark.parametrize("name", METHODS)
each_of_images = pytest.mark.parametrize("name", OF_IMAGES)


def shell(*words):
    """`archspec explain ...` in this process."""
    return CliRunner().invoke(main, ["explain", *map(str, words)])


FEW = {"invert": {"steps": 3}, "maximize": {"steps": 3}}
"""Arguments with which a search takes little time."""


def python(name, network, given=None, **named):
    """The method's function, on images if it takes any."""
    function = getattr(explain, name.replace("-", "_"))
    named = FEW.get(name, {}) | named
    return function(network, *([] if given is None or name not in OF_IMAGES else [given]), **named)


def outcome(name, network, given, **named):
    """Return a method's result, or its error message; any other exception fails the test."""
    try:
        return python(name, network, given, **named)
    except UsageError as error:
        return str(error)


def grey(path, values):
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path


# Before anything is loaded


def test_alone_it_shows_the_methods():
    shown = shell().output
    assert [word for word in METHODS if f"\n  {word}" not in shown] == []


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("salency", "did you mean `saliency`?"),
        ("gradients", "did you mean `saliency`?"),
        ("robustness", "did you mean `invariance`?"),
        ("frobnicate", "methods: "),
    ],
)
def test_a_method_by_another_name_is_named(word, hint):
    done = shell(word, "run")
    assert done.exit_code == 2
    assert f"there is no method `{word}`" in done.stderr
    assert hint in done.stderr


@each_method
def test_without_a_run_it_says_so_and_with_help_it_helps(name):
    assert "Missing argument 'RUN'" in shell(name).stderr
    shown = shell(name, "--help")
    assert shown.exit_code == 0
    assert f"archspec explain {name} runs/lenet5-1" in shown.stdout
    for other in ("Args:", "None", "=`", "=True"):  # options are spelled as they are typed
        assert other not in shown.stdout


@each_method
def test_a_folder_that_holds_something_else_is_left_alone(name, tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine", encoding="utf-8")
    for place in ("file", "full"):
        done = shell(name, "no-such-run", "-o", tmp_path / place)
        assert done.exit_code == 2
        assert f"`--out {tmp_path / place}`" in done.stderr
        assert "no-such-run" not in done.stderr  # the folder is looked at before all else
    assert (tmp_path / "full" / "notes.txt").read_text(encoding="utf-8") == "mine"


@each_method
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch", "0"], "--batch"),
        (["--seed", "-1"], "--seed"),
        (["--frobnicate"], "No such option '--frobnicate'"),
        (["--format", "xml"], "'text', 'json'"),
    ],
)
def test_options_out_of_range_are_refused(name, words, message):
    done = shell(name, "no-such-run", *words)
    assert (done.exit_code, message in done.stderr) == (2, True), done.stderr


@each_method
def test_a_number_that_would_never_end_or_overflow_is_refused(name):
    """Every number has a least and a largest value: memory and time are bounded, or refused."""
    for name_, argument in arguments_of(getattr(explain, name.replace("-", "_"))).items():
        if argument.kind not in {"whole", "number"}:
            continue
        for wrong in (-(10**12), 10**12, float("nan"), True, "many"):
            with pytest.raises(UsageError, match=f"`{name_}="):
                python(name, None, **{name_: wrong})


# Networks that cannot be explained


@each_method
@pytest.mark.keras
def test_no_such_run_and_no_run_at_all(name, tmp_path):
    done = shell(name, tmp_path / "nosuch")
    assert (done.exit_code, "there is no run" in done.stderr) == (2, True)
    with pytest.raises(UsageError, match=r"`run=3` must be a run, its folder, a model file"):
        python(name, 3)
    (tmp_path / "spec.yaml").write_text(
        "input: [8, 8, 1]\nlayers: [{conv: {filters: 4, kernel: 30}}]\n", encoding="utf-8"
    )
    with pytest.raises(SpecError, match="larger than its input"):
        python(name, tmp_path / "spec.yaml")


@each_method
def test_weights_that_are_not_numbers_are_said(name, keras):
    model = relu_net(keras, (12, 12, 1))
    kernel, bias = model.get_layer("out").get_weights()
    model.get_layer("out").set_weights([np.full_like(kernel, np.nan), bias])
    with pytest.raises(UsageError, match="weights are corrupt"):
        python(name, model, images(2, (12, 12, 1)), normalize="none")


@each_method
def test_a_network_of_two_images_is_refused(name, keras):
    one, two = keras.Input((8, 8, 1), name="one"), keras.Input((8, 8, 1), name="two")
    together = keras.layers.Flatten()(keras.layers.Add()([one, two]))
    model = keras.Model([one, two], keras.layers.Dense(3, activation="softmax")(together))
    with pytest.raises(UsageError, match="not single images of a fixed shape"):
        python(name, model, images(2, (8, 8, 1)), normalize="none")


@each_method
def test_a_network_that_tells_no_classes_apart_gives_what_it_can_or_a_sentence(name, keras):
    inputs = keras.Input((12, 12, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3, name="map")(x))
    assert len(outcome(name, model, images(2, (12, 12, 1)), normalize="none"))


@each_method
def test_a_network_of_vectors_gives_what_it_can_or_a_sentence(name, keras):
    inputs = keras.Input((16,))
    x = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="out")(x))
    assert len(outcome(name, model, images(2, (16,)), normalize="none"))


@each_method
def test_an_argument_that_it_does_not_take_is_named(name, keras):
    with pytest.raises(UsageError, match=r"takes no argument `progres`; did you mean `progress`"):
        python(name, None, progres=3)
    with pytest.raises(UsageError, match="`progress=3` must be a function"):
        python(name, linear(keras, (4, 4, 1)), images(1, (4, 4, 1)), normalize="none", progress=3)


WRONG = (
    ("saliency", {"target": 7}, "has 3 classes, 0 to 2"),
    ("saliency", {"target": "cat"}, "has no such class"),
    ("saliency", {"layer": "x"}, "takes no argument `layer`"),
    ("saliency", {"batch": 0}, "`batch=0` must be a whole number"),
    ("saliency", {"seed": -1}, "`seed=-1`"),
    ("filters", {"layer": "pool"}, "layer `pool` has no kernel: name a convolution"),
    ("filters", {"layer": "cnv"}, "has no layer `cnv`"),
    ("filters", {"scale": "unit"}, "`scale='unit'` must be one of filter, layer"),
    ("filters", {"data": "digits"}, "`filters` takes no argument `data`"),
    ("embed", {"perplexity": 12}, "must be less than the number of images, 12"),
    ("embed", {"perplexity": 0.5}, "`perplexity=0.5` must be"),
    ("embed", {"metric": "l1"}, "`metric='l1'` must be one of l2, cosine"),
    ("embed", {"layer": "hiden"}, "has no layer `hiden`; did you mean `hidden`"),
    ("deconvnet", {"unit": 1}, "name it with `layer=`"),
    ("deconvnet", {"layer": "conv1", "unit": 6}, "has 6 units, 0 to 5"),
    ("deconvnet", {"layer": "conv1", "target": 0}, "not both"),
    ("faithfulness", {"method": "gradcam"}, "`method="),
    ("faithfulness", {"check": "sanitty"}, "`check="),
    ("faithfulness", {"fill": "grey"}, "raw pixel's value"),
    ("faithfulness", {"draws": 1}, "`draws=1`"),
    ("invariance", {"by": "shear"}, "`by='shear'` must be one of translation, rotation"),
    ("invariance", {"translation": 8}, "moves all of an image of 8x8x1 out of sight"),
    ("invariance", {"scale": 1.0}, r"`scale=1.0` must be from 1.01 to 100"),
    ("invariance", {"rotation": float("nan")}, "a finite number"),
    ("invariance", {"background": "grey"}, "black, white, edge or a number"),
    ("maximize", {"target": "1", "layer": "out"}, "not both"),
    ("maximize", {"unit": 1}, "name it with `layer=`"),
    ("maximize", {"layer": "out", "unit": 3}, "out has 3 units, 0 to 2"),
    ("maximize", {"jitter": 8}, "must be less than the image's extent, which is 8"),
    ("maximize", {"start": "white"}, "`start='white'` must be one of noise, mean, grey"),
    ("maximize", {"l2": -1}, "`l2=-1`"),
    ("fool", {"epsilon": 2}, "`epsilon=2` must be from 1e-06 to 1"),
    ("fool", {"target": "x"}, "has no such class"),
)


@pytest.fixture(scope="module")
def small(keras):
    return open_subject(relu_net(keras, (8, 8, 1)), normalize="unit")


@pytest.mark.parametrize(("name", "wrong", "message"), WRONG)
def test_wrong_arguments_are_named(name, wrong, message, small):
    with pytest.raises(UsageError, match=message):
        python(name, small, images(12, (8, 8, 1)), **wrong)


# Images


@pytest.mark.keras
@pytest.mark.parametrize(
    "file",
    [
        "onnx/keras_tf.onnx",
        "onnx/torch_net.pt2",
        pytest.param("keras/zoo-2.0.5.h5", marks=pytest.mark.slow),
    ],
)
def test_a_model_file_is_explained_as_the_model_that_is_imported_from_it(file):
    model = archspec.import_model(FILES / file).build()
    pixels = np.random.default_rng(0).integers(0, 256, (1, *model.inputs[0].shape[1:]), np.uint8)
    here, there = (
        explain.saliency(each, pixels, normalize="unit") for each in (FILES / file, model)
    )
    np.testing.assert_array_equal(here[0].items[1].values, there[0].items[1].values)


@pytest.mark.keras
def test_a_model_file_without_weights_cannot_be_explained():
    with pytest.raises(UsageError, match="has no values for conv1_b"):
        explain.filters(FILES / "onnx" / "caffe2.onnx")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["test:999"], "test:999: the test part has images 0 to 358"),
        (["test:5-2"], "test:5-2: write the smaller number first"),
        (["tset:0"], "tset:0: did you mean `test`?"),
        (["test:x"], "test:x: number images from 0, as test:3"),
        (["nosuch.png"], "nosuch.png: No such file or directory"),
        (["empty"], "empty: there is no JPEG, PNG"),
        (["broken.png"], "broken.png: not a JPEG, PNG"),
        (["test:0", "black.png"], "name either files, or images of the data"),
        (["test:0", "train:0"], "images of one part of the data at a time"),
        (["five.npy"], "five.npy[0]: an image of 8x8x5 does not fit an input of 8x8x1"),
        (["deep.npy"], "give the value of white with `--white`"),
        (["nan.npy"], "it has pixels that are infinite or NaN"),
        (["black.png", "--white", "3"], "`--white` is for arrays"),
        (["black.png", "--data", "digits"], "`--data` is for images of a part"),
        (["test:0", "--data", "nosuch"], "there is no such source, folder or file"),
        (["test:0", "--data", "only"], "folder only has no test images: write train:0"),
        (["test:0", "--normalize", "unit"], "`--normalize` is for model files"),
        (["test:0", "--target", "cat"], "has no such class; classes: 0, 1, 2"),
    ],
)
def test_images_and_classes_that_are_not_there(words, message, digits_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.png").write_bytes(b"no image")
    grey("black.png", np.zeros((8, 8)))
    for name in ("0", "1"):
        (tmp_path / "only" / name).mkdir(parents=True)
        grey(f"only/{name}/one.png", np.zeros((8, 8)))
    np.save("five.npy", np.ones((2, 8, 8, 5), np.float32))
    np.save("deep.npy", images(2, (8, 8, 1)).astype(np.uint16) * 257)
    np.save("nan.npy", np.full((1, 8, 8, 1), np.nan, np.float32))
    done = shell("saliency", digits_run, *words)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stdout == ""


def test_images_come_in_every_form(digits_run, tmp_path):
    """Arrays of any type, tensors, lists; black or constant images; files of other extents."""
    whole, run = images(2, (8, 8, 1)).round(), Study.open(digits_run).subject
    for given, white in (
        (whole.astype(np.uint8), 255),
        (whole.astype(np.uint16) * 257, 65535),
        (whole / 255, 1),
        ([whole[0], whole[1]], 255),
        (whole[0, :, :, 0], 255),
        (np.zeros((1, 8, 8, 1), np.uint8), None),
        ([grey(tmp_path / "constant.png", np.full((20, 30), 128))], None),
    ):
        assert len(explain.saliency(run, given, white=white)) in (1, 2)
    with pytest.raises(UsageError, match="have different shapes: 8x8x1, 4x4"):
        explain.saliency(run, [whole[0], np.zeros((4, 4))])
    with pytest.raises(UsageError, match="`images=5` must be a path"):
        explain.saliency(run, 5)


@each_of_images
def test_damaged_files_among_good_ones_are_said_and_json_stays_json(
    name, digits_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        grey(f"{number}.png", images(1, (8, 8), seed=number)[0])
    (tmp_path / "broken.png").write_bytes(b"no image")
    few = FEW.get(name, {}) | ({"layer": "conv1"} if name == "invert" else {})
    options = [word for key, value in few.items() for word in (f"--{key}", value)]
    done = shell(name, digits_run, tmp_path, "--json", *options)
    if done.exit_code == 2:  # it needs classes, or more images, and says so
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        return
    assert done.exit_code == 1, done.output
    assert "broken.png: not a JPEG" in done.stderr
    assert json.loads(done.stdout)["unread"] != []


@pytest.mark.keras
def test_a_run_whose_images_are_gone_or_have_changed_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    pixels = rng.uniform(-3, 3, (60, 8, 8, 1)).astype(np.float32)
    np.savez("data.npz", x=pixels, y=np.arange(60) % 3)
    (tmp_path / "spec.yaml").write_text(
        "name: signed\ninput: [8, 8, 1]\n"
        "layers: [{conv: {filters: 4, kernel: 3, activation: relu}}, flatten, "
        "{fc: {units: 3, activation: softmax}}]\n"
        "train: {data: {source: arrays, path: data.npz, normalize: none}, epochs: 1}\n",
        encoding="utf-8",
    )
    with blank():
        run = archspec.fit("spec.yaml", out="run")
    # Nobody knows their black and white, and every method of pixels copes.
    assert Study.open(run).subject.range is None
    found = explain.saliency(run, "test:0-1").save("out")
    assert (found / "index.html").exists()
    assert len(explain.invariance(run, by=["translation", "noise"], steps=1)) == 3
    with pytest.raises(
        UsageError, match="it states which value is white, and the training images do not"
    ):
        explain.saliency(run, [grey("a.png", np.zeros((8, 8)))])
    np.savez("data.npz", x=pixels + 1, y=np.arange(60) % 3)
    with pytest.raises(UsageError, match="has changed since run was trained on it"):
        explain.saliency(run, "test:0")
    (tmp_path / "data.npz").unlink()
    with pytest.raises(UsageError, match=r"data\.npz"):
        explain.saliency(run, "test:0")


# What is explained, in whatever form it comes


def test_a_run_is_explained_in_whatever_form_it_comes(digits_run, keras):
    run = archspec.Run.read(digits_run)
    file = digits_run / "best.keras"
    given = explain.saliency(digits_run, "test:0")[0].items[1].values
    for network in (run, str(digits_run), file, Study.open(digits_run).subject):
        np.testing.assert_array_equal(explain.saliency(network, "test:0")[0].items[1].values, given)
    model = keras.saving.load_model(file)
    with pytest.raises(UsageError, match="say `normalize=`, one of unit"):
        explain.saliency(model, images(1, (8, 8, 1)))
    spec = archspec.load(digits_run / "spec.yaml")
    for untrained in (spec, digits_run / "spec.yaml"):
        found = explain.saliency(untrained, images(1, (8, 8, 1)))
        assert "is untrained" in found.notes[0]


@each_of_images
def test_half_precision_logits_and_more_channels_are_no_obstacle(name, keras):
    """For a network with float16 scores, six channels, no softmax."""
    inputs = keras.Input((12, 12, 6))
    x = keras.layers.Conv2D(4, 3, activation="relu", dtype="mixed_float16", name="c1")(inputs)
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(name="p1")(x))
    model = keras.Model(inputs, keras.layers.Dense(3, dtype="mixed_float16", name="out")(x))
    assert len(outcome(name, model, images(4, (12, 12, 6)), normalize="unit"))


# The end of the work


def test_ctrl_c_writes_what_is_done_and_ends_with_130(digits_run, tmp_path, monkeypatch):
    """The first one asks: the exhibits that are done are printed and written."""
    ticks = Study.tick

    def press(self, done, total):
        if done == 2:
            os.kill(os.getpid(), signal.SIGINT)
        ticks(self, done, total)

    monkeypatch.setattr(Study, "tick", press)
    words = "saliency", digits_run, "test:0-3", "--batch", "1", "-o", tmp_path / "out"
    done = shell(*words)
    assert done.exit_code == 130
    assert done.stdout.startswith("test:0  saliency of class")
    assert "interrupted: what was done is above" in done.stderr
    record = json.loads((tmp_path / "out" / "explain.json").read_text(encoding="utf-8"))
    assert record["interrupted"] is True
    assert 1 <= len(record["exhibits"]) < 4


def test_a_command_prints_a_line_an_image_and_says_where_the_rest_is(digits_run, tmp_path):
    done = shell("saliency", digits_run, "test:0-1", "-o", tmp_path / "out")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["test:0", "test:1"]
    assert f"wrote {tmp_path / 'out'}" in done.stderr
    done = shell("saliency", digits_run, "test:0-1", "--json")
    assert json.loads(done.stdout)["method"] == "saliency"
    assert done.stderr == ""
