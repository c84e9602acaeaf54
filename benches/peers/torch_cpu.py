"""PyTorch's times of what `cargo bench --bench cpu` measures, asked for in pairs with ours.

    COTANGENT_BENCH_PEER="python3 benches/peers/torch_cpu.py" cargo bench --bench cpu

Serves: reads a JSON request a line, answers each with a line, ends with its input. `{"peers": NAME}` asks who can do
the case of that name, `{"prepare": NAME, "peer": PEER, "cache": "warm"}` makes its operands, each `{"sample": true}` then
gives the seconds of one call, `{"release": true}` lets go of them. What is wrong is `{"problem": "..."}`.

Written to be fast, for a slow peer flatters: results go into memory that is there, optimizers are the fused ones where
PyTorch has them for the CPU. Operands are standard normal; PyTorch multiplies zeros like any other numbers, so products
that leave them out are compared with the same dense ones.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

import idx
from torch_mnist import MEAN, STD, build

WIDTHS = [784, 512, 256, 10]
BATCH = 128
SAMPLE_SECONDS = 0.02  # at least, as ours
PAUSE_SECONDS = 0.01  # before a sample, as ours: the other's threads have stopped waiting for work by then

Work = Callable[[], object]


def product(a: torch.Tensor, b: torch.Tensor) -> Work:
    return partial(torch.mm, a, b, out=torch.empty(a.shape[0], b.shape[1]))


def of_layer(part: str, inputs: int, outputs: int) -> Work:
    """A layer's product, its weights (inputs, outputs) as in our training step."""
    x, w, g = torch.randn(BATCH, inputs), torch.randn(inputs, outputs), torch.randn(BATCH, outputs)
    return product(*{"forward": (x, w), "weight_gradient": (x.T, g), "input_gradient": (g, w.T)}[part])


def square(side: int) -> Work:
    return product(torch.randn(side, side), torch.randn(side, side))


def update(rule: str, count: int) -> Work:
    parameters = torch.nn.Parameter(torch.randn(count))
    parameters.grad = torch.randn(count)
    optimizers = {
        "sgd": partial(torch.optim.SGD, lr=1e-3, momentum=0.9, fused=True),
        "adagrad": partial(torch.optim.Adagrad, lr=1e-3, fused=True),
        "rmsprop": partial(torch.optim.RMSprop, lr=1e-3, foreach=True),  # it has no fused one
        "adam": partial(torch.optim.Adam, lr=1e-3, fused=True),
    }
    return optimizers[rule]([parameters]).step


def loss(rows: int, classes: int) -> Work:
    logits = torch.randn(rows, classes, requires_grad=True)
    labels = torch.arange(rows) * 7 % classes
    return lambda: torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), logits)


def training_step() -> Work:
    """Gathers and normalises a batch from bytes, forwards, backwards, fused Adam."""
    images, labels = idx.load(idx.MNIST, "train")
    images, labels = torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64))
    network = build(WIDTHS)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    batches = torch.arange(len(images) // BATCH * BATCH).split(BATCH)
    number = 0

    def step() -> None:
        nonlocal number
        batch = batches[number % len(batches)]
        number += 1
        x = images[batch].float().mul_(1 / (255 * STD)).sub_(MEAN / STD)
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(network(x), labels[batch]).backward()
        optimizer.step()

    return step


CASES: list[tuple[str, Callable[..., Work]]] = [
    (r"product/(forward|weight_gradient|input_gradient)/(\d+)-(\d+)/(?:dense|skipping)", of_layer),
    (r"product/square/(\d+)", square),
    (r"update/(sgd|adagrad|rmsprop|adam)/(\d+)", update),
    (r"softmax_cross_entropy/(\d+)x(\d+)", loss),
    (r"training_step/adam/784-512-256-10", training_step),
]


def found(name: str) -> tuple[Callable[[], Work], int] | None:
    """What makes the work of this name, and on how many threads it is done."""
    name, _, threads = name.partition("@")
    for pattern, make in CASES:
        if match := re.fullmatch(pattern, name):
            arguments = [int(text) if text.isdigit() else text for text in match.groups()]
            return partial(make, *arguments), int(threads or 1)
    return None


def seconds_a_call(work: Work, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


class Peer:
    """Answers requests, one case at a time."""

    def __init__(self) -> None:
        self.work: Work | None = None
        self.calls = 1

    def answer(self, request: dict) -> dict:
        if "peers" in request:
            return {"peers": ["PyTorch"] if found(request["peers"]) else []}
        if "prepare" in request:
            return self.prepare(request["prepare"])
        if "sample" in request:
            time.sleep(PAUSE_SECONDS)
            return {"seconds": seconds_a_call(self.work, self.calls)}
        if "release" in request:
            self.work = None
            return {"released": True}
        return {"problem": f"no such request: {request}"}

    def prepare(self, name: str) -> dict:
        self.work = None  # first: both need not fit memory
        case = found(name)
        if case is None:
            return {"problem": f"no such case: {name}"}
        make, threads = case
        torch.set_num_threads(threads)
        self.work, self.calls = make(), 1
        while (seconds := seconds_a_call(self.work, self.calls) * self.calls) < SAMPLE_SECONDS:
            self.calls = max(self.calls + 1, int(self.calls * min(8, 1.1 * SAMPLE_SECONDS / seconds)))
        return {"ready": True}


def serve() -> None:
    peer = Peer()
    for line in sys.stdin:
        try:
            answer = peer.answer(json.loads(line))
        except Exception as problem:  # whatever it is, the next case may work
            answer = {"problem": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", required=True, help="the only thing that it does")
    parser.parse_args()
    torch.set_float32_matmul_precision("highest")
    serve()


if __name__ == "__main__":
    main()
