"""Whether data suit a network and a recipe: shapes, classes, and the values of black and white."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from archspec.data.examples import EncodedImages, LabelledImages, Preview
from archspec.data.preprocessing import NEEDS_COLOUR, NEEDS_RANGE
from archspec.data.recipe import DataRecipe
from archspec.data.values import PixelValues, Range, measure
from archspec.errors import Problem, RecipeError
from archspec.ops.shape import Shape


def input_misfits(
    recipe: DataRecipe, preview: Preview, inputs: Mapping[str, Shape]
) -> Iterator[tuple[str, Problem]]:
    """Yield which inputs of a network cannot take the images, and why; no pixels are loaded."""
    for name, wanted in inputs.items():
        shape = preview.shapes.get(name, preview.shape)
        where = f"`{name}` in {source_of(recipe)}" if preview.shapes else source_of(recipe)
        how = (of_vector(recipe, wanted) if preview.shapes else recipe).normalize
        problem = shape_misfit(where, shape, wanted)
        if problem is None and how in NEEDS_COLOUR and wanted.channels != 3:
            message = f"`normalize: {how}` is for 3 channels, but the input is {wanted}"
            problem = Problem("shape", message, help="use standardize, unit or symmetric")
        if problem is not None:
            yield name, problem


def of_vector(recipe: DataRecipe, shape: Shape) -> DataRecipe:
    """Return the recipe for one of several inputs: a vector has no black and white.

    Its numbers are standardized where images are normalised by their range.
    """
    if shape.rank or recipe.normalize == "none":
        return recipe
    return recipe.model_copy(update={"normalize": "standardize", "range": None})


def is_measured(recipe: DataRecipe, shape: Shape) -> bool:
    """Return whether an input is a vector of numbers, which have no black and white."""
    return not shape.rank and recipe.range is None and recipe.normalize not in NEEDS_RANGE


def source_of(recipe: DataRecipe) -> str:
    """Return the name of the data in messages: the path, or else the source."""
    return recipe.source if recipe.path is None else recipe.path


def shape_misfit(source: str, image: Shape | None, wanted: Shape) -> Problem | None:
    """Return why images of a shape (None for files) cannot become what a network takes."""
    if image is None or (image.rank == 2 and image.channels in {1, 3}):
        if image == wanted or (wanted.rank == 2 and wanted.channels in {1, 3}):
            return None
        message = f"{source} has images, which do not fit an input of {wanted}"
        return Problem("shape", message, help="use [height, width, 1] or [height, width, 3]")
    resizable = image.rank == wanted.rank == 2 and image.channels == wanted.channels
    if image == wanted or resizable:
        return None
    hint = f"use an input of {list(image)}"
    if image.rank == 2 and image[0] == wanted.channels:
        hint = "the channels seem to stand first: save them last, as `numpy.moveaxis(x, 1, -1)`"
    message = f"{source} has examples of {image}, which do not fit an input of {wanted}"
    return Problem("shape", message, help=hint)


def values_of(recipe: DataRecipe, data: LabelledImages) -> PixelValues | None:
    """Return the values of images that do not state white, in the recipe's range or their own.

    None for files that state it. Raises `RecipeError` for a range that does not fit.
    """
    values = data.values
    if values is None and not isinstance(data.images, EncodedImages):
        values = measure(data.images, data.name)
    if recipe.range is None:
        return values
    if values is None:
        message = f"the files of {data.name} state which values are black and white"
        problem = Problem("value", message, help="leave out `range`")
        raise RecipeError([(("data", "range"), problem)])
    limits = Range(*recipe.range)
    if values.minimum < limits.black or values.maximum > limits.white:
        message = (
            f"the values of {data.name} are from {values.minimum:g} to {values.maximum:g}, "
            f"outside of `range: {limits}`"
        )
        hint = f"write values that enclose them, as [{values.minimum:g}, {values.maximum:g}]"
        raise RecipeError([(("data", "range"), Problem("value", message, help=hint))])
    return replace(values, range=limits)


def check_range(
    recipe: DataRecipe, values: PixelValues | None, original: Shape | None, wanted: Shape
) -> None:
    """Raise `RecipeError` if the recipe needs black and white, which values do not show."""
    if recipe.normalize in NEEDS_RANGE:
        key = "normalize"
    elif recipe.resize == "pad" and original and original.spatial != wanted.spatial:
        key = "resize"
    else:
        return
    problem = unknown_range(f"`{key}: {getattr(recipe, key)}`", values)
    raise RecipeError([(("data", key), problem)])


def unknown_range(what: str, values: PixelValues | None) -> Problem:
    """Return the problem that `what` needs the values of black and white."""
    shown = f" from {values.minimum:g} to {values.maximum:g} ({values.dtype})" if values else ""
    return Problem(
        "value",
        f"{what} needs the values of black and white, which values{shown} do not show",
        help="give them: `data.range: [0, 255]`",
    )
