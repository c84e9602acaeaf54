#!/usr/bin/env python3
"""Makes tests/golden/backprop-*.safetensors: matrices, and PyTorch's values and gradients for them, in float64.

usage: python3 tests/golden/backprop.py COTANGENT

COTANGENT is the program, which draws the matrices; src/backprop/check_torch.py runs PyTorch on them. Needs PyTorch.
"""

import importlib.util
import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parents[1] / "src/backprop/check_torch.py"

DRAWN = {
    "exercise": "--shape 5,4,3,2 --columns 50 --seed 0",
    "eight-layers": "--shape 6,5,5,4,4,3,3,3,2 --columns 20 --seed 1",
    "one-column": "--shape 5,4,3,2 --columns 1 --seed 2",
}


def with_torch(source, name):
    target = HERE / f"backprop-{name}.safetensors"
    subprocess.run([sys.executable, SCRIPT, source, target], check=True)


def of_zeros(path):
    """Entries of -1, 0 and 1, so that many pre-activations are exactly 0."""
    import torch

    spec = importlib.util.spec_from_file_location("check_torch", SCRIPT)
    check_torch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check_torch)
    draw = random.Random(0)
    shapes = {"X": (5, 12), "Y": (2, 12), "W1": (4, 5), "W2": (3, 4), "W3": (2, 3)}
    tensors = {}
    for name, (rows, columns) in shapes.items():
        entries = [draw.choice([-1.0, 0.0, 1.0]) for _ in range(rows * columns)]
        tensors[f"{name}.v"] = torch.tensor(entries, dtype=torch.float64).reshape(rows, columns)
    check_torch.write(path, tensors)


def main(cotangent):
    with tempfile.TemporaryDirectory() as folder:
        for name, options in DRAWN.items():
            command = [cotangent, "backprop", *options.split(), "--out", f"{folder}/{name}"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            with_torch(f"{folder}/{name}/values.safetensors", name)
        of_zeros(f"{folder}/zeros.safetensors")
        with_torch(f"{folder}/zeros.safetensors", "zeros")


main(sys.argv[1])
