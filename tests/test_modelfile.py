"""A model's file is opened without Keras, and only where it is as Keras writes it."""

import importlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.commands import imported_by

import archspec
from archspec.errors import UsageError
from archspec.graph.builder import MOST_NODES
from archspec.imports.keras.guards import MOST_MEMBERS
from archspec.imports.keras.modelfile import open_model
from archspec.imports.limits import MOST_EXPANSION, MOST_NESTING, MOST_OBJECTS
from archspec.keras_model import optimizers
from archspec.keras_model.engine import load_file

FILES = Path(__file__).parent / "modelfiles"
TORCH = FILES / "torch-adam.keras"
"""A model that was compiled on torch, as Keras itself saves it."""

keras_test = pytest.mark.keras


# What is read


def test_a_file_tells_its_variables_and_its_writer():
    with open_model(TORCH) as file:
        shapes = {place: shape for place, shape in file.variables.items() if "layers" in place}
        assert shapes == {"layers/dense/vars/0": (2, 1), "layers/dense/vars/1": (1,)}
        assert file.writer == "Keras 3.15.1"
        assert file.config["config"]["name"] == "torch_adam"
        assert file.layer_count == 2


def test_no_engine_is_imported_to_read_a_file():
    code = (
        "from archspec.imports.keras.modelfile import open_model\n"
        f"with open_model({str(TORCH)!r}) as file:\n"
        "    assert len(file.variables) > 2\n"
    )
    assert not {"keras", "tensorflow", "jax", "torch"} & imported_by(code)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_that_was_zipped_again_is_read_as_well(tmp_path, compression):
    path = tmp_path / "again.keras"
    with zipfile.ZipFile(TORCH) as source, zipfile.ZipFile(path, "w", compression) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with open_model(path) as file, open_model(TORCH) as original:
        assert file.variables == original.variables
        kernels = [each.weights["layers/dense/vars/0"][()] for each in (file, original)]
        assert np.array_equal(*kernels)


# What is refused before it is read


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def model_members() -> dict[str, bytes]:
    with zipfile.ZipFile(TORCH) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_members(members: dict[str, bytes]) -> Callable[[Path], Path]:
    """A good file with these members as well, or in the place of those that have their names."""
    return lambda path: zipped(path, model_members() | members)


def with_config(config: Any) -> Callable[[Path], Path]:
    """A good file with another configuration."""
    return with_members({"config.json": json.dumps({"config": config}).encode()})


def declaring(size: int) -> Callable[[Path], None]:
    """A good file whose directory says another size of its weights."""

    def write(path: Path) -> None:
        content = bytearray(TORCH.read_bytes())
        entry = content.rindex(b"model.weights.h5") - 46  # the entry's fixed part
        content[entry + 24 : entry + 28] = size.to_bytes(4, "little")
        path.write_bytes(content)

    return write


def flagged(offset: int, value: int) -> Callable[[Path], None]:
    """A good file whose directory has another byte in the entry of the weights."""

    def write(path: Path) -> None:
        content = bytearray(TORCH.read_bytes())
        content[content.rindex(b"model.weights.h5") - 46 + offset] = value
        path.write_bytes(content)

    return write


def twice(path: Path) -> None:
    zipped(path, model_members())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("metadata.json", "{}")


LAYER = {"class_name": "Activation", "config": {}}

ZIPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another member": (with_members({"run.py": b""}), "has no member 'run.py'"),
    "a way out": (with_members({"assets/../../x": b""}), "no member 'assets/../../x'"),
    "an absolute way": (with_members({"/etc/x": b""}), "no member '/etc/x'"),
    "a drive": (with_members({"assets/c:x": b""}), "a member 'assets/c:x' leads out of it"),
    "many members": (
        with_members({f"assets/{n}": b"" for n in range(MOST_MEMBERS)}),
        "has 1,003 members, more than 1,000",
    ),
    "a member twice": (twice, "has 'metadata.json' twice"),
    "no weights": (lambda path: zipped(path, {"config.json": b"{}"}), "no model.weights.h5"),
    "gigabytes": (declaring(2**31), "model.weights.h5 declares 2,147,483,648 bytes and stores"),
    "encryption": (flagged(8, 1), "model.weights.h5 is encrypted"),
    "a link": (flagged(41, 0xA0), "model.weights.h5 is a link"),
    "no JSON": (with_members({"config.json": b"{"}), "its config.json is not JSON"),
    "a list": (with_members({"config.json": b"[]"}), "its config.json is not a JSON object"),
    "deep JSON": (
        with_members({"config.json": b'{"a":' * 100_000}),
        f"its config.json is nested deeper than {MOST_NESTING}",
    ),
    "many layers": (
        with_config({"layers": [LAYER] * 50_001}),
        f"its network has more than {MOST_NODES:,} layers",
    ),
    "many outputs": (
        with_config({"layers": [{"config": {"units": 10**10}}]}),
        "a layer declares 10,000,000,000 outputs, and no array has more than 2,",
    ),
    "half a file": (
        lambda path: path.write_bytes(TORCH.read_bytes()[:9_000]),
        "is not a Keras model: the zip is damaged",
    ),
    "no HDF5": (
        with_members({"model.weights.h5": b"text"}),
        "was not opened: its HDF5 has no beginning",
    ),
}


@pytest.mark.parametrize("case", ZIPS)
def test_a_zip_that_keras_does_not_write_is_not_opened(tmp_path, case):
    write, message = ZIPS[case]
    write(path := tmp_path / "a.keras")
    refused(path, message)


def test_brackets_in_a_name_are_no_nesting(tmp_path):
    config = {"name": '\\"' + "[{" * 1_000, "layers": []}
    with open_model(with_config(config)(tmp_path / "a.keras")) as file:
        assert file.config == {"config": config}


def chunked(file: h5py.File) -> None:
    file.create_dataset("layers/a", (10**6, 10**6), "f4", chunks=(1, 1000), compression="gzip")


def elsewhere(file: h5py.File) -> None:
    file.create_dataset("layers/a", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("layers/a", layout)


def nested(file: h5py.File) -> None:
    group = file.create_group("layers")
    for _ in range(150):
        group = group.create_group("a")


def setting(name: str, value: Any) -> Callable[[h5py.File], None]:
    def write(file: h5py.File) -> None:
        file["layers/" + name] = value

    return write


HDF5: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "chunks that are not there": (chunked, "declares 4,000,000,000,000 bytes and stores 0"),
    "values that are not there": (
        lambda file: file.create_dataset("layers/a", (2**40,), "f4"),
        "layers/a declares 4,398,046,511,104 bytes and stores 0",
    ),
    "values of another file": (elsewhere, "layers/a is stored in another file"),
    "a view of another file": (virtual, "layers/a is stored in another file"),
    "a link to another file": (
        setting("a", h5py.ExternalLink("other.h5", "/")),
        "layers/a is a link to somewhere else",
    ),
    "a link": (setting("a", h5py.SoftLink("/layers")), "layers/a is a link to somewhere else"),
    "text": (setting("a", "text"), "layers/a holds texts instead of numbers"),
    "deep groups": (nested, "its groups are nested deeper than 100"),
    "no model": (
        lambda file: file.create_group("else"),
        "holds neither a Keras model nor a model's weights",
    ),
    "no network": (
        lambda file: file.attrs.update({"model_config": "{}"}),
        "it has no model_weights",
    ),
}


@pytest.mark.parametrize("case", HDF5)
def test_hdf5_that_keras_does_not_write_is_not_opened(tmp_path, case):
    write, message = HDF5[case]
    with h5py.File(path := tmp_path / "a.h5", "w") as file:
        write(file)
    refused(path, message)


def test_a_group_that_holds_itself_is_looked_through_once(tmp_path):
    with h5py.File(path := tmp_path / "a.h5", "w") as file:
        file["layers/a"] = file.create_group("layers")
    with open_model(path) as opened:
        assert opened.variables == {}


def test_zeros_that_were_compressed_are_read(tmp_path):
    """Zeros shrink to a thousandth; a megabyte of them may be declared by less."""
    with h5py.File(path := tmp_path / "a.h5", "w") as file:
        file.create_dataset("layers/a", data=np.zeros(2**18, "f4"), compression="gzip")
        assert MOST_EXPANSION * file["layers/a"].id.get_storage_size() < 2**20
    with open_model(path) as opened:
        assert opened.variables == {"layers/a": (2**18,)}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.keras", None, "there is no file "),
        (".", None, "is a folder"),
        ("text.keras", b"text", "is not a Keras model: it is damaged, or something else"),
        ("empty.h5", b"", "is not a Keras model: it is damaged, or something else"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    refused(path, message)


def refused(path: Path, message: str) -> None:
    """Hold the message, which is short whatever the file holds, for each way to open a file."""
    for load in (archspec.load_model, load_file, lambda path: open_model(path).__enter__()):
        with pytest.raises(UsageError) as caught:
            load(path)
        assert message in str(caught.value)
        assert len(str(caught.value)) < len(str(path)) + 300


def test_limits_leave_room_for_the_largest_network():
    assert MOST_OBJECTS > 10 * MOST_NODES


# What Keras then loads


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("name", ["archspec.load_model", "keras.models.load_model"])
def test_a_model_that_was_compiled_on_torch_loads_on_every_backend(keras, name, compiled):
    load = archspec.load_model if name.startswith("archspec") else keras.models.load_model
    model = load(TORCH, compile=compiled)
    assert model.predict(np.ones((1, 2), "float32"), verbose=0).shape == (1, 1)
    assert model.compiled == compiled
    if compiled:
        assert isinstance(model.optimizer, keras.optimizers.Adam)
        assert int(model.optimizer.iterations) == 1
        assert np.any(model.optimizer.variables[2])  # its momentum came along


def test_each_optimizer_of_torch_has_a_stand_in(keras):
    folder = Path(keras.__file__).parent / "src/backend/torch/optimizers"
    own = {path.stem for path in folder.glob("torch_*.py")} - {
        "torch_optimizer",
        "torch_parallel_optimizer",
    }
    assert own == {f"torch_{name.lower()}" for name in optimizers.NAMES}
    if keras.backend.backend() == "torch":
        return
    for name in optimizers.NAMES:
        module = importlib.import_module(f"{optimizers.TORCH}torch_{name.lower()}")
        assert getattr(module, name) is getattr(keras.optimizers, name)


@pytest.mark.parametrize("wrapped", [False, True])
def test_torchs_own_classes_are_saved_under_public_names(keras, monkeypatch, tmp_path, wrapped):
    """On torch, Keras derives its optimizers from classes like this one."""

    class Adam(keras.optimizers.Adam):
        pass

    Adam.__module__ = f"{optimizers.TORCH}torch_adam"
    optimizer = keras.optimizers.LossScaleOptimizer(Adam()) if wrapped else Adam()
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    optimizers.name_publicly(keras, model)
    optimizers.name_publicly(keras, model)
    monkeypatch.undo()
    model.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        config = archive.read("config.json").decode()
    assert optimizers.TORCH not in config
    assert '"module": "keras.optimizers", "class_name": "Adam"' in config


@pytest.mark.parametrize(("saved", "called"), [("a.h5", "b.keras"), ("a.keras", "b.h5")])
def test_the_first_bytes_tell_the_format_whatever_the_name(keras, tmp_path, saved, called):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / saved)
    (tmp_path / saved).rename(tmp_path / called)
    x = np.ones((1, 2), "float32")
    loaded = archspec.load_model(tmp_path / called)
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@keras_test
def test_what_keras_cannot_load_is_told_in_a_few_lines_with_its_writer(tmp_path):
    members = model_members()
    members["config.json"] = members["config.json"].replace(b'"Dense"', b'"Dense9"')
    with pytest.raises(UsageError) as caught:
        archspec.load_model(zipped(tmp_path / "a.keras", members))
    first, *others = str(caught.value).splitlines()
    assert first.startswith(f"Keras cannot load {tmp_path / 'a.keras'}, written by Keras 3.15.1: ")
    assert len(others) < 5
    assert len(str(caught.value)) < 700


@keras_test
@pytest.mark.parametrize(
    ("extent", "message"),
    [
        (1_000_000_000, "arrays of 2x1, 1, and archspec computes kernel 1000000000x1, bias 1"),
        (10_000_000_000, "extent over 2,147,483,647"),
    ],
)
def test_a_network_that_is_larger_than_its_weights_is_not_made(tmp_path, extent, message):
    """Keras would make a kernel of 40 GB before it looks at the one in the file."""
    members = model_members()
    old, new = b'"batch_shape": [null, 2]', b'"batch_shape": [null, %d]' % extent
    assert old in members["config.json"]
    members["config.json"] = members["config.json"].replace(old, new)
    path = zipped(tmp_path / "a.keras", members)
    for load in (archspec.load_model, load_file):
        with pytest.raises(UsageError, match=message):
            load(path)


def test_weights_alone_are_no_model_to_load(keras, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(UsageError, match="holds a model's weights alone, not how its layers"):
        archspec.load_model(tmp_path / "a.weights.h5")


def test_a_list_of_names_without_values_is_refused_by_its_name(tmp_path):
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = h5py.Empty("S8")
    with pytest.raises(UsageError, match="its attribute `layer_names` is not a list of names"):
        archspec.load(path)
