"""A recipe as a script of plain Keras: the functions after a network's source that train it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from archspec.data.augment import Augmentation
from archspec.data.augment.colour import ColorJitter
from archspec.data.augment.geometry import HorizontalFlip, RandomCrop, Rotation, Shift, VerticalFlip
from archspec.data.augment.noise import GaussianNoise, RandomErasing
from archspec.data.preprocessing import CAFFE_MEAN, TORCH
from archspec.data.published import class_names
from archspec.eject.layout import INDENT, Brackets, Code, Joined, lines
from archspec.eject.python import literal
from archspec.eject.recording import Construction
from archspec.errors import UsageError, listed
from archspec.graph.graph import MAIN_OUTPUT, Graph, Node
from archspec.recipe.callback_files import WRITTEN
from archspec.recipe.families import CALLBACKS, LOSSES, METRICS, OPTIMIZERS, SCHEDULES, KerasFamily
from archspec.recipe.sections import Named
from archspec.recipe.train import OF_INDICES, Recipe

CLASS_NAMES: Final[Mapping[str, str]] = {
    "adamw": "AdamW",
    "auc": "AUC",
    "binary_io_u": "BinaryIoU",
    "csv_logger": "CSVLogger",
    "f1_score": "F1Score",
    "io_u": "IoU",
    "kl_divergence": "KLDivergence",
    "lossscaleoptimizer": "LossScaleOptimizer",
    "mean_io_u": "MeanIoU",
    "one_hot_io_u": "OneHotIoU",
    "one_hot_mean_io_u": "OneHotMeanIoU",
    "r2_score": "R2Score",
    "rmsprop": "RMSprop",
    "schedulefreeadamw": "ScheduleFreeAdamW",
    "sgd": "SGD",
}
"""Names of Keras's classes that are not their recipe's names in camel case."""

OF_NUMBERS: Final = frozenset(
    {"huber", "log_cosh", "mean_absolute_error", "mean_squared_error", "poisson"}
    | {"mean_squared_logarithmic_error"}
)
"""Losses for labels that are numbers."""

DECAYS: Final = frozenset({"adamw", "lamb", "lion", "muon", "schedulefreeadamw"})
"""Optimizers that decay weights where a recipe does not say how much."""

FILLS: Final = {"zero": "constant", "reflect": "reflect", "edge": "nearest"}
"""Keras's words for the content of places that an augmentation uncovers."""

KERAS_SETS: Final = ("mnist", "fashion_mnist", "cifar10", "cifar100")
"""Sources that Keras downloads."""


@dataclass
class Training:
    """The lines that train a network, with what they need and what they leave out."""

    lines: list[str]
    imports: set[str]
    notes: list[str]
    """Sentences about what the script does not do as `archspec fit` does."""


def class_name(name: str) -> str:
    """Return the name of Keras's class that a recipe names."""
    return CLASS_NAMES.get(name) or "".join(part.capitalize() for part in name.split("_"))


def training(
    recipe: Recipe,
    graph: Graph,
    layers_of: Callable[[Node], Sequence[Construction]],
    loss_weights: Mapping[str, float],
) -> Training:
    """Return the lines that train a network as a recipe says.

    Args:
        recipe: The recipe.
        graph: The network.
        layers_of: The constructor calls of a node.
        loss_weights: The weight of each head's loss; 1 for one that it does not name.

    Raises:
        UsageError: The network has several inputs, or gives something else than a vector.
    """
    if len(graph.inputs) > 1:
        names = listed(list(graph.inputs))
        raise UsageError(f"a training script has one input, not {names}; leave out `train=True`")
    for index in graph.outputs.values():
        if graph.nodes[index].shape.rank:
            shape = graph.nodes[index].shape
            raise UsageError(
                f"a training script is for a vector of classes or numbers, and this network gives "
                f"{shape}; leave out `train=True`"
            )
    return _Script(recipe, graph, layers_of, loss_weights).training()


@dataclass
class _Script:
    recipe: Recipe
    graph: Graph
    layers_of: Callable[[Node], Sequence[Construction]]
    loss_weights: Mapping[str, float]
    notes: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        data = self.recipe.data
        self.shape = next(iter(self.graph.inputs.values()))
        self.input = self.graph.nodes[self.shape].shape
        main = self.graph.outputs.get(MAIN_OUTPUT, next(iter(self.graph.outputs.values())))
        self.classes = self.graph.nodes[main].shape[-1]
        loss = self.recipe.chosen_loss.name
        self.is_folder = data.source == "folder"
        self.is_regression = loss in OF_NUMBERS and data.source in ("arrays", "table")
        self.is_set = loss.startswith("binary_") and data.source in ("arrays", "table")
        self.one_hot = loss not in OF_INDICES and not self.is_regression and not self.is_set
        self.monitor = "val_loss" if data.validation else "loss"

    def training(self) -> Training:
        data = self.load_data()
        main = self.main()
        self._note_the_rest()
        self.notes = [*dict.fromkeys(self.notes)]
        recipe = self.recipe
        known = class_names(recipe.data.source)
        if known and recipe.data.classes is None and len(known) != self.classes:
            self.notes.append(
                f"The network gives {self.classes:,} values, and `{recipe.data.source}` has "
                f"{len(known)} classes."
            )
        remarks = [f"# Not as in archspec: {line}" for line in self.notes]
        wrapped = [each for remark in remarks for each in _comment(remark)]
        return Training(
            [
                f"BATCH = {recipe.batch}",
                f"EPOCHS = {recipe.epochs}",
                f"SEED = {recipe.seed}",
                *([""] if wrapped else []),
                *wrapped,
                "",
                "",
                *data,
                "",
                "",
                *main,
            ],
            self.imports,
            self.notes,
        )

    # Data.

    def load_data(self) -> list[str]:
        """Return the lines of the functions that read images and labels."""
        source = self.recipe.data.source
        if self.is_folder:
            return self._folder()
        if source == "digits":
            self.imports.add("from sklearn.datasets import load_digits")
            read = [
                "digits = load_digits()",
                'images = digits.images[..., None].astype("float32")',
                "labels = digits.target",
                *self._channels(),
            ]
            return self._arrays("Return 1,797 handwritten digits with their classes.", read)
        if source in KERAS_SETS and self.recipe.data.path is None:
            channels = "" if source.startswith("cifar") else "[..., None]"
            read = [
                f"(images, labels), (x_test, y_test) = keras.datasets.{source}.load_data()",
                f"images, x_test = images{channels}, x_test{channels}",
                "labels, y_test = labels.ravel(), y_test.ravel()",
                *self._channels(),
                *(each.replace("images", "x_test") for each in self._channels()),
            ]
            return self._arrays(f"Return the images and classes of {source}.", read, tested=True)
        if source == "arrays" and str(self.recipe.data.path).endswith(".npz"):
            data = self.recipe.data
            images, labels = data.image_name or "x", data.label_name or "y"
            if data.images is None or data.labels is None:
                self.notes.append(
                    f"`load_data` reads the arrays `{images}` and `{labels}`; change it if the "
                    "file's are called otherwise."
                )
            read = [
                f"with np.load({literal(data.path)}) as file:",
                f"{INDENT}images, labels = file[{literal(images)}], file[{literal(labels)}]",
            ]
            if self.input.rank + 1 and self.input[-1] == 1:
                read += ["if images.ndim == 3:", f"{INDENT}images = images[..., None]"]
            return self._arrays("Return the images of a file with their labels.", read)
        self.notes.append(
            f"Data of the source `{source}` are read by archspec alone: `load_data` is to be "
            "written."
        )
        text = (
            "images and labels must be arrays: (count, height, width, channels) and (count,)"
            if not self.is_set
            else "images and labels must be arrays, a row of 0 and 1 for each image"
        )
        return self._arrays(
            "Return images with their labels.", [f"raise NotImplementedError({literal(text)})"]
        )

    def _channels(self) -> list[str]:
        """Return the lines that give grey images the channels of the network's input."""
        if self.recipe.data.source.startswith("cifar") or self.input[-1] == 1:
            return []
        self.notes.append(f"Grey images are repeated for {self.input[-1]} channels.")
        return [f"images = np.repeat(images, {self.input[-1]}, axis=-1)"]

    def _arrays(self, about: str, read: list[str], *, tested: bool = False) -> list[str]:
        self.imports |= {"import numpy as np", "import math"}
        result = [
            "Arrays = tuple[np.ndarray, np.ndarray]",
            "",
            "",
            "def load_data() -> tuple[Arrays, Arrays, Arrays]:",
            f'{INDENT}"""{about}',
            "",
            f"{INDENT}Those to train on come first, then those to validate and to test.",
            f'{INDENT}"""',
            *(INDENT + line for line in read),
        ]
        if not read[0].startswith("raise"):
            result += self._parts(tested)
            self.notes.append("The split is drawn anew: its images are not those of archspec.")
        else:
            return [*result, "", "", *BATCHES]
        return [*result, "", "", *SPLIT, "", "", *BATCHES]

    def _parts(self, tested: bool) -> list[str]:
        """Return the lines that split arrays into three parts."""
        data = self.recipe.data
        whole = "images, labels"
        result = []
        if not tested:
            result.append(f"(x, y), (x_test, y_test) = split({whole}, {literal(data.test)})")
            whole = "x, y"
        share = data.validation if tested else round(data.validation / (1 - data.test), 6)
        result.append(f"(x, y), (x_val, y_val) = split({whole}, {literal(share)})")
        if self.one_hot:
            result += [
                f"{name} = keras.utils.to_categorical({name}, {self.classes})"
                for name in ("y", "y_val", "y_test")
            ]
        result.append("return (x, y), (x_val, y_val), (x_test, y_test)")
        return [INDENT + line for line in result]

    def _folder(self) -> list[str]:
        data = self.recipe.data
        height, width = self.input.spatial
        channels = self.input[-1]
        fit = {"stretch": "", "crop": "crop", "pad": "pad"}[data.resize]
        shared: list[Code] = [
            "label_mode=" + literal("categorical" if self.one_hot else "int"),
            "color_mode=" + literal("grayscale" if channels == 1 else "rgb"),
            f"image_size=({height}, {width})",
            "batch_size=BATCH",
            "seed=SEED",
            *([f"{fit}_to_aspect_ratio=True"] if fit else []),
        ]
        if data.validation:
            shared += [f"validation_split={literal(data.validation)}", 'subset="both"']
        self.notes.append(
            "The folder's images are split anew, and none are held out for a test; with folders "
            "train and validation, read each by itself."
        )
        reading = Brackets(
            "return keras.utils.image_dataset_from_directory(", [literal(data.path), *shared]
        )
        return [
            "def load_data():",
            f'{INDENT}"""Return the images of a folder with a folder for each class."""',
            *lines(reading, 1),
        ]

    # Images.

    def preprocessing(self) -> tuple[list[Code], bool]:
        """Return the layers between pixels and the network, and whether one is adapted."""
        data = self.recipe.data
        made: list[Code] = []
        spatial = self.input.spatial
        if not self.is_folder and len(spatial) == 2 and None not in spatial:
            height, width = spatial
            fit = {"stretch": "", "crop": "crop", "pad": "pad"}[data.resize]
            extra = [f"{fit}_to_aspect_ratio=True"] if fit else []
            made.append(Brackets("layers.Resizing(", [str(height), str(width), *extra]))
        for one in self.recipe.augment:
            made += self._augmentation(one)
        white: float = 16 if data.source == "digits" else 255
        if data.range is not None:
            black, white = data.range
            if black:
                self.notes.append(f"Black is taken for 0, and not for {black:g}.")
        is_adapted = data.normalize == "standardize"
        if data.normalize == "unit":
            made.append(f"layers.Rescaling(1 / {white})")
        elif data.normalize == "symmetric":
            made.append(f"layers.Rescaling(2 / {white}, offset=-1.0)")
        elif data.normalize == "torch":
            mean = [round(each * white, 6) for each in TORCH[0]]
            variance = [round((each * white) ** 2, 6) for each in TORCH[1]]
            made.append(Brackets("layers.Normalization(", [f"mean={mean}", f"variance={variance}"]))
        elif data.normalize == "caffe":
            mean = [round(each, 6) for each in reversed(CAFFE_MEAN)]
            made.append(
                Brackets("layers.Normalization(", [f"mean={mean}", "variance=[1.0, 1.0, 1.0]"])
            )
            self.notes.append("Red and blue are not exchanged, as `normalize: caffe` does.")
        elif is_adapted:
            made.append("normalise")
        return made, is_adapted

    def _augmentation(self, one: Augmentation) -> list[Code]:
        height, width = self.input.spatial
        if isinstance(one, (HorizontalFlip, VerticalFlip)):
            if one.probability != 0.5:
                self.notes.append(f"Keras flips half of the images, not {one.probability:g}.")
            return [f'layers.RandomFlip("{one.name.removesuffix("_flip")}")']
        if isinstance(one, (RandomCrop, Shift)):
            if isinstance(one, RandomCrop):
                rows, columns = f"{one.padding} / {height}", f"{one.padding} / {width}"
            else:
                rows, columns = literal(one.vertical), literal(one.horizontal)
            options: list[Code] = [rows, columns, f'fill_mode="{FILLS[one.fill]}"']
            return [Brackets("layers.RandomTranslation(", [*options, 'interpolation="nearest"'])]
        if isinstance(one, Rotation):
            mode = f'fill_mode="{FILLS[one.fill]}"'
            return [Brackets("layers.RandomRotation(", [f"{one.degrees:g} / 360", mode])]
        white = 16 if self.recipe.data.source == "digits" else 255
        limits = f"value_range=(0, {white})"
        if isinstance(one, ColorJitter):
            made: list[Code] = []
            if one.brightness:
                self.notes.append("Brightness is added by Keras, and multiplied by archspec.")
                made.append(Brackets("layers.RandomBrightness(", [f"{one.brightness:g}", limits]))
            if one.contrast:
                made.append(Brackets("layers.RandomContrast(", [f"{one.contrast:g}", limits]))
            if one.saturation:
                factor = f"(0.5 - {one.saturation / 2:g}, 0.5 + {one.saturation / 2:g})"
                made.append(Brackets("layers.RandomSaturation(", [factor, limits]))
            if one.hue:
                made.append(Brackets("layers.RandomHue(", [f"{2 * one.hue:g}", limits]))
            return made
        if isinstance(one, GaussianNoise):
            return [f"layers.GaussianNoise({one.deviation:g} * {white})"]
        if isinstance(one, RandomErasing) and one.fill == "noise":
            scale = f"scale={one.area}"
            self.notes.append("Keras erases squares, of a share of the images of its own.")
            return [Brackets("layers.RandomErasing(", [scale, limits])]
        self.notes.append(f"The augmentation `{one.name}` is left out.")
        return []

    # Training.

    def main(self) -> list[str]:
        """Return the lines of the function that trains."""
        recipe = self.recipe
        body: list[str] = ["keras.utils.set_random_seed(SEED)"]
        made, is_adapted = self.preprocessing()
        chain = Brackets("[", made, "]")
        if self.is_folder:
            body += self._datasets(is_adapted, chain, bool(made))
        else:
            body += self._batches(is_adapted, chain, bool(made))
        body.append("")
        if recipe.precision != "float32":
            body.append(f'keras.config.set_dtype_policy("{recipe.precision}")')
        body += ["model = build_model()", *self._optimizer()]
        options: list[Code] = ["optimizer=optimizer", *self._objective()]
        if recipe.jit != "auto":
            options.append(f"jit_compile={recipe.jit}")
        if recipe.steps_per_execution != "auto":
            options.append(f"steps_per_execution={recipe.steps_per_execution}")
        body += _inside(Brackets("model.compile(", options))
        fit: list[Code] = ["train", "epochs=EPOCHS"]
        if recipe.data.validation:
            fit.append("validation_data=validation")
        weights = self._class_weights()
        if weights:
            fit.append(Joined(["class_weight=", weights]))
        best = [literal("best.weights.h5"), f"monitor={literal(self.monitor)}"]
        keep: list[Code] = [*best, "save_best_only=True", "save_weights_only=True"]
        callbacks: list[Code] = [
            *self._callbacks(),
            Brackets("keras.callbacks.ModelCheckpoint(", keep),
        ]
        body += ["", *_inside(Brackets("callbacks = [", callbacks, "]", one_a_line=True))]
        body += _inside(Brackets("model.fit(", [*fit, "callbacks=callbacks"]))
        body.append('model.load_weights("best.weights.h5")')
        if not self.is_folder:
            body.append("print(model.evaluate(test, return_dict=True))")
        body.append("return model")
        return [
            "def train_model() -> keras.Model:",
            f'{INDENT}"""Train the network, and return it with the weights of its best epoch."""',
            *(INDENT + line if line else "" for line in body),
        ]

    def _batches(self, is_adapted: bool, chain: Brackets, is_any: bool) -> list[str]:
        result = ["(x, y), (x_val, y_val), (x_test, y_test) = load_data()"]
        if is_adapted:
            resize = next((each for each in chain.items if _is_resizing(each)), None)
            result += ["normalise = layers.Normalization()"]
            if resize is None:
                result += ["normalise.adapt(x)"]
            else:
                result += _inside(Brackets("resize = ", [resize], ""))
                result += ["normalise.adapt(keras.ops.convert_to_numpy(resize(x)))"]
                chain.items[0] = "resize"
        if not is_any:
            chain.items = ["layers.Identity()"]
        result += _inside(Brackets("preprocessing = keras.Sequential(", [chain], comma=False))
        result += ["train = Batches(x, y, preprocessing, training=True)"]
        result += ["validation = Batches(x_val, y_val, preprocessing)"]
        result += ["test = Batches(x_test, y_test, preprocessing)"]
        return result

    def _datasets(self, is_adapted: bool, chain: Brackets, is_any: bool) -> list[str]:
        both = bool(self.recipe.data.validation)
        result = ["train, validation = load_data()" if both else "train = load_data()"]
        if is_adapted:
            result += ["normalise = layers.Normalization()"]
            result += ["normalise.adapt(train.map(lambda images, labels: images))"]
        if not is_any:
            return result
        result += _inside(Brackets("preprocessing = keras.Sequential(", [chain], comma=False))
        for name in ("train", "validation")[: 1 + both]:
            call = (
                "preprocessing(images, training=True)"
                if name == "train"
                else ("preprocessing(images)")
            )
            function = f"lambda images, labels: ({call}, labels)"
            result += _inside(Brackets(f"{name} = {name}.map(", [function], comma=False))
        return result

    def _made(self, family: KerasFamily, named: Named, **more: Code) -> Brackets:
        """Return the constructor's call of an object of Keras's that a recipe names."""
        known = family.classes.get(named.name, {})
        arguments: dict[str, Code] = {k: v for k, v in more.items() if k in known}
        for key, value in named.arguments.items():
            inner = family.objects.get(key)
            if inner is not None and isinstance(value, (str, Mapping)):
                arguments[key] = self._made(inner, Named.model_validate(value))
            else:
                arguments[key] = literal(list(value) if isinstance(value, tuple) else value)
        given: list[Code] = [Joined([f"{key}=", value]) for key, value in arguments.items()]
        return Brackets(f"keras.{family.module}.{class_name(named.name)}(", given)

    def _optimizer(self) -> list[str]:
        recipe = self.recipe
        named = recipe.optimizer
        schedule = recipe.schedule
        default = OPTIMIZERS.classes.get(named.name, {}).get("learning_rate", (0.001,))
        peak = named.arguments.get("learning_rate", default[0] if default else 0.001)
        is_number = isinstance(peak, (int, float))
        highest = float(peak) if isinstance(peak, (int, float)) else 0.001
        warmup = f"{recipe.warmup} * steps" if recipe.warmup else ""
        result = ["steps = len(train)"] if schedule or recipe.warmup else []
        rate: Brackets | None = None
        if schedule is not None and schedule.keras is not None:
            rate = self._made(SCHEDULES, schedule.keras, initial_learning_rate=literal(peak))
        elif schedule is not None and schedule.cosine is not None:
            decay = f"{max(1, recipe.epochs - recipe.warmup)} * steps"
            items: list[Code] = [literal(peak), f"decay_steps={decay}"]
            if warmup:
                items[0] = "0.0"
                items += [f"warmup_target={literal(peak)}", f"warmup_steps={warmup}"]
            rate, warmup = Brackets("keras.optimizers.schedules.CosineDecay(", items), ""
        elif schedule is not None and schedule.step is not None:
            at = sorted(set(schedule.step.at))
            places = ", ".join(f"{epoch} * steps - 1" for epoch in at)
            rates = [float(f"{highest * schedule.step.factor**n:.6g}") for n in range(len(at) + 1)]
            rate = Brackets(
                "keras.optimizers.schedules.PiecewiseConstantDecay(", [f"[{places}]", f"{rates}"]
            )
        elif schedule is not None:
            result = []
        if warmup:
            self.notes.append(
                f"The learning rate does not rise in the first {recipe.warmup} epochs."
            )
        if named.arguments.get("gradient_accumulation_steps") and rate is not None:
            self.notes.append("The schedule counts steps, and not updates of several steps.")
        chosen = named
        if rate is not None and is_number:
            result += _inside(Brackets(f"rate = {rate.before}", rate.items))
            others = {k: v for k, v in named.arguments.items() if k != "learning_rate"}
            chosen = named.model_copy(update={"arguments": others})
            optimizer = self._made(OPTIMIZERS, chosen, learning_rate="rate")
        else:
            result = []
            optimizer = self._made(OPTIMIZERS, chosen)
        optimizer.before = "optimizer = " + optimizer.before
        result += _inside(optimizer)
        if named.arguments.get("weight_decay") or named.name in DECAYS:
            result += [
                "spared = [",
                f"{INDENT}each for each in model.weights "
                'if len(each.shape) < 2 or each.name == "bias"',
                "]",
                "optimizer.exclude_from_weight_decay(var_list=spared)",
            ]
        return result

    def _objective(self) -> list[Code]:
        """Return the arguments of `compile` for the loss and the metrics."""
        recipe = self.recipe
        losses: dict[str, Code] = {}
        metrics: dict[str, Code] = {}
        for name, index in sorted(self.graph.outputs.items()):
            logits = literal(not self._is_probability(self.graph.nodes[index]))
            more: dict[str, Code] = {} if logits == "False" else {"from_logits": "True"}
            losses[name] = self._made(LOSSES, recipe.chosen_loss, **more)
            if self.is_regression:
                measure = 'keras.metrics.MeanAbsoluteError(name="mae")'
            elif self.is_set:
                more_threshold = "" if logits == "False" else ", threshold=0.0"
                measure = f'keras.metrics.BinaryAccuracy(name="accuracy"{more_threshold})'
            else:
                sparse = "" if self.one_hot else "Sparse"
                measure = f'keras.metrics.{sparse}CategoricalAccuracy(name="accuracy")'
            given = [
                self._made(METRICS, each, name=literal(each.name), **more)
                for each in recipe.metrics
            ]
            metrics[name] = Brackets("[", [measure, *given], "]")
        if len(losses) == 1:
            (loss,), (metric,) = losses.values(), metrics.values()
            return [Joined(["loss=", loss]), Joined(["metrics=", metric])]
        self.notes.append(
            "The network has several outputs: give `Batches` a dict of labels, one for each."
        )
        weights = {name: self.loss_weights.get(name, 1.0) for name in losses}
        pairs: list[tuple[str, Mapping[str, Code]]] = [
            ("loss", losses),
            ("metrics", metrics),
            ("loss_weights", {name: literal(each) for name, each in weights.items()}),
        ]
        return [
            Brackets(f"{key}={{", [Joined([f"{literal(n)}: ", c]) for n, c in values.items()], "}")
            for key, values in pairs
        ]

    def _is_probability(self, node: Node) -> bool:
        last = self.layers_of(node)[-1]
        if last.name in ("Identity", "Flatten", "Reshape"):
            return self._is_probability(self.graph.nodes[node.inputs[0]])
        return last.name in ("Softmax", "Sigmoid") or (
            last.name == "Activation" and last.arguments.get(0) in ("softmax", "sigmoid")
        )

    def _callbacks(self) -> list[Code]:
        recipe = self.recipe
        made: list[Code] = []
        for named in recipe.callbacks:
            files: dict[str, Code] = {}
            if named.name in WRITTEN:
                files = {WRITTEN[named.name].argument: literal(WRITTEN[named.name].default)}
            made.append(self._made(CALLBACKS, named, monitor=literal(self.monitor), **files))
        if recipe.tensorboard:
            made.append('keras.callbacks.TensorBoard("tensorboard")')
        plateau = recipe.schedule.plateau if recipe.schedule else None
        if plateau is not None:
            options = {"monitor": self.monitor, **plateau.model_dump(exclude_none=True)}
            if options["cooldown"]:
                options["cooldown"] += 1  # Keras counts its last epoch as one without progress
            items: list[Code] = [f"{key}={literal(value)}" for key, value in options.items()]
            made.append(Brackets("keras.callbacks.ReduceLROnPlateau(", items))
        return made

    def _class_weights(self) -> Code | None:
        weights = self.recipe.class_weights
        if weights is None:
            return None
        if self.is_folder or weights == "balanced":
            if weights == "balanced" and not self.is_folder:
                counts = "np.bincount(y.argmax(axis=1))" if self.one_hot else "np.bincount(y)"
                return f"dict(enumerate(len(y) / ({self.classes} * np.maximum(1, {counts}))))"
            self.notes.append(
                "Classes of a folder have no weights: write `class_weight`, a dict from the "
                "number of a class in alphabetical order."
            )
            return None
        names = class_names(self.recipe.data.source) or tuple(
            str(number) for number in range(int(self.classes or 0))
        )
        unknown = [name for name in weights if name not in names]
        if unknown:
            self.notes.append(
                f"The number of class {listed(unknown)} is not known here: add its weight to "
                "`class_weight`."
            )
        pairs: list[Code] = [
            f"{names.index(name)}: {literal(float(weight))}"
            for name, weight in weights.items()
            if name in names
        ]
        return Brackets("{", pairs, "}") if pairs else None

    def _note_the_rest(self) -> None:
        """Note every other setting of the recipe that the script does not carry out."""
        recipe, data = self.recipe, self.recipe.data
        left_out = {
            "data.classes": data.classes,
            "data.per_class": data.per_class,
            "data.group": data.group,
            "data.duplicates": data.duplicates if data.duplicates != "warn" else None,
            "data.on_error": data.on_error if data.on_error != "stop" else None,
            "data.targets": data.targets if data.targets != "none" else None,
            "data.seed": data.seed or None,
            "data.stratify": None if data.stratify else "false",
            "devices": recipe.devices,
            "deterministic": recipe.deterministic or None,
            "watch_units": recipe.watch_units or None,
            "transfer": recipe.transfer and recipe.transfer.source,
        }
        for key, value in left_out.items():
            if value is not None:
                self.notes.append(f"The script does nothing about `{key}`.")


def _inside(code: Code) -> list[str]:
    """Return code as the lines of a function, without their indentation."""
    return [line.removeprefix(INDENT) for line in lines(code, 1)]


def _is_resizing(code: Code) -> bool:
    return isinstance(code, Brackets) and code.before.startswith("layers.Resizing")


def _comment(text: str) -> list[str]:
    import textwrap  # noqa: PLC0415

    return textwrap.wrap(re.sub(r"\s+", " ", text), 88, subsequent_indent="# ")


SPLIT: Final = '''\
def split(
    images: np.ndarray, labels: np.ndarray, share: float
) -> tuple[Arrays, Arrays]:
    """Return images without a share of each class, and those held out."""
    random = np.random.default_rng(0)
    held_out = np.zeros(len(labels), bool)
    for value in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == value))
        held_out[members[: round(share * len(members))]] = True
    rest = random.permutation(np.flatnonzero(~held_out))
    return (images[rest], labels[rest]), (images[held_out], labels[held_out])'''.splitlines()
"""Lines of the function that splits arrays by class."""

BATCHES: Final = '''\
class Batches(keras.utils.PyDataset):
    """Images in batches; in training in a new order each epoch, and changed at random."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        preprocessing: keras.Model,
        *,
        training: bool = False,
    ) -> None:
        super().__init__()
        self.images = images
        self.labels = labels
        self.preprocessing = preprocessing
        self.training = training
        self.random = np.random.default_rng(SEED)
        self.order = np.arange(len(images))
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.images) / BATCH)

    def __getitem__(self, index: int) -> Arrays:
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        images = self.preprocessing(self.images[chosen], training=self.training)
        return keras.ops.convert_to_numpy(images), self.labels[chosen]

    def on_epoch_end(self) -> None:
        if self.training:
            self.random.shuffle(self.order)'''.splitlines()
"""Lines of the class that makes batches of arrays."""
