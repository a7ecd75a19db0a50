"""Operators that never multiply and add, as a convolution does, whatever else they do.

An unknown layer's MACs are unknown, unless its type is one of these: they are then none, so that a
network which ends with the choice of a class (ArgMax) keeps exact MACs.
"""

from __future__ import annotations

from typing import Final

_NEVER: Final = frozenset(
    """
    abs acos acosh adaptiveaveragepooling1d adaptiveaveragepooling2d adaptiveaveragepooling3d
    adaptiveavgpool1d adaptiveavgpool2d adaptiveavgpool3d adaptivemaxpool1d adaptivemaxpool2d
    adaptivemaxpool3d adaptivemaxpooling1d adaptivemaxpooling2d adaptivemaxpooling3d add addn
    all amax amin and any argmax argmin argsort asin asinh atan
    atan2 atanh averagepool averagepool2d avgpool avgpool2d batchnorm batchnormalization
    batchreindex batchtospacend bincount bitwiseand bitwiseor bitwisexor broadcastto cast cat ceil
    celu chunk clamp clampmax clampmin clip combinednonmaxsuppression complexabs compress concat
    concatenate cos cosh count countnonzero crop cropandresize cummax cumprod cumsum depthtospace
    dequantizelinear div divide dropout dynamicpartition dynamicstitch elu equal erf exp expand
    expanddims expm1 exponential extractimagepatches extractpatches eyelike fill flatten flip
    floor floordiv floordivide floormod fusedbatchnorm gather gatherelements gathernd gelu
    globalaveragepool globallppool globalmaxpool greater greaterequal gridsample gridsampler
    groupnorm groupnormalization hardmax hardsigmoid hardswish hardtanh identity im2col imag
    imresize index indexput indexselect instancenormalization isfinite isinf isnan l2normalization
    l2pool2d layernorm layernormalization leakyrelu less lessequal log log10 log1p log2
    logcumsumexp logical logicaland logicalnot logicalor logicalxor logistic logsigmoid logsoftmax
    logsumexp lpnormalization lppool lrn maskedfill maskedselect max maximum maxpool maxpool2d
    maxroipool maxunpool mean meanvariancenormalization median meshgrid min minimum mirrorpad mish
    mod mode mul multiply mvn nantonum nativelayernorm neg negative nms nonmaxsuppression nonzero
    norm normalize not notequal onehot or pack pad permute pixelshuffle pooling pow power prelu
    prod psroipooling quantile quantizelinear range real realdiv reciprocal reduceall reduceany
    reducel1 reducel2 reducelogsum reducelogsumexp reducemax reducemean reducemin reduceprod
    reducesum reducesumsquare reduction relu relu6 remainder reorg repeat reshape resize
    resizearea resizebicubic resizebilinear resizenearestneighbor reverse reversesequence roialign
    roipool roipooling roll rot90 round rsqrt rsub scatter scatterelements scatternd searchsorted
    select selu shape shortcut sigmoid sign silu sin sinh size slice softmax softplus softsign
    sort spacetobatchnd spacetodepth split splitv sqrt square squareddifference squeeze stack std
    stdmean stridedslice sub subtract sum swapaxes swish take takealongaxis tan tanh
    tensorscatterupdate tflitedetectionpostprocess threshold tile topk transpose tril trilu triu
    truediv trunc unfold unique unpack unsqueeze unstack upsample var varmean view where xor
    """.split()  # noqa: SIM905  (a table of words)
)
"""Names in small letters, without marks between words and without a version at their end."""


def may_multiply(type_name: str) -> bool:
    """Return whether a layer of this type may have MACs, as far as its type tells.

    Args:
        type_name: The type as its framework calls it, `TopKV2` or `ARG_MAX`. That of another
            library has a dot or another mark in it (`my.ops.Add`), and may do anything.
    """
    name = type_name.lower().replace("_", "")
    for version in ("v2", "v3", "v4"):
        name = name.removesuffix(version)
    return name not in _NEVER
