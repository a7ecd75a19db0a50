"""Whether data suit a network and a recipe: shapes, classes, and the values of black and white."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from archspec.data.examples import EncodedImages, LabelledImages
from archspec.data.preprocessing import NEEDS_COLOUR, NEEDS_RANGE
from archspec.data.recipe import DataRecipe
from archspec.data.sources import SOURCES
from archspec.data.splitting import check_several, chosen_classes
from archspec.data.values import PixelValues, Range, measure
from archspec.errors import Problem, RecipeError, suggestion
from archspec.ops.shape import Shape


def misfits(
    recipe: DataRecipe,
    input_shape: Shape,
    outputs: Mapping[str, Shape],
    weighted: Iterable[str] = (),
) -> Iterator[tuple[str, Problem]]:
    """Yield why a network of these shapes cannot learn the data, without loading pixels.

    Args:
        recipe: The data.
        input_shape: The network's input.
        outputs: The shapes of its outputs, by name.
        weighted: Classes that the recipe's `class_weights` name.

    Yields:
        "input" or an output's name, and the problem.

    Raises:
        UsageError: Files cannot be read, or have only one class.
        RecipeError: A class, also one of `weighted`, does not exist.

    """
    preview = SOURCES[recipe.source].preview(recipe, input_shape)
    class_names = [preview.class_names[number] for number in chosen_classes(recipe, preview)]
    classes = len(class_names)
    source = recipe.source if recipe.path is None else recipe.path
    if outputs:
        check_several(source, class_names)
    for name in weighted:
        if name not in class_names:
            hint = suggestion(name, class_names, what="classes")
            unknown = Problem("unknown-name", f"the data has no class `{name}`", help=hint)
            raise RecipeError([(("class_weights", name), unknown)])
    problem = shape_misfit(source, preview.shape, input_shape)
    if problem is None and recipe.normalize in NEEDS_COLOUR and input_shape.channels != 3:
        problem = Problem(
            "shape",
            f"`normalize: {recipe.normalize}` is for 3 channels, but the input is {input_shape}",
            help="use standardize, unit or symmetric",
        )
    if problem is not None:
        yield "input", problem
    for name, shape in outputs.items():
        if shape.rank != 0:
            message = f"the output is {shape}, but {source} needs one number for each class"
            hint = "end with `flatten` or `global_avg_pool`, then `fc`"
            yield name, Problem("shape", message, help=hint)
        elif shape.size != classes:
            message = f"the output has {shape.size:,} values, but {source} has {classes:,} classes"
            hint = (
                "give other data with `data=`, such as a folder of images; or give the last layer "
                f"{classes} units"
            )
            yield name, Problem("shape", message, help=hint)


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
