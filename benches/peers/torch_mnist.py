"""PyTorch on the same work as `cotangent mnist`: epoch time and test accuracy on the CPU or a GPU.

    python torch_mnist.py DIR [--opt adam] [--hidden 512,256] [--batch-size 128] [--epochs 3] [--threads 2]
                              [--activation relu] [--precision f32|bf16] [--device cpu] [--lr 1e-3]
                              [--schedule constant|one-cycle] [--compile] [--seed 0]

DIR holds the four IDX files of MNIST, raw or gzip. Prints one CSV row an epoch: epoch, objective (mean
training loss over the epoch), test accuracy (0..1), seconds (training only, evaluation apart).

Written to be fast: the images lie in memory as normalised float32 before the clock starts, no data loader
stands between, Adam is the fused one, and the loss is read once an epoch. In bf16 the products are autocast's; weights,
their gradients and the loss are float32.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import idx

ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
MEAN, STD = 0.1307, 0.3081  # of the training images' pixels, in 0..1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains the three-layer network on MNIST with PyTorch.")
    parser.add_argument("dir", type=Path, help="the folder of the four IDX files")
    parser.add_argument("--opt", choices=["adam", "rmsprop", "adagrad"], default="adam")
    parser.add_argument("--hidden", default="512,256", help="widths of the hidden layers")
    parser.add_argument("--activation", choices=list(ACTIVATIONS), default="relu")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate; the peak of a one-cycle")
    parser.add_argument("--schedule", choices=["constant", "one-cycle"], default="constant")
    parser.add_argument("--compile", action="store_true", help="train through torch.compile")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load(folder: Path, part: str, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised images (n, pixels) and labels (n), on the device."""
    images, labels = idx.load(folder, part)
    x = torch.from_numpy(images.copy()).float()
    y = torch.from_numpy(labels.astype(np.int64))
    return ((x / 255 - MEAN) / STD).to(device), y.to(device)


def build(widths: list[int], activation: str) -> torch.nn.Sequential:
    """Linear, ReLU or so, Linear, ..., Linear, with He's normal initial weights and no initial bias."""
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in zip(widths, widths[1:]):
        linear = torch.nn.Linear(fan_in, fan_out)
        torch.nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        torch.nn.init.zeros_(linear.bias)
        layers += [linear, ACTIVATIONS[activation]()]
    return torch.nn.Sequential(*layers[:-1])


def build_optimizer(name: str, net: torch.nn.Module, lr: float) -> torch.optim.Optimizer:
    match name:
        case "adam":
            return torch.optim.Adam(net.parameters(), lr=lr, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(net.parameters(), lr=lr, alpha=0.9)
        case "adagrad":
            return torch.optim.Adagrad(net.parameters(), lr=lr)
    raise ValueError(f"no such optimizer: {name}")


def learning_rate(schedule: str, peak: float, step: int, steps: int) -> float:
    """One cycle: a tenth of the peak, linearly up to it over the first fifth, linearly down to zero."""
    if schedule == "constant":
        return peak
    up = 0.2 * steps
    return peak * (0.1 + 0.9 * step / up if step < up else 1 - (step - up) / (steps - up))


def main() -> None:
    a = parse_arguments()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    x, y = load(a.dir, "train", a.device)
    x_test, y_test = load(a.dir, "t10k", a.device)
    net = build([x.shape[1], *map(int, a.hidden.split(",")), int(y.max()) + 1], a.activation).to(a.device)
    forward = torch.compile(net) if a.compile else net
    optimizer = build_optimizer(a.opt, net, a.lr)
    loss_function = torch.nn.CrossEntropyLoss()
    steps = a.epochs * -(-len(x) // a.batch_size)
    step = 0

    print("epoch,objective,test_accuracy,seconds")
    for epoch in range(1, a.epochs + 1):
        start, total = time.perf_counter(), torch.zeros((), device=a.device)
        order = torch.randperm(len(x), device=a.device)
        for first in range(0, len(x), a.batch_size):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(a.schedule, a.lr, step, steps)
            step += 1
            batch = order[first : first + a.batch_size]
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(a.device.split(":")[0], torch.bfloat16, enabled=a.precision == "bf16"):
                logits = forward(x[batch])
            loss = loss_function(logits.float(), y[batch])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        objective = total.item() / len(x)  # waits for the device
        seconds = time.perf_counter() - start
        with torch.no_grad():
            accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
        print(f"{epoch},{objective:.5f},{accuracy:.4f},{seconds:.3f}", flush=True)


if __name__ == "__main__":
    main()
