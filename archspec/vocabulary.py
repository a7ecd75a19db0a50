"""The words of other tools: what archspec calls the same thing, or what to write where it has none.

A misspelt word is answered by its spelling (`diagnostics.nearest`). A word of Keras, PyTorch, Caffe
or the papers is answered from the tables here, so that `prelu` is not taken for a misspelt `relu`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from archspec.errors import Mend, suggestion


def folded(word: str) -> str:
    """Return a word without what tools write differently: module, case, `_` and the number of axes.

    `nn.MaxPool2d`, `MaxPooling2D` and `max_pool` differ in one syllable then.
    """
    return _AXES.sub("", unseparated(word))


def unseparated(word: str) -> str:
    """Return a word in lower case, without the module before it and without separators."""
    return re.sub(r"[\s_-]", "", word.rpartition(".")[2].lower())


_AXES: Final = re.compile(r"(?<=[a-z])[123]d")


def _by_word(table: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping from foreign words to ours, from one of ours to the foreign ones."""
    return {word: ours for ours, words in table.items() for word in words.split()}


def _meanings(table: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return what each foreign word may mean: `absolute` is a function, and a way to embed."""
    found: dict[str, tuple[str, ...]] = {}
    for ours, words in table.items():
        for word in words.split():
            found[word] = (*found.get(word, ()), ours)
    return found


KINDS: Final = _by_word(
    {
        "conv": "convlayer convblock convbn convbnrelu convnormact",
        "fc": "dense linear innerproduct affine fullyconnectedlayer lazylinear",
        "batch_norm": "bn batchnormalization syncbatchnorm",
        "layer_norm": "ln layernormalization",
        "group_norm": "gn groupnormalization",
        "instance_norm": "in instancenormalization",
        "rms_norm": "rmsnormalization",
        "unit_norm": "unitnormalization l2norm l2normalize l2normalization",
        "blur_pool": "blurpooling antialias maxblurpool",
        "subsampling": "subsample",
        "lrn": "localresponsenorm localresponsenormalization norm1",
        "max_pool": "maxpooling pool pooling",
        "max_unpool": "maxunpool unpool unpooling maxunpooling",
        "avg_pool": "averagepool averagepooling avgpooling meanpool",
        "global_avg_pool": "gap globalaveragepooling globalaveragepool adaptiveavgpool "
        "globalavgpooling",
        "global_max_pool": "gmp globalmaxpooling adaptivemaxpool",
        "transposed_conv": "deconv deconvolution convtranspose transposeconv upconv "
        "convolutiontranspose",
        "depthwise_conv": "dwconv depthwise depthwiseconvolution depthwiseseparable",
        "local_conv": "locallyconnected",
        "separable_conv": "sepconv separableconvolution",
        "spatial_dropout": "dropout2d dropout3d featuredropout",
        "drop_path": "stochasticdepth droppath",
        "concat": "concatenate cat",
        "mean": "average",
        "max": "maximum",
        "min": "minimum",
        "divide": "div quotient division",
        "add": "sum plus eltwise eltwisesum",
        "multiply": "mul product",
        "subtract": "sub minus difference",
        "absolute_difference": "absdiff absdifference l1distance l1",
        "pad": "zeropadding zeropad padding",
        "crop": "cropping centercrop",
        "upsample": "upsampling upsamplingnearest upsamplingbilinear",
        "resize": "interpolate resizing interpolation resizelike resample",
        "permute": "transpose swapaxes swapdims moveaxis rearrange movedim",
        "matmul": "bmm batchdot dot einsum batchmatmul gemm",
        "channel_shuffle": "shuffle shufflechannels shufflechannel",
        "depth_to_space": "pixelshuffle subpixel subpixelconv",
        "space_to_depth": "pixelunshuffle reorg passthrough patchmerging focus",
        "roll": "cyclicshift shift",
        "attention": "multiheadattention mha selfattention multiheadselfattention mhsa "
        "crossattention windowattention shiftedwindowattention swinattention sdpa "
        "scaleddotproductattention groupedqueryattention additiveattention",
        "transformer": "transformerencoder transformerencoderlayer encoderlayer encoderblock "
        "transformerlayer transformerblock vitblock swinblock swintransformerblock",
        "patchify": "patchembed patchembedding patches patchextract tokenize tokenizer",
        "position_embedding": "positionalencoding positionalembedding posembed posembedding "
        "positionencoding abspositionembedding sinecosine sinusoidal positionembeddinglearned",
        "relative_position_bias": "relpos relposbias relativepositionalbias",
        "class_token": "clstoken classtoken classembedding cls",
        "parameter": "param learnedconstant weight learnedquery queries objectqueries",
        "lstm": "lstmcell bilstm",
        "gru": "grucell bigru",
        "rnn": "simplernn vanillarnn elman recurrent rnncell",
        "reshape": "view unflatten",
        "embedding": "wordembedding tokenembedding lookup embeddingtable embed",
        "rescale": "rescaling",
        "residual": "resblock residualblock basicblock bottleneck resunit",
        "inverted_residual": "mbconv mbconvblock invertedbottleneck invertedresidualblock irblock "
        "linearbottleneck ir",
        "squeeze_excitation": "se seblock selayer semodule squeezeexcite squeezeandexcite "
        "squeezeandexcitation sqex",
        "dense": "denseblock",
        "transition": "transitionlayer transitionblock",
        "inception": "inceptionmodule inceptionblock",
        "fire": "firemodule",
        "fractal": "fractalblock",
        "mlpconv": "nin ninblock",
    }
)
"""Folded words of other tools, and the kind that archspec has."""

_PARTS = "each part of the values is a `slice`, as `slice: {axis: channels, stop: 32}`"
_OWN_NONE = "archspec has no {}; build it from other kinds as a block of your own, under `blocks`"

KIND_NOTES: Final[dict[str, str]] = {
    **{
        word: Mend(f"archspec says `activation: {ours}`", f"activation: {ours}")
        for word, ours in {
            "relu": "relu",
            "relu6": "relu6", "leakyrelu": "leaky_relu", "elu": "elu", "selu": "selu",
            "gelu": "gelu", "silu": "silu", "swish": "swish", "mish": "mish", "tanh": "tanh",
            "sigmoid": "sigmoid", "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish",
            "hswish": "hard_swish", "softplus": "softplus", "softsign": "softsign", "celu": "celu",
            "hardtanh": "hard_tanh", "logsigmoid": "log_sigmoid", "logsoftmax": "log_softmax",
            "softshrink": "soft_shrink", "hardshrink": "hard_shrink",
            "tanhshrink": "tanh_shrink", "threshold": "threshold", "abs": "abs",
            "absolute": "abs",
        }.items()
    },
    **dict.fromkeys(
        ("input", "inputlayer", "inputs"),
        "the input is the spec's own key, as `input: [224, 224, 3]`, and no step",
    ),
    "output": "the last step is the output, and needs no mark; `heads` are further outputs",
    **dict.fromkeys(
        ("identity", "noop", "skip", "shortcut"),
        "a step that does nothing is left out; in `branches`, `[]` is the identity; "
        "`activation: linear` only gives what is there a name",
    ),
    **dict.fromkeys(
        ("sequential", "group", "block", "stack", "stage", "module"),
        "a group of steps is `layers: [...]`",
    ),
    "parallel": "paths side by side are `branches: [[...], [...]]`",
    "split": f"paths side by side are `branches: [[...], [...]]`; {_PARTS}",
    **dict.fromkeys(("chunk", "narrow", "select", "getitem", "stridedslice", "unbind"), _PARTS),
    **dict.fromkeys(
        ("squeeze", "unsqueeze", "expanddims", "newaxis"),
        "axes are added and dropped by `reshape`, which lists all extents, channels last, as "
        "`reshape: [1, 1, 512]`; one of them may be null",
    ),
    **dict.fromkeys(
        ("globalpool", "globalpooling", "adaptivepool"),
        "`global_avg_pool` is the mean of each channel, `global_max_pool` its largest value",
    ),
    **dict.fromkeys(
        ("type", "kind", "class", "op", "layer"),
        "the kind itself is the key, as `conv: {filters: 64}`",
    ),
    **dict.fromkeys(
        ("normalization", "normalize"),
        "known means and deviations are a `rescale`, whose `scale` is 1 / deviation and whose "
        "`offset` is -mean / deviation: a number, or one for each channel; `unit_norm` divides a "
        "vector by its length",
    ),
    "fusedmbconv": "archspec says `inverted_residual: {filters: ..., fused: true}`",
    **dict.fromkeys(
        ("cbam", "eca", "ecablock", "ecamodule", "gatechannel", "coordatt", "scse", "bam"),
        _OWN_NONE.format("such gate") + "; docs/gates.md has ECA and CBAM",
    ),
    **dict.fromkeys(("c2f", "c3", "csp", "sppf", "spp", "aspp"), _OWN_NONE.format("such block")),
    "bidirectional": "a recurrent layer reads both ways with `bidirectional: true`, as "
    "`lstm: {units: 256, bidirectional: true}`",
    "timedistributed": "`fc` and `convolution` work at each position of a sequence as they are",
    **dict.fromkeys(
        ("transformerdecoder", "transformerdecoderlayer", "decoderlayer"),
        "`attention` with `causal: true`, then one with two inputs, `from: [x, memory]`, then `fc`",
    ),
    "vit": "the network itself comes with archspec: `archspec build vit_b_16`; its units are "
    "`transformer`",
    "mlp": "two steps: `fc: {units: 3072, activation: gelu}` and `fc: 768`",
    **dict.fromkeys(
        ("convlstm", "lambda", "rrelu", "softmin", "dropblock", "gaussiannoise", "alphadropout"),
        "archspec has nothing like it",
    ),
    **dict.fromkeys(
        ("deformableconv", "deformconv", "deformableconvolution", "dcn", "roialign", "roipool",
         "roipooling", "nms", "nonmaxsuppression", "gridsample", "spatialtransformer"),
        "archspec leaves it out; docs/adding-a-family.md shows how a package of yours adds an op",
    ),
}  # fmt: skip
"""Folded words of other tools, and what to write where archspec has no kind for them."""

VALUES: Final = _meanings(
    {
        "hard_swish": "hswish hardswish",
        "hard_sigmoid": "hsigmoid hardsigmoid",
        "hard_tanh": "hardtanh htanh",
        "soft_shrink": "softshrink",
        "hard_shrink": "hardshrink",
        "log_sigmoid": "logsigmoid",
        "log_softmax": "logsoftmax",
        "tanh_shrink": "tanhshrink",
        "exponential": "exp",
        "abs": "absolute modulus rectify",
        "prelu": "parametricrelu",
        "leaky_relu": "leakyrelu leaky lrelu",
        "silu": "sigmoidlinearunit",
        "gelu": "geluapproximate gelutanh",
        "sigmoid": "logistic",
        "tanh": "hyperbolictangent",
        "linear": "identity",
        "batch": "bn batchnorm batchnormalization syncbn syncbatchnorm",
        "layer": "ln layernorm layernormalization",
        "group": "gn groupnorm groupnormalization",
        "instance": "in instancenorm instancenormalization",
        "rms": "rmsnorm rmsnormalization",
        "lrn": "localresponsenorm localresponsenormalization",
        "same": "half auto samelower sameupper",
        "valid": "novalid notpadded",
        "bicubic": "cubic",
        "learned": "learnable trained absolute",
        "sine": "sin sincos sinusoidal fixed cosine",
        "pre-norm": "prenorm normfirst before",
        "post-norm": "postnorm normlast after",
        "sequence": "sequences all true full",
        "nearest": "nearestneighbor nearestneighbour nn",
        "bilinear": "linear",
        "bottleneck": "bottle",
        "conv-norm-act": "postactivation post convbnrelu",
        "norm-act-conv": "preactivation preact pre bnreluconv",
        "projection": "conv b",
        "pad": "a zeropad",
        "int": "integer whole number",
        "bool": "boolean",
        "str": "string text word",
        "float": "double real",
        "list": "array tuple sequence",
        "concat": "concatenate cat",
        "add": "sum plus",
        "mean": "average avg",
        "multiply": "mul product times",
        "max": "maximum",
        "categorical_crossentropy": "crossentropy crossentropyloss nllloss softmaxcrossentropy",
        "mean_squared_error": "mse mseloss l2",
        "mean_absolute_error": "mae maeloss l1loss l1",
        "horizontal_flip": "randomhorizontalflip randomflip hflip fliplr mirror",
        "vertical_flip": "randomverticalflip vflip flipud",
        "random_crop": "randcrop",
        "random_erasing": "cutout coarsedropout",
        "rotation": "randomrotation rotate",
        "shift": "randomtranslation translate randomaffine",
        "gaussian_noise": "gaussnoise noise",
        "color_jitter": "colourjitter randombrightness randomcontrast colorjiggle",
    }
)
"""Folded words of other tools, and the words that an argument may have."""

KEYS: Final = {
    word: tuple(ours.split())
    for word, ours in {
        "kernelsize": "kernel size",
        "ksize": "kernel size",
        "kernelshape": "kernel size",
        "k": "kernel growth size",
        "poolsize": "size",
        "windowsize": "size kernel window",
        "window": "size kernel",
        "numheads": "heads",
        "nhead": "heads",
        "nheads": "heads",
        "keydim": "head_size",
        "headdim": "head_size",
        "dimhead": "head_size",
        "qkvsize": "head_size",
        "mlpdim": "mlp_ratio",
        "dimfeedforward": "mlp_ratio",
        "expansion": "mlp_ratio",
        "attndrop": "attention_dropout dropout",
        "attndropout": "attention_dropout dropout",
        "layerscale": "layer_scale",
        "layerscaleinit": "layer_scale",
        "normfirst": "order",
        "iscausal": "causal",
        "usecausalmask": "causal",
        "shiftsize": "shift",
        "shifts": "by shift",
        "patchsize": "patch",
        "embeddim": "filters",
        "embeddingdim": "filters",
        "numembeddings": "words",
        "vocabsize": "words",
        "vocabularysize": "words",
        "vocabulary": "words",
        "returnsequences": "output",
        "hiddensize": "units",
        "hiddendim": "units",
        "hidden": "units",
        "transposeb": "transpose_b",
        "adjointb": "transpose_b",
        "perm": "to",
        "dims": "to by",
        "order": "to",
        "dim": "axis",
        "axes": "to axis",
        "upscalefactor": "factor",
        "downscalefactor": "factor",
        "blocksize": "factor",
        "outputsize": "to",
        "kernel": "size",
        "size": "kernel factor",
        "strides": "stride",
        "s": "stride",
        "subsampling": "stride",
        "outchannels": "filters units to",
        "numfilters": "filters",
        "nfilters": "filters",
        "nof": "filters",
        "numoutput": "filters units",
        "channels": "filters",
        "channelsout": "filters",
        "features": "filters units",
        "outfeatures": "units filters",
        "units": "filters",
        "filters": "units",
        "neurons": "units",
        "numunits": "units",
        "hiddenunits": "units",
        "negativeslope": "slope",
        "maxvalue": "max",
        "defaultvalue": "value",
        "sharedaxes": "shared",
        "numparameters": "shared",
        "usebias": "bias",
        "hasbias": "bias",
        "act": "activation function",
        "activationfn": "activation function",
        "nonlinearity": "activation function",
        "activation": "function",
        "normalization": "norm",
        "normalisation": "norm",
        "bn": "norm",
        "batchnorm": "norm",
        "usebn": "norm",
        "usebatchnorm": "norm",
        "normalize": "norm",
        "dilationrate": "dilation",
        "numgroups": "groups",
        "ngroups": "groups",
        "group": "groups",
        "cardinality": "groups",
        "pad": "padding amount",
        "pads": "padding amount",
        "padding": "amount",
        "cropping": "amount",
        "paddingmode": "mode",
        "p": "rate dropout",
        "prob": "rate dropout",
        "probability": "rate dropout",
        "droprate": "rate dropout",
        "dropoutrate": "rate dropout",
        "droppathrate": "rate drop_path",
        "eps": "epsilon",
        "gamma": "scale",
        "affine": "scale",
        "ceilmode": "ceil",
        "countincludepad": "count_padding",
        "kernelinitializer": "initial",
        "depthwiseinitializer": "initial",
        "initializer": "initial",
        "init": "initial",
        "kernels": "initial kernel",
        "bank": "initial",
        "requiresgrad": "trainable",
        "train": "trainable",
        "trained": "trainable",
        "learnable": "trainable",
        "learned": "trainable",
        "scalefactor": "factor scale",
        "scale": "factor",
        "interpolation": "method",
        "mode": "method",
        "shape": "to input",
        "targetshape": "to",
        "outputshape": "to",
        "depthmultiplier": "multiplier",
        "outputpadding": "output_padding",
        "weightstandardization": "standardize",
        "connectiontable": "connections",
        "keepdim": "keep_axes",
        "keepdims": "keep_axes",
        "growthrate": "growth",
        "numlayers": "layers",
        "nlayers": "layers",
        "theta": "compression",
        "reduction": "ratio compression",
        "reductionratio": "ratio",
        "rdratio": "ratio gate",
        "seratio": "ratio gate",
        "squeezefactor": "ratio",
        "squeezechannels": "channels",
        "rdchannels": "channels",
        "bottleneckchannels": "channels",
        "gateactivation": "function",
        "se": "gate",
        "usese": "gate",
        "attn": "gate",
        "attnlayer": "gate",
        "expandratio": "expansion",
        "expansionratio": "expansion",
        "expansionfactor": "expansion",
        "expratio": "expansion",
        "t": "expansion",
        "expsize": "width",
        "expandedchannels": "width",
        "midchannels": "width",
        "basewidth": "width",
        "inputshape": "input",
        "inputsize": "input",
        "imagesize": "input",
        "inputdim": "input",
        "inputs": "from input",
        "input": "from",
        "source": "from",
        "bottom": "from",
        "parents": "from",
        "model": "layers",
        "network": "layers",
        "backbone": "layers",
        "architecture": "layers",
        "steps": "layers",
        "body": "layers",
        "variables": "vars",
        "let": "vars",
        "params": "vars args",
        "parameters": "vars args",
        "constants": "vars",
        "arguments": "args",
        "description": "about",
        "doc": "about",
        "keywords": "tags",
        "task": "tags",
        "tasks": "tags",
        "title": "name about",
        "id": "name",
        "label": "name",
        "times": "repeat",
        "n": "repeat",
        "count": "repeat",
        "number": "repeat",
        "repeats": "repeat",
        "if": "when",
        "condition": "when",
        "enabled": "when",
        "training": "train",
        "recipe": "train",
        "outputs": "heads",
        "macros": "blocks",
        "definitions": "blocks",
        "modules": "blocks",
        "batchsize": "batch",
        "weight": "loss_weight",
        "lossweights": "loss_weight",
        "bs": "batch",
        "epoch": "epochs",
        "numepochs": "epochs",
        "nepochs": "epochs",
        "maxepochs": "epochs",
        "lr": "learning_rate",
        "optim": "optimizer",
        "criterion": "loss",
        "lossfn": "loss",
        "scheduler": "schedule",
        "lrscheduler": "schedule",
        "lrschedule": "schedule",
        "dataset": "data source",
        "augmentations": "augment",
        "augmentation": "augment",
        "transforms": "augment",
        "dtype": "precision",
        "amp": "precision",
        "mixedprecision": "precision",
        "randomstate": "seed",
        "randomseed": "seed",
        "numdevices": "devices",
        "gpus": "devices",
        "valsplit": "validation",
        "validationsplit": "validation",
        "validationfraction": "validation",
        "testsplit": "test",
        "testfraction": "test",
    }.items()
}
"""Folded keys of other tools, and the keys of ours that may be meant, likeliest first."""


def key_meant(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that other tools call `word`, or None."""
    names = set(candidates)
    return next((ours for ours in KEYS.get(folded(word), ()) if ours in names), None)


def key_hint(word: str, candidates: Iterable[str], *, what: str) -> str:
    """Return a help line for an unknown key: our word for it, the nearest one, or the list."""
    names = list(candidates)
    key, colon, value = word.partition(":")
    if colon and key in names:
        help_ = f"a space is missing: write `{key}: {value or '...'}`"
        return Mend(help_, f"{key}: {value}", word) if value else help_
    return suggestion(word, names, what=what, meant=key_meant(word, names))


def value_meant(word: str, candidates: Iterable[str]) -> str | None:
    """Return the word of `candidates` that other tools call `word`, or None."""
    names = set(candidates)
    return next((ours for ours in VALUES.get(folded(word), ()) if ours in names), None)


_QUOTES: Final = "\"'`\u201c\u201d\u2018\u2019\u201e\u00ab\u00bb"
"""Quotation marks, with the typographic ones that a word processor writes."""
_TRUTH: Final = {"yes": True, "on": True, "y": True, "no": False, "off": False, "n": False}
_NOTHING: Final = frozenset({"none", "nil", "null", "no", "off", "nan", "undefined", "~"})


def readings(value: object) -> Iterator[Any]:
    """Return what a value of the wrong type may mean, likeliest first.

    `"3x3"` may be [3, 3], `50%` 0.5, `yes` true, `None` null and `"8"` 8.
    """
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, list | tuple):
        if len(value) == 1:
            yield value[0]
        return
    if not isinstance(value, str) or len(value) > _LONGEST:
        return
    text = value.strip().strip(_QUOTES).strip()
    if (number := _number(text)) is not None:
        yield number
    share = _number(text.removesuffix("%").rstrip()) if text.endswith("%") else None
    if share is not None and 0 <= share < 100:
        yield round(share / 100, 12)
    parts = [_number(part) for part in re.split(r"[x\u00d7*,;\s]+", text.strip("()[]{} "))]
    if len(parts) > 1 and None not in parts:
        yield parts
    word = text.lower()
    if word in _TRUTH:
        yield _TRUTH[word]
    if word in ("true", "false"):
        yield word == "true"
    if word in _NOTHING:
        yield None
    if text != value:
        yield text


_LONGEST: Final = 80
"""Length of a text up to which it is examined: no number is longer."""


def _number(text: str) -> float | None:
    if re.fullmatch(r"\d{1,3}(?:[_,]\d{3}){1,4}", text):  # 1_000, 1,000
        return int(re.sub("[_,]", "", text))
    if not re.fullmatch(r"[-+]?\d{1,15}(\.\d{0,15})?", text):
        return None
    return float(text) if "." in text else int(text)
