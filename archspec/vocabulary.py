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
    """Return what each foreign word may mean, from the meanings, likeliest first, to the words."""
    return {word: tuple(ours.split()) for word, ours in _by_word(table).items()}


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
        "abs": "modulus rectify",
        "abs learned": "absolute",
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
        "learned": "learnable trained",
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

KEYS: Final = _meanings(
    {
        "kernel size": "kernelsize ksize kernelshape",
        "kernel growth size": "k",
        "size": "poolsize kernel",
        "size kernel window": "windowsize",
        "size kernel": "window",
        "heads": "numheads nhead nheads outputs",
        "head_size": "keydim headdim dimhead qkvsize",
        "mlp_ratio": "mlpdim dimfeedforward expansion",
        "attention_dropout dropout": "attndrop attndropout",
        "layer_scale": "layerscale layerscaleinit",
        "order": "normfirst",
        "causal": "iscausal usecausalmask",
        "shift": "shiftsize",
        "by shift": "shifts",
        "patch": "patchsize",
        "filters": "embeddim embeddingdim numfilters nfilters nof channels channelsout units",
        "words": "numembeddings vocabsize vocabularysize vocabulary",
        "output": "returnsequences",
        "units": "hiddensize hiddendim hidden filters neurons numunits hiddenunits",
        "transpose_b": "transposeb adjointb",
        "to": "perm order outputsize targetshape outputshape",
        "to by": "dims",
        "axis": "dim",
        "to axis": "axes",
        "factor": "upscalefactor downscalefactor blocksize scale",
        "kernel factor": "size",
        "stride": "strides s subsampling",
        "filters units to": "outchannels",
        "filters units": "numoutput features",
        "units filters": "outfeatures",
        "slope": "negativeslope",
        "max": "maxvalue",
        "value": "defaultvalue",
        "shared": "sharedaxes numparameters",
        "bias": "usebias hasbias",
        "activation function": "act activationfn nonlinearity",
        "function": "activation gateactivation",
        "norm": "normalization normalisation bn batchnorm usebn usebatchnorm normalize",
        "dilation": "dilationrate",
        "groups": "numgroups ngroups group cardinality",
        "padding amount": "pad pads",
        "amount": "padding cropping",
        "mode": "paddingmode",
        "rate dropout": "p prob probability droprate dropoutrate",
        "rate drop_path": "droppathrate",
        "epsilon": "eps",
        "scale": "gamma affine",
        "ceil": "ceilmode",
        "count_padding": "countincludepad",
        "initial": "kernelinitializer depthwiseinitializer initializer init bank",
        "initial kernel": "kernels",
        "trainable": "requiresgrad train trained learnable learned",
        "factor scale": "scalefactor",
        "method": "interpolation mode",
        "to input": "shape",
        "multiplier": "depthmultiplier",
        "output_padding": "outputpadding",
        "standardize": "weightstandardization",
        "connections": "connectiontable",
        "keep_axes": "keepdim keepdims",
        "growth": "growthrate",
        "layers": "numlayers nlayers model network backbone architecture steps body",
        "compression": "theta",
        "ratio compression": "reduction",
        "ratio": "reductionratio squeezefactor",
        "ratio gate": "rdratio seratio",
        "channels": "squeezechannels rdchannels bottleneckchannels",
        "gate": "se usese attn attnlayer",
        "expansion": "expandratio expansionratio expansionfactor expratio t",
        "width": "expsize expandedchannels midchannels basewidth",
        "input": "inputshape inputsize imagesize inputdim",
        "from input": "inputs",
        "from": "input source bottom parents",
        "vars": "variables let constants",
        "vars args": "params parameters",
        "args": "arguments",
        "about": "description doc",
        "tags": "keywords task tasks",
        "name about": "title",
        "name": "id label",
        "repeat": "times n count number repeats",
        "when": "if condition enabled",
        "train": "training recipe",
        "blocks": "macros definitions modules",
        "batch": "batchsize bs",
        "loss_weight": "weight lossweights",
        "epochs": "epoch numepochs nepochs maxepochs",
        "learning_rate": "lr",
        "optimizer": "optim",
        "loss": "criterion lossfn",
        "schedule": "scheduler lrscheduler lrschedule",
        "data source": "dataset",
        "augment": "augmentations augmentation transforms",
        "precision": "dtype amp mixedprecision",
        "seed": "randomstate randomseed",
        "devices": "numdevices gpus",
        "validation": "valsplit validationsplit validationfraction",
        "test": "testsplit testfraction",
    }
)
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
