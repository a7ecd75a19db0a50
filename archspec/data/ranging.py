"""Black and white of a data set: as its recipe says, or its values show; else asked for."""

from __future__ import annotations

from dataclasses import replace

from archspec.data.examples import EncodedImages, LabelledImages
from archspec.data.preprocessing import NEEDS_RANGE
from archspec.data.recipe import DataRecipe
from archspec.data.values import PixelValues, Range, measure
from archspec.errors import Problem, RecipeError
from archspec.ops.shape import Shape


def values_of(recipe: DataRecipe, loaded: LabelledImages) -> PixelValues | None:
    """What values are that state no white, and by the recipe or by themselves black and white."""
    values = loaded.values
    if values is None and not isinstance(loaded.images, EncodedImages):
        values = measure(loaded.images, loaded.name)
    if recipe.range is None:
        return values
    if values is None:
        message = f"the files of {loaded.name} say themselves what black and white are"
        problem = Problem("value", message, help="leave `range` out")
        raise RecipeError([(("data", "range"), problem)])
    limits = Range(*recipe.range)
    if values.minimum < limits.black or values.maximum > limits.white:
        message = (
            f"the values of {loaded.name} are from {values.minimum:g} to {values.maximum:g}, "
            f"beyond `range: {limits}`"
        )
        problem = Problem("value", message, help="write the values of black and white")
        raise RecipeError([(("data", "range"), problem)])
    return replace(values, range=limits)


def check_range(
    recipe: DataRecipe, values: PixelValues | None, original: Shape | None, wanted: Shape
) -> None:
    """Raise `RecipeError` where black and white are needed, and values do not show them."""
    if recipe.normalize in NEEDS_RANGE:
        key = "normalize"
    elif recipe.resize == "pad" and original and original.spatial != wanted.spatial:
        key = "resize"
    else:
        return
    problem = unknown_range(f"`{key}: {getattr(recipe, key)}`", values)
    raise RecipeError([(("data", key), problem)])


def unknown_range(what: str, values: PixelValues | None) -> Problem:
    """Ask for black and white, which `what` needs."""
    seen = f" from {values.minimum:g} to {values.maximum:g} ({values.dtype})" if values else ""
    return Problem(
        "value",
        f"{what} needs the values of black and white, which values{seen} do not show",
        help="say them, as `data.range: [0, 255]`",
    )
