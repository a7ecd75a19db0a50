"""The network in a SavedModel that tf.keras wrote: its configuration stands beside the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from archspec.imports.keras.config import LayerConfig, layers_of
from archspec.imports.limits import MOST_JSON, parse_json, read_all
from archspec.imports.protobuf import Reader, Schemas

FILE: Final = "keras_metadata.pb"
"""Name of the file in the folder, of TensorFlow 2.5 to 2.15."""

_SCHEMAS: Final[Schemas] = {
    "SavedMetadata": {1: ("nodes", "SavedObject*")},
    "SavedObject": {3: ("node_path", "text"), 5: ("metadata", "text")},
}


def saved_config(folder: Path) -> LayerConfig | None:
    """Return the configuration of the network in a folder; None if there is none with layers.

    Raises:
        UsageError: The file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    reader = Reader(read_all(path, MOST_JSON, "Keras's metadata"), _SCHEMAS, path)
    nodes = reader.message("SavedMetadata").get("nodes", [])
    root = next((node for node in nodes if node.get("node_path") == "root"), None)
    if root is None:
        return None
    config: dict[str, Any] = parse_json(root.get("metadata", "").encode(), FILE, path)
    config = _with_lists(config)
    return config if layers_of(config) else None


def _with_lists(value: Any) -> Any:
    """Return a configuration with lists for what is written as an object of the class tuple."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__":
            return _with_lists(value.get("items", []))
        return {name: _with_lists(each) for name, each in value.items()}
    return [_with_lists(each) for each in value] if isinstance(value, list) else value
