"""The messages of an ONNX file, as far as they are read: a table of field numbers.

Numbers and names are those of the format's definition, onnx.proto. Doc strings are left
out; of torch's metadata, which hold a stack trace for each node, names of modules are kept.
"""

from __future__ import annotations

from typing import Final

from archspec.imports.protobuf import Schemas

SCHEMAS: Final[Schemas] = {
    "Model": {
        1: ("ir_version", "int"),
        2: ("producer_name", "text"),
        3: ("producer_version", "text"),
        7: ("graph", "Graph"),
        8: ("opset_import", "Opset*"),
        25: ("functions", "Function*"),
    },
    "Opset": {1: ("domain", "text"), 2: ("version", "int")},
    "Graph": {
        1: ("node", "Node*"),
        2: ("name", "text"),
        5: ("initializer", "Tensor*"),
        11: ("input", "ValueInfo*"),
        12: ("output", "ValueInfo*"),
        13: ("value_info", "ValueInfo*"),
        15: ("sparse_initializer", "SparseTensor*"),
    },
    "Node": {
        1: ("input", "text*"),
        2: ("output", "text*"),
        3: ("name", "text"),
        4: ("op_type", "text"),
        5: ("attribute", "Attribute*"),
        7: ("domain", "text"),
        9: ("metadata_props", "Entry*"),
    },
    "Attribute": {
        1: ("name", "text"),
        2: ("f", "float"),
        3: ("i", "int"),
        4: ("s", "bytes"),
        5: ("t", "Tensor"),
        6: ("g", "Graph"),
        7: ("floats", "float*"),
        8: ("ints", "int*"),
        9: ("strings", "bytes*"),
        20: ("type", "int"),
        21: ("ref_attr_name", "text"),
        22: ("sparse_tensor", "SparseTensor"),
    },
    "Tensor": {
        1: ("dims", "int*"),
        2: ("data_type", "int"),
        4: ("float_data", "spans"),
        5: ("int32_data", "spans"),
        7: ("int64_data", "spans"),
        8: ("name", "text"),
        9: ("raw_data", "spans"),
        10: ("double_data", "spans"),
        11: ("uint64_data", "spans"),
        13: ("external_data", "Entry*"),
        14: ("data_location", "int"),
    },
    "SparseTensor": {1: ("values", "Tensor"), 2: ("indices", "Tensor"), 3: ("dims", "int*")},
    "Entry": {1: ("key", "text"), 2: ("value", "text")},
    "ValueInfo": {1: ("name", "text"), 2: ("type", "Type")},
    "Type": {1: ("tensor_type", "TensorType")},
    "TensorType": {1: ("elem_type", "int"), 2: ("shape", "TensorShape")},
    "TensorShape": {1: ("dim", "Dimension*")},
    "Dimension": {1: ("dim_value", "int"), 2: ("dim_param", "text")},
    "Function": {
        1: ("name", "text"),
        4: ("input", "text*"),
        5: ("output", "text*"),
        6: ("attribute", "text*"),
        7: ("node", "Node*"),
        10: ("domain", "text"),
        11: ("attribute_proto", "Attribute*"),
    },
}
"""Every message that is read."""

FLOATS: Final = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
"""Types of an array's elements that stand for numbers of a network, by the format's numbers."""

INTS: Final = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
               12: "uint32", 13: "uint64"}  # fmt: skip
"""Types of whole numbers."""
