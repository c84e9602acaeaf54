"""PyTorch on a GPU, at the work that `cargo bench --bench cuda` and `cotangent mnist --device cuda` do.

    python torch_cuda.py                 # a card's figures
    python torch_cuda.py --device cpu    # rehearsal: the same code at tiny sizes, whose figures mean nothing

Prints a JSON object a line, as soon as it is measured: `name`, as in our benches; `seconds`, of one call; `peer`,
what was measured; for MNIST also `test_accuracy` (0 to 1). What fails is told on standard error, the rest is
measured all the same, and the exit status is 1.

Written to be fast, for a slow peer flatters. Calls are recorded in a CUDA graph and replayed, so that no time of
Python or of launching is in them; training is measured without and with. Operands are random, and together larger
than any L2 cache, except those of the network's own products, which a training step meets in the cache too.
Times are medians between CUDA events. float32 is float32: TF32 is off.
"""

import argparse
import itertools
import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
import torch

import idx
from torch_mnist import MEAN, STD, build

WIDTHS = [784, 512, 256, 10]
BATCH = 128
DTYPES = {"gemm_f32": torch.float32, "gemm_bf16": torch.bfloat16}
EAGER_CALLS = 3  # before anything is recorded or timed: libraries choose their kernels, memory is taken
WARM_UP_EPOCHS = 2

Work = Callable[[], object]
Line = dict[str, str | float]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    squares: tuple[int, ...]  # rows and columns of square products
    parameters: int  # that Adam updates
    logits: tuple[tuple[int, int], ...]  # rows and classes of softmax cross-entropy
    copied: int  # bytes
    spread: int  # bytes that the operands of repeated calls take together, to be larger than a cache
    warm_calls: int  # of a product whose operands are in the cache, recorded together
    rounds: int  # of which the median is taken
    images: int  # of MNIST's for training; full batches and a smaller one
    epochs: int  # of which the median is taken


CARD = Sizes((1024, 2048, 4096, 8192), 10**8, ((8192, 1024), (8192, 32000)), 2**29, 2**28, 64, 20, 60000, 5)
REHEARSAL = Sizes((64,), 1000, ((32, 10),), 2**16, 2**16, 2, 3, 608, 1)


def mark(device: str) -> float | torch.cuda.Event:
    """A point in the device's work."""
    if device == "cpu":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def seconds_between(start: float | torch.cuda.Event, end: float | torch.cuda.Event) -> float:
    """Waits for the device to reach `end`."""
    if isinstance(start, float):
        return end - start
    end.synchronize()
    return start.elapsed_time(end) / 1000


def recorded(work: Work, device: str) -> Work:
    """The device's work in `work` as a CUDA graph, after some calls without one; on the CPU, `work` itself."""
    if device == "cpu":
        return work
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(EAGER_CALLS):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def seconds_a_call(calls: list[Work], device: str, sizes: Sizes) -> float:
    """The median over rounds of the mean over calls, which are replayed together."""

    def all_calls() -> None:
        for call in calls:
            call()

    replay = recorded(all_calls, device)
    replay()
    times = []
    for _ in range(sizes.rounds):
        start = mark(device)
        replay()
        times.append(seconds_between(start, mark(device)) / len(calls))
    return median(times)


def copies(bytes_each: int, sizes: Sizes) -> int:
    """How many sets of operands are larger than a cache together."""
    return math.ceil(sizes.spread / bytes_each)


def copy(device: str, sizes: Sizes) -> Iterator[Line]:
    """Memory to memory on the device; the bandwidth is twice the bytes over the time."""
    source = torch.randint(256, (sizes.copied,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = seconds_a_call([partial(target.copy_, source)], device, sizes)
    yield {"name": "ceiling/copy", "seconds": seconds, "peer": "PyTorch"}


def product(a: torch.Tensor, b: torch.Tensor) -> Work:
    """A B into memory that is there already."""
    return partial(torch.mm, a, b, out=torch.empty(a.shape[0], b.shape[1], dtype=a.dtype, device=a.device))


def network_products(name: str, device: str, sizes: Sizes) -> Iterator[Line]:
    """Each layer's product forwards, and its weight gradient and input gradient backwards."""
    random = partial(torch.randn, dtype=DTYPES[name], device=device)
    for inputs, outputs in itertools.pairwise(WIDTHS):
        x, w, g = random(BATCH, inputs), random(outputs, inputs), random(BATCH, outputs)
        products = {"forward": (x, w.T), "weight_gradient": (g.T, x), "input_gradient": (g, w)}
        for kind, (a, b) in products.items():
            seconds = seconds_a_call([product(a, b)] * sizes.warm_calls, device, sizes)
            yield {"name": f"{name}/{kind}/{inputs}-{outputs}", "seconds": seconds, "peer": "cuBLAS"}


def square_products(name: str, device: str, sizes: Sizes) -> Iterator[Line]:
    """Square matrices, none transposed."""
    random = partial(torch.randn, dtype=DTYPES[name], device=device)
    for n in sizes.squares:
        bytes_each = 3 * n * n * DTYPES[name].itemsize
        calls = [product(random(n, n), random(n, n)) for _ in range(copies(bytes_each, sizes))]
        yield {"name": f"{name}/square/{n}", "seconds": seconds_a_call(calls, device, sizes), "peer": "cuBLAS"}


def adam(device: str, sizes: Sizes) -> Iterator[Line]:
    """One update of all parameters by the fused Adam."""
    parameters = torch.nn.Parameter(torch.randn(sizes.parameters, device=device))
    parameters.grad = torch.randn_like(parameters)
    optimizer = torch.optim.Adam([parameters], lr=1e-3, fused=True, capturable=device != "cpu")
    seconds = seconds_a_call([optimizer.step], device, sizes)
    yield {"name": f"adam/{sizes.parameters}", "seconds": seconds, "peer": "PyTorch fused Adam"}


def loss_and_gradient(logits: torch.Tensor, labels: torch.Tensor) -> None:
    """Softmax cross-entropy, forwards and backwards."""
    torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), logits)


def softmax_cross_entropy(device: str, sizes: Sizes) -> Iterator[Line]:
    """Loss and gradient of float32 logits."""
    for rows, classes in sizes.logits:
        labels = torch.randint(classes, (rows,), device=device)
        count = copies(2 * 4 * rows * classes, sizes)  # logits and gradient
        sets = [torch.randn(rows, classes, device=device, requires_grad=True) for _ in range(count)]
        calls = [partial(loss_and_gradient, logits, labels) for logits in sets]
        seconds = seconds_a_call(calls, device, sizes)
        yield {"name": f"softmax_cross_entropy/{rows}x{classes}", "seconds": seconds, "peer": "PyTorch eager"}


class Training:
    """The three-layer network, its optimizer, and the training images as bytes on the device.

    A step gathers and normalises its batch there. The objective is summed up there, too.
    """

    def __init__(self, device: str, sizes: Sizes, compiled: bool) -> None:
        torch.manual_seed(0)
        images, labels = idx.load(idx.MNIST, "train")
        self.device = device
        self.images = torch.from_numpy(images[: sizes.images].copy()).to(device)
        self.labels = torch.from_numpy(labels[: sizes.images].astype(np.int64)).to(device)
        self.network = build(WIDTHS).to(device)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=1e-3, fused=True, capturable=device != "cpu"
        )
        self.loss = torch.compile(self.loss_of, dynamic=False) if compiled else self.loss_of
        self.total = torch.zeros((), device=device)
        # An epoch's images in their order; where in it the next recorded step begins.
        self.order = torch.randperm(len(self.images), device=device)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        self.offsets = torch.arange(BATCH, device=device)

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        return (images.float() / 255 - MEAN) / STD

    def loss_of(self, batch: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the images of these numbers."""
        logits = self.network(self.normalised(self.images[batch]))
        return torch.nn.functional.cross_entropy(logits, self.labels[batch])

    def step(self, batch: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(batch)
        loss.backward()
        self.optimizer.step()
        self.total += loss.detach() * len(batch)

    def step_from(self, first: int, rows: int) -> None:
        """A step whose place in the epoch the host says."""
        self.step(self.order[first : first + rows])

    def next_step(self, rows: int) -> None:
        """A step that finds its place in the epoch itself, the same work each time: it can be recorded."""
        self.step(self.order[self.position + self.offsets[:rows]])
        self.position += rows

    def steps(self, graph: bool) -> list[Work]:
        """One for each batch of an epoch, the smaller one last."""
        full, rest = divmod(len(self.images), BATCH)
        if graph:
            batch, last = (recorded(partial(self.next_step, rows), self.device) for rows in (BATCH, rest))
            return [batch] * full + [last]
        rows = [BATCH] * full + [rest]
        return [partial(self.step_from, i * BATCH, count) for i, count in enumerate(rows)]

    def epoch(self, steps: list[Work]) -> tuple[float, float]:
        """Trains an epoch: seconds of all of it, and of a step of a full batch."""
        start = mark(self.device)
        self.order.copy_(torch.randperm(len(self.images), device=self.device))
        self.position.zero_()
        self.total.zero_()
        shuffled = mark(self.device)
        for step in steps[:-1]:
            step()
        full = mark(self.device)
        steps[-1]()
        end = mark(self.device)
        return seconds_between(start, end), seconds_between(shuffled, full) / (len(steps) - 1)

    @torch.no_grad()
    def test_accuracy(self) -> float:
        images, labels = (torch.from_numpy(part.copy()).to(self.device) for part in idx.load(idx.MNIST, "t10k"))
        return (self.network(self.normalised(images)).argmax(1) == labels).float().mean().item()


def mnist(peer: str, compiled: bool, graph: bool, device: str, sizes: Sizes) -> Iterator[Line]:
    """Training at a constant learning rate, images not shifted: an epoch, and a step of a full batch."""
    training = Training(device, sizes, compiled)
    steps = training.steps(graph)
    times = [training.epoch(steps) for _ in range(WARM_UP_EPOCHS + sizes.epochs)][WARM_UP_EPOCHS:]
    epoch, step = (median(column) for column in zip(*times))
    accuracy = training.test_accuracy()
    yield {"name": "mnist_epoch/adam", "seconds": epoch, "peer": peer, "test_accuracy": accuracy}
    yield {"name": "training_step/adam", "seconds": step, "peer": peer}


def jobs(device: str, sizes: Sizes) -> list[Callable[[], Iterator[Line]]]:
    """What takes longest, compiling, comes last."""
    products = [partial(kind, name) for name in DTYPES for kind in (network_products, square_products)]
    trainings = [
        partial(mnist, "PyTorch eager", False, False),
        partial(mnist, "PyTorch CUDA graph", False, True),
        partial(mnist, "PyTorch compiled", True, False),
        partial(mnist, "PyTorch compiled, CUDA graph", True, True),
    ]
    all_jobs = [copy, *products, adam, softmax_cross_entropy, *trainings]
    return [partial(job, device=device, sizes=sizes) for job in all_jobs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    device = parser.parse_args().device
    if device == "cpu":
        print("rehearsal on the CPU at tiny sizes: these figures mean nothing", file=sys.stderr)
    torch.set_float32_matmul_precision("highest")  # no TF32
    failed = False
    for job in jobs(device, CARD if device == "cuda" else REHEARSAL):
        try:
            for line in job():
                print(json.dumps(line), flush=True)
        except Exception:
            traceback.print_exc()
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
