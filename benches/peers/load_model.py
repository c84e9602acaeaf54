"""Does PyTorch read the model that `cotangent mnist` wrote, and find the same result with it?

    python load_model.py RUN_DIR [--data DIR] [--logits FILE]

Loads RUN_DIR/model.safetensors into torch.nn.Sequential(Linear, ReLU, Linear, ..., Linear), runs the test
set through it, and compares accuracy and mean cross-entropy with RUN_DIR/summary.json. Sizes are read from
the tensors, `mean`, `std` and (if there) `activation` from the metadata. Exit status 1 if the accuracy
differs by more than 1e-4 or the objective by more than 1e-5 of its value. With --logits (the output of the
example `predict`, a CSV row an image) the logits of those images are compared too, to 1e-5 of the largest.
"""

import argparse
import json
import sys
from pathlib import Path

try:
    import numpy as np
    import torch
    from safetensors import SafetensorError, safe_open

    import idx
except ModuleNotFoundError as error:
    sys.exit(f"{error}: install it with `{sys.executable} -m pip install torch numpy safetensors`")

ACCURACY_TOLERANCE = 1e-4  # absolute
OBJECTIVE_TOLERANCE = 1e-5  # relative
LOGIT_TOLERANCE = 1e-5  # of the largest logit: rounding of float32 sums over up to 784 products
ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}


def read_model(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors by name, and the metadata."""
    if not path.exists():
        sys.exit(f"no {path}: name the folder of a finished run of `cotangent mnist`")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except SafetensorError as error:
        sys.exit(f"{path} is no safetensors file: {error}")


def read_summary(path: Path) -> tuple[float, float]:
    """The run's own test accuracy and objective."""
    try:
        summary = json.loads(path.read_text())
        return float(summary["test_accuracy"]), float(summary["test_objective"])
    except FileNotFoundError:
        sys.exit(f"no {path}: name the folder of a finished run of `cotangent mnist`")
    except (KeyError, TypeError, ValueError) as error:
        sys.exit(f"{path} does not state test_accuracy and test_objective as numbers: {error!r}")


def build(tensors: dict[str, torch.Tensor], activation: str) -> torch.nn.Sequential:
    """The network with these tensors. Its layer 2i is linear; `load_state_dict` refuses any other naming."""
    if activation not in ACTIVATIONS:
        sys.exit(f"metadata `activation` is {activation!r}, known are {', '.join(ACTIVATIONS)}")
    weights = sorted((name for name in tensors if name.endswith(".weight")), key=lambda name: int(name.split(".")[0]))
    layers: list[torch.nn.Module] = []
    for name in weights:
        fan_out, fan_in = tensors[name].shape
        layers += [torch.nn.Linear(fan_in, fan_out), ACTIVATIONS[activation]()]
    net = torch.nn.Sequential(*layers[:-1])
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        sys.exit(f"PyTorch does not take these tensors: {error}")
    return net


def run(net: torch.nn.Sequential, folder: Path, mean: float, std: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (computed in float32) and labels of the test set."""
    images, labels = idx.load(folder, "t10k")
    x = (torch.from_numpy(images.copy()).float() / 255 - mean) / std
    with torch.no_grad():
        return net(x).double(), torch.from_numpy(labels.astype(np.int64))


def compare_logits(logits: torch.Tensor, path: Path) -> None:
    """Compares the first rows with those of a CSV file."""
    theirs = torch.from_numpy(np.loadtxt(path, delimiter=",", ndmin=2))
    ours = logits[: len(theirs)]
    if ours.shape != theirs.shape:
        sys.exit(f"{path} has rows of {theirs.shape[1]} logits, the network gives {ours.shape[1]}")
    difference = ((ours - theirs).abs().max() / ours.abs().max()).item()
    print(f"logits of {len(theirs)} images: largest difference {difference:.1e} of the largest logit")
    if not difference <= LOGIT_TOLERANCE:
        sys.exit("they differ: the model file is not the network that predicted")


def main() -> None:
    parser = argparse.ArgumentParser(description="Checks a run's model with PyTorch.")
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--data", type=Path, default=idx.MNIST, help="the folder of the IDX files")
    parser.add_argument("--logits", type=Path, help="output of the example predict")
    arguments = parser.parse_args()

    tensors, metadata = read_model(arguments.run / "model.safetensors")
    stated_accuracy, stated_objective = read_summary(arguments.run / "summary.json")
    try:
        mean, std = float(metadata["mean"]), float(metadata["std"])
    except KeyError as key:
        sys.exit(f"model.safetensors has no metadata {key}; it has {sorted(metadata)}")
    net = build(tensors, metadata.get("activation", "relu"))
    logits, labels = run(net, arguments.data, mean, std)
    accuracy = (logits.argmax(1) == labels).double().mean().item()
    objective = torch.nn.functional.cross_entropy(logits, labels).item()

    accuracy_difference = abs(accuracy - stated_accuracy)
    objective_difference = abs(objective - stated_objective) / abs(objective)
    print(net)
    print(f"test accuracy   PyTorch {accuracy:.4f}   cotangent {stated_accuracy:.4f}   "
          f"difference {accuracy_difference:.1e}")
    print(f"test objective  PyTorch {objective:.7f}   cotangent {stated_objective:.7f}   "
          f"relative difference {objective_difference:.1e}")
    # The slack of 1e-9 is for the decimals of the file: one image of 10 000 is a difference of 1e-4 exactly.
    if not (accuracy_difference <= ACCURACY_TOLERANCE + 1e-9 and objective_difference <= OBJECTIVE_TOLERANCE):
        sys.exit("they differ: the model file is not the network that was tested")
    if arguments.logits:
        compare_logits(logits, arguments.logits)
    print("the same")


if __name__ == "__main__":
    main()
