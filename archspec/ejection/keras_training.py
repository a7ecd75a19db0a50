"""A recipe as a script of plain Keras: the functions after a network's source that train it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from archspec.data.published import class_names
from archspec.data.sources import SOURCES
from archspec.data.task import TaskKind
from archspec.ejection.layout import INDENT, Brackets, Code, Joined, indented, unindented
from archspec.ejection.parts import TRAINING, own_parts, parts_of
from archspec.ejection.python import literal
from archspec.ejection.recording import Construction
from archspec.ejection.training_data import DataLines, preview_of
from archspec.errors import UsageError, listed
from archspec.graph.graph import MAIN_OUTPUT, Graph, Node
from archspec.recipe import task_choice
from archspec.recipe.callback_files import WRITTEN
from archspec.recipe.families import (
    CALLBACKS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    SCHEDULES,
    KerasFamily,
)
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

DECAYS: Final = frozenset({"adamw", "lamb", "lion", "muon", "schedulefreeadamw"})
"""Optimizers that decay weights where a recipe does not say how much."""

BEST: Final = "best.weights.h5"
"""File of the weights of the best epoch."""


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

    def __post_init__(self) -> None:
        shape = self.graph.nodes[next(iter(self.graph.inputs.values()))].shape
        main = self.graph.outputs.get(MAIN_OUTPUT, next(iter(self.graph.outputs.values())))
        preview, absence = preview_of(self.recipe, shape)
        self.kind: TaskKind = "classification"
        if SOURCES[self.recipe.data.source].has_any_labels:
            ends = task_choice.endings(self.graph)
            if preview is not None:
                source = str(self.recipe.data.path)
                self.kind = task_choice.choose(self.recipe, preview, ends, source)[0].kind
            else:
                self.kind = _likely(self.recipe, ends)
        if self.recipe.loss is None:
            loss = task_choice.LOSSES[self.kind]
            self.recipe = self.recipe.model_copy(update={"loss": loss})
        is_class = self.kind == "classification"
        self.one_hot = is_class and self.recipe.chosen_loss.name not in OF_INDICES
        self.monitor = "val_loss" if self.recipe.data.validation else "loss"
        self.data = DataLines(
            self.recipe,
            shape,
            tuple(self.graph.outputs),
            self.kind,
            self.one_hot,
            int(self.graph.nodes[main].shape[-1]),
            preview,
            absence,
        )
        self.parts = self.data.parts

    def training(self) -> Training:
        """Return the lines of all functions, with their imports and notes."""
        recipe = self.recipe
        data, main = self.data.lines(), self.main()
        self._note_the_rest()
        known = class_names(recipe.data.source)
        if known and recipe.data.classes is None and len(known) != self.data.classes:
            self.notes.append(
                f"The network gives {self.data.classes:,} values, and `{recipe.data.source}` has "
                f"{len(known)} classes."
            )
        parts, imports = own_parts(parts_of(TRAINING), self.parts)
        while parts and not parts[0]:
            parts.pop(0)
        return Training(
            [
                *self.data.constants,
                f"BATCH = {recipe.batch}",
                f"EPOCHS = {recipe.epochs}",
                f"SEED = {recipe.seed}",
                "",
                *data,
                "",
                "",
                *parts,
                "",
                *main,
            ],
            self.data.imports | imports,
            [*dict.fromkeys([*self.data.notes, *self.notes])],
        )

    def main(self) -> list[str]:
        """Return the lines of the function that trains."""
        recipe = self.recipe
        body = self.data.prepared()
        body.append("")
        if recipe.precision != "float32":
            body.append(f'keras.config.set_dtype_policy("{recipe.precision}")')
        body += ["keras.utils.set_random_seed(SEED)", "model = build_model()"]
        body += self._optimizer()
        options: list[Code] = ["optimizer=optimizer", *self._objective()]
        if recipe.jit != "auto":
            options.append(f"jit_compile={recipe.jit}")
        if recipe.steps_per_execution != "auto":
            options.append(f"steps_per_execution={recipe.steps_per_execution}")
        body += unindented(Brackets("model.compile(", options))
        fit: list[Code] = ["train", "epochs=EPOCHS"]
        if recipe.data.validation:
            fit.append("validation_data=validation")
        callbacks = Brackets("callbacks = [", self._callbacks(), "]", one_a_line=True)
        body += ["", *unindented(callbacks)]
        body += unindented(Brackets("model.fit(", [*fit, "callbacks=callbacks", "shuffle=False"]))
        body.append(f"model.load_weights({literal(BEST)})")
        if recipe.data.test:
            body.append("print(model.evaluate(test, return_dict=True))")
        body.append("return model")
        return [
            "def train_model() -> keras.Model:",
            f'{INDENT}"""Train the network, and return it with the weights of its best epoch."""',
            *indented(body),
        ]

    def _best(self) -> Code:
        """Return the callback that saves the best epoch."""
        validated = "val_" if self.recipe.data.validation else ""
        if self.kind == "classification":
            self.parts.add("BestEpoch")
            main = f"{MAIN_OUTPUT}_" if len(self.graph.outputs) > 1 else ""
            measures = literal(f"{validated}{main}accuracy"), literal(self.monitor)
            return Brackets("BestEpoch(", [literal(BEST), *measures])
        keep: list[Code] = [literal(BEST), f"monitor={literal(self.monitor)}"]
        keep += ["save_best_only=True", "save_weights_only=True"]
        return Brackets("keras.callbacks.ModelCheckpoint(", keep)

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
        outer = self.recipe.optimizer
        inner = outer.arguments.get("inner_optimizer")
        named = outer if inner is None else Named.model_validate(inner)
        peak = self._peak(named)
        result = self._rate(peak, named.arguments.get("gradient_accumulation_steps") or 1)
        if result:
            others = {k: v for k, v in named.arguments.items() if k != "learning_rate"}
            named = named.model_copy(update={"arguments": others})
            made = self._made(OPTIMIZERS, named, learning_rate="rate")
        else:
            made = self._made(OPTIMIZERS, named)
        if named.arguments.get("weight_decay") or named.name in DECAYS:
            result += unindented(Joined(["optimizer = ", made]))
            result += [
                "spared = [",
                f"{INDENT}each for each in model.weights "
                'if len(each.shape) < 2 or each.name == "bias"',
                "]",
                "optimizer.exclude_from_weight_decay(var_list=spared)",
            ]
            made = Brackets("optimizer", [], "")
        if inner is not None:
            arguments = {k: v for k, v in outer.arguments.items() if k != "inner_optimizer"}
            scaled = self._made(OPTIMIZERS, outer.model_copy(update={"arguments": arguments}))
            made = Brackets(scaled.before, [made, *scaled.items])
        if made.before != "optimizer":
            result += unindented(Joined(["optimizer = ", made]))
        return result

    def _peak(self, named: Named) -> float | Brackets:
        """Return the highest learning rate: a number, or the optimizer's own schedule."""
        default = OPTIMIZERS.classes.get(named.name, {}).get("learning_rate", (0.001,))
        peak = named.arguments.get("learning_rate", default[0] if default else 0.001)
        if isinstance(peak, (int, float)):
            return float(peak)
        return self._made(SCHEDULES, Named.model_validate(peak))

    def _rate(self, peak: float | Brackets, steps_per_update: int) -> list[str]:
        """Return the lines that make a learning rate that changes; none where it is constant."""
        recipe = self.recipe
        schedule = recipe.schedule
        made: Code = peak if isinstance(peak, Brackets) else literal(peak)
        steps = f"{recipe.warmup} * steps"
        if schedule is not None and schedule.plateau is not None:
            return []
        if schedule is not None and schedule.keras is not None:
            first = {} if isinstance(peak, Brackets) else {"initial_learning_rate": literal(peak)}
            made = self._made(SCHEDULES, schedule.keras, **first)
        if isinstance(made, Brackets):
            if steps_per_update > 1:
                self.parts.add("PerUpdate")
                made = Brackets("PerUpdate(", [made, f"steps={steps_per_update}"])
        elif schedule is not None and schedule.cosine is not None:
            decay = f"decay_steps={max(1, recipe.epochs - recipe.warmup)} * steps"
            items: list[Code] = [literal(peak), decay]
            if recipe.warmup:
                items += [f"warmup_target={literal(peak)}", f"warmup_steps={steps}"]
            made = Brackets("keras.optimizers.schedules.CosineDecay(", items)
        elif schedule is not None and schedule.step is not None:
            at = sorted(set(schedule.step.at))
            places = ", ".join(f"{epoch} * steps - 1" for epoch in at)
            factor = schedule.step.factor
            highest = float(str(made))
            rates = [float(f"{highest * factor**n:.12g}") for n in range(len(at) + 1)]
            made = Brackets(
                "keras.optimizers.schedules.PiecewiseConstantDecay(", [f"[{places}]", f"{rates}"]
            )
        if recipe.warmup:
            self.parts.add("Warmup")
            made = Brackets("Warmup(", [made, steps])
        if not isinstance(made, Brackets):
            return []
        result = unindented(Joined(["rate = ", made]))
        return [*(["steps = len(train)"] if any("* steps" in e for e in result) else []), *result]

    def _objective(self) -> list[Code]:
        """Return the arguments of `compile` for the loss and the metrics."""
        recipe = self.recipe
        losses: dict[str, Code] = {}
        metrics: dict[str, Code] = {}
        for name, index in sorted(self.graph.outputs.items()):
            logits = literal(not self._is_probability(self.graph.nodes[index]))
            more: dict[str, Code] = {} if logits == "False" else {"from_logits": "True"}
            losses[name] = self._made(LOSSES, recipe.chosen_loss, **more)
            if self.kind == "regression":
                measure = 'keras.metrics.MeanAbsoluteError(name="mae")'
            elif self.kind == "multi_label":
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
        begin = "on_epoch_begin=lambda epoch, logs: train.begin(epoch + 1)"
        made: list[Code] = [Brackets("keras.callbacks.LambdaCallback(", [begin], comma=False)]
        optimizer = recipe.optimizer.arguments.get("inner_optimizer") or recipe.optimizer
        if Named.model_validate(optimizer).arguments.get("use_ema"):
            made.append("keras.callbacks.SwapEMAWeights(swap_on_epoch=True)")
        for named in recipe.callbacks:
            files: dict[str, Code] = {}
            if named.name in WRITTEN:
                files = {WRITTEN[named.name].argument: literal(WRITTEN[named.name].default)}
            made.append(self._made(CALLBACKS, named, monitor=literal(self.monitor), **files))
        if recipe.tensorboard:
            made.append('keras.callbacks.TensorBoard("tensorboard")')
        return [*made, *self._plateau(), self._best()]

    def _plateau(self) -> list[Code]:
        """Return the callbacks of a learning rate that is lowered when the loss stops falling."""
        recipe = self.recipe
        plateau = recipe.schedule.plateau if recipe.schedule else None
        if plateau is None:
            return []
        options = {"monitor": self.monitor, **plateau.model_dump(exclude_none=True)}
        if options["cooldown"]:
            options["cooldown"] += 1  # Keras counts its last epoch as one without progress
        items: list[Code] = [f"{key}={literal(value)}" for key, value in options.items()]
        if not recipe.warmup:
            return [Brackets("keras.callbacks.ReduceLROnPlateau(", items)]
        self.parts.add("Plateau")
        peak = f"peak={literal(self._peak(recipe.optimizer))}"
        return [Brackets("Plateau(", [peak, f"warmup={recipe.warmup}", *items])]

    def _note_the_rest(self) -> None:
        """Note every other setting of the recipe that the script does not carry out."""
        recipe, data = self.recipe, self.recipe.data
        left_out = {
            "data.classes": data.classes,
            "data.per_class": data.per_class,
            "data.group": data.group,
            "data.duplicates": data.duplicates if data.duplicates != "warn" else None,
            "data.on_error": data.on_error if data.on_error != "stop" else None,
            "devices": recipe.devices,
            "deterministic": recipe.deterministic or None,
            "watch_units": recipe.watch_units or None,
            "transfer": recipe.transfer and recipe.transfer.source,
        }
        for key, value in left_out.items():
            if value is not None:
                self.notes.append(f"The script does nothing about `{key}`.")


def _likely(recipe: Recipe, ends: Mapping[str, task_choice.Ending]) -> TaskKind:
    """Return the task that loss and network are for, where the labels are not known."""
    loss = recipe.loss.name if recipe.loss else ""
    function = next(iter(ends.values())).function
    if loss in task_choice.OF_CLASSES or function == "softmax":
        return "classification"
    if loss in task_choice.OF_YES_AND_NO or function == "sigmoid":
        return "multi_label"
    return "regression"
