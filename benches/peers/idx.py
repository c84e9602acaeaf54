"""MNIST's IDX files as NumPy arrays, for the scripts beside this one."""

import gzip
import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
MNIST = REPOSITORY / "data" / "mnist"
MAGIC = {1: 0x0801, 3: 0x0803}  # number of dimensions -> magic number of unsigned bytes in them


def read(folder: Path, name: str, dimensions: int) -> np.ndarray:
    """The bytes of one file, raw or with `.gz`, in the shape that its header states."""
    path = next((p for p in (folder / f"{name}.gz", folder / name) if p.exists()), None)
    if path is None:
        sys.exit(f"no {name} or {name}.gz in {folder}: name the folder of the four IDX files")
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    header = np.frombuffer(data[: 4 + 4 * dimensions], ">u4").tolist()
    if header[0] != MAGIC[dimensions]:
        sys.exit(f"{path}: magic {header[0]:#06x} where {MAGIC[dimensions]:#06x} is expected: not this kind of file")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(header[1:])


def load(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, pixels) and labels (n), both bytes; `part` is `train` or `t10k`."""
    images = read(folder, f"{part}-images-idx3-ubyte", 3)
    return images.reshape(len(images), -1), read(folder, f"{part}-labels-idx1-ubyte", 1)
