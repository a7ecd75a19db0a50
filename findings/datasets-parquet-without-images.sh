#!/usr/bin/env bash
# Hugging Face datasets 4.4.1: Dataset.to_parquet of a folder of images writes a file without images.
#
# Expected: the Parquet file holds the images, as it does after push_to_hub, so that it can be moved.
# Real:     `bytes` is NULL in every row, and `path` is the absolute path on the machine that wrote it;
#           nothing warns. Read elsewhere, every row is an image that is not there.
# Way out:  map datasets.table.embed_table_storage over the set in Arrow's format before it is written.
#
# Output seen:
#   datasets 4.4.1, pyarrow 26.0.1
#   to_parquet:             bytes NULL in 4 of 4 rows, absolute paths in 4 of 4
#   embed_table_storage:    bytes NULL in 0 of 4 rows, absolute paths in 0 of 4
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet datasets==4.4.1 pyarrow==26.0.1 pillow==13.0.0 2>/dev/null
cd "$work"
export HF_HUB_OFFLINE=1 HF_HOME="$work/home" HF_DATASETS_DISABLE_PROGRESS_BARS=1
"$work/venv/bin/python" - <<'PYTHON'
import sys
from pathlib import Path

import datasets
import pyarrow
from datasets import load_dataset
from datasets.table import embed_table_storage
from PIL import Image
from pyarrow import parquet

for number in range(4):
    file = Path("images", "ab"[number % 2], f"{number}.png")
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), number).save(file)


def rows(name):
    """How many rows have no bytes, and how many an absolute path."""
    images = parquet.read_table(name).column("image").to_pylist()
    empty = sum(image["bytes"] is None for image in images)
    absolute = sum(Path(image["path"]).is_absolute() for image in images)
    return f"bytes NULL in {empty} of 4 rows, absolute paths in {absolute} of 4"


print(f"datasets {datasets.__version__}, pyarrow {pyarrow.__version__}")
pictures = load_dataset("imagefolder", data_dir="images", split="train")
pictures.to_parquet("plain.parquet")
plain = rows("plain.parquet")
print(f"to_parquet:             {plain}")
arrow = pictures.with_format("arrow").map(embed_table_storage, batched=True)
arrow.with_format(None).to_parquet("embedded.parquet")
embedded = rows("embedded.parquet")
print(f"embed_table_storage:    {embedded}")
as_seen = (
    plain == "bytes NULL in 4 of 4 rows, absolute paths in 4 of 4"
    and embedded == "bytes NULL in 0 of 4 rows, absolute paths in 0 of 4"
)
sys.exit(0 if as_seen else 1)
PYTHON
