"""The table of accelerators, and descriptions of others in files."""

from pathlib import Path

import pytest

from archspec.device import target
from archspec.device.device import Device, NvidiaChip
from archspec.device.finding import find
from archspec.device.table import DEVICES
from archspec.errors import UsageError

DESCRIBED = """
# another GPU
gpu_device_info {
  core_count: 10  fpus_per_core: 64
  memory_bandwidth: 200000000000
  clock_rate_ghz: 1.5
  device_memory_size: 4000000000
  cuda_compute_capability { major: 8 }
  rates { key: 4 value { ops: [1, 2] } }
}
platform_name: "CUDA"
device_description_str: "A small GPU"
"""

each = pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)


def written(path: Path, text: str | bytes) -> Path:
    file = path / "small.txtpb"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


@each
def test_every_device_is_found_by_its_name(device: Device):
    assert find(device.name) is device
    assert find(device.name.upper().replace("-", "_")) is device
    assert find(device) is device


@each
def test_numbers_of_the_table_are_in_their_units(device: Device):
    assert 1e10 < device.memory < 1e12
    assert 1e11 < device.bandwidth < 1e13
    assert all(1e12 < peak < 1e16 for peak in device.peaks.values())
    assert device.source


@each
def test_the_exact_peak_is_that_of_the_chip_at_its_clock(device: Device):
    """The data sheet's float32 rate and the chip's units tell the same, so neither is mistyped."""
    chip = device.chip
    if isinstance(chip, NvidiaChip):
        units = 2 * chip.cores * chip.lanes * chip.clock * 1e9
        assert device.peaks["float32"] == pytest.approx(units, rel=0.03)


@each
def test_a_description_for_xla_is_read_as_the_same_device(device: Device, tmp_path: Path):
    if device.platform != "cuda":
        with pytest.raises(UsageError, match="not a GPU"):
            target.described(device)
        return
    read = find(str(written(tmp_path, target.described(device))))
    assert (read.title, read.memory, read.bandwidth) == (
        device.title,
        device.memory,
        device.bandwidth,
    )


def test_a_file_describes_another_device(tmp_path: Path):
    device = find(str(written(tmp_path, DESCRIBED)))
    assert (device.name, device.title, device.platform) == ("small", "A small GPU", "cuda")
    assert (device.memory, device.bandwidth) == (4_000_000_000, 2e11)
    assert device.peaks == {"float32": 2 * 10 * 64 * 1.5e9}
    assert target.described(device) == DESCRIBED


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("h1000", "device `h1000` is not known; did you mean `h100`?"),
        ("gpu", "devices: a100, a100-80gb, h100"),
        ("absent.txtpb", "cannot read the description of a device in absent.txtpb: no such file"),
        ("", "`device=''` must be a path or a name"),
        (7, "`device=7` must be a path or a name"),
    ],
)
def test_an_unknown_device_is_an_error_with_advice(name: object, message: str):
    with pytest.raises(UsageError) as error:
        find(name)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff\xfe", "utf-8"),
        ("", "has no group `gpu_device_info { ... }`"),
        ("gpu_device_info {", "a group is not closed"),
        ("gpu_device_info { core_count }", "followed by neither `:` nor a group"),
        ("core_count: }", "`core_count` has no value"),
        ("}", "the name of a field is missing before }"),
        ("$", "line 1 has '$'"),
        ("a {" * 50, "nested more than 20 deep"),
        ("x: [ 1", "a list is not closed"),
        (DESCRIBED.replace("core_count: 10", ""), "needs a number above 0 for core_count"),
        (DESCRIBED.replace("core_count: 10", "core_count: -1"), "for core_count"),
        (DESCRIBED.replace("CUDA", "ROCM"), 'needs `platform_name: "CUDA"`'),
        ("#" + " " * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
def test_a_file_that_describes_no_device_is_an_error(
    text: str | bytes, message: str, tmp_path: Path
):
    with pytest.raises(UsageError) as error:
        find(str(written(tmp_path, text)))
    assert message in str(error.value)
    assert len(str(error.value)) < 400
