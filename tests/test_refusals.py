"""Exceptions of engines that become an `EngineError`, and others that stay what they are."""

import pytest

from archspec.errors import EngineError, UsageError
from archspec.keras_model.refusals import explained

LACKS = {
    "{{function_node __wrapped__AddV2_device_/job:localhost/device:CPU:0}} OOM when allocating "
    "tensor with shape[4,5] and type float on /job:localhost/device:CPU:0 by allocator cpu": (
        "OOM when allocating tensor with shape[4,5] and type float"
    ),
    "RESOURCE_EXHAUSTED: Out of memory allocating 20000000000000 bytes.": (
        "Out of memory allocating 20000000000000 bytes"
    ),
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 8.00 GiB": (
        "out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 8.00 GiB"
    ),
    "[enforce fail] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "400000000000000 bytes. Error code 12 (Cannot allocate memory)\x1b[0m\n\nArguments received": (
        "can't allocate memory: you tried to allocate 400000000000000 bytes. Error code 12 (Cannot "
        "allocate memory)"
    ),
    "[Errno 12] Cannot allocate memory": "Cannot allocate memory",
    "Dst tensor is not initialized. [Op:Cast]": "Dst tensor is not initialized",
    "Unable to allocate 364. TiB for an array with shape (10000000, 10000000)": (
        "Unable to allocate 364. TiB for an array with shape (10000000, 10000000)"
    ),
}
"""What engines say without enough memory, and what is quoted of it."""


@pytest.mark.parametrize(("said", "quoted"), LACKS.items())
def test_a_lack_of_memory_is_quoted_without_the_places_of_an_engine(said, quoted):
    with pytest.raises(EngineError) as caught, explained("; take less"):
        raise RuntimeError(said)
    assert str(caught.value) == f"there is too little memory: {quoted}; take less"
    assert str(caught.value.__cause__) == said


def test_a_memory_error_that_says_nothing_is_one_too():
    with pytest.raises(EngineError) as caught, explained("; take less"):
        raise MemoryError
    assert str(caught.value) == "there is too little memory; take less"


def test_no_advice_on_memory_is_given_where_a_kernel_is_missing():
    said = "Current CPU implementations do not yet support dilation rates larger than 1."
    with pytest.raises(EngineError) as caught, explained("; take less"):
        raise ValueError(said)
    assert str(caught.value).endswith("Keras on JAX can: set KERAS_BACKEND=jax")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("RESOURCE_EXHAUSTED: a.keras; No space left on device"),
        OSError("No space left on device"),
        UsageError("the file says: out of memory"),
        ZeroDivisionError("division by zero"),
    ],
)
def test_other_exceptions_stay_as_they_are(error):
    with pytest.raises(type(error)) as caught, explained():
        raise error
    assert caught.value is error
