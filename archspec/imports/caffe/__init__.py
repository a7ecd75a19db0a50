"""Caffe's networks: `.prototxt` files, in all three generations of their syntax but the first.

`layers { type: CONVOLUTION }` (V1) and `layer { type: "Convolution" }` (V2) are read; a file for
deployment gives the shape of its input, one for training (`train_val`) where its data layer crops.
Layouts differ: Caffe's arrays are channels first, the graph's are channels last.
"""

from archspec.imports.caffe.reader import read as read
