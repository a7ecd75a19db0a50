"""The masks that Keras 3 writes into a model: they name the places that a layer leaves out.

`Embedding(mask_zero=True)` and `Masking` become operators that compute a mask, and each layer after
them has it as an argument. Keras 2 hands masks on unseen. archspec's layers take all places, which
costs the same: here the masks are left out, and so are the operators that make nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace

from archspec.imports.keras.calls import Call
from archspec.imports.keras.config import Arguments, Reference, is_operator, name_of

MASK = "mask"
"""Name of the argument."""


def without_masks(calls: Sequence[Call], outputs: Collection[Hashable]) -> list[Call]:
    """Return the calls without masks that operators compute, and without these operators.

    Args:
        calls: The calls of the model, each after those that make its inputs.
        outputs: The tensors that the model gives.
    """
    made = {call.output(): call for call in calls if is_operator(call.layer)}
    plain = [_without_mask(call) if _mask(call) in made else call for call in calls]
    if plain == calls:
        return plain
    masks = {_mask(call) for call in calls} & made.keys()
    needed = {*outputs}
    kept: list[Call] = []
    for call in reversed(plain):
        if call.output() in masks - needed:
            masks |= {*call.inputs} & made.keys()  # what makes masks alone
            continue
        needed |= {*call.inputs}
        kept.append(call)
    return kept[::-1]


def masked(calls: Sequence[Call], plain: Sequence[Call]) -> list[str]:
    """Return the names of the layers whose masks were left out."""
    after = {call.output(): call for call in plain}
    return [
        name_of(call.layer)
        for call in calls
        if _mask(call) is not None and (now := after.get(call.output())) and _mask(now) is None
    ]


def _mask(call: Call) -> Hashable | None:
    """Return the tensor that is the mask of a call; None if it has none."""
    given = call.arguments.kwargs.get(MASK)
    return call.tensors[given] if isinstance(given, Reference) else None


def _without_mask(call: Call) -> Call:
    kwargs = {name: value for name, value in call.arguments.kwargs.items() if name != MASK}
    arguments = Arguments(call.arguments.args, kwargs)
    tensors = {each: call.tensors[each] for each in arguments.references}
    inputs = [call.tensors[each] for each in arguments.references]
    return replace(call, arguments=arguments, tensors=tensors, inputs=inputs)
