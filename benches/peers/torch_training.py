"""PyTorch's training of the default network on MNIST, as ours on a GPU. For torch_cuda.py."""

import math
import time
from functools import partial

import numpy as np
import torch

import idx
from torch_lab import Lab, Work
from torch_mnist import MEAN, STD, build

WIDTHS = [784, 512, 256, 10]
WARM_UP_EPOCHS = 2


class Training:
    """The three-layer network, its optimizer, and the training images as bytes on the device.

    A step gathers and normalises its batch there. The objective is summed up there, too.
    """

    def __init__(self, lab: Lab, compiled: bool, batch: int, autocast: bool) -> None:
        torch.manual_seed(0)
        images, labels = idx.load(idx.MNIST, "train")
        count = lab.extent(len(images), 20)
        self.lab, self.device, self.autocast = lab, lab.device, autocast
        self.images = torch.from_numpy(images[:count].copy()).to(self.device)
        self.labels = torch.from_numpy(labels[:count].astype(np.int64)).to(self.device)
        self.network = build(WIDTHS if lab.is_card else [WIDTHS[0], 16, 10]).to(self.device)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=1e-3, fused=True, capturable=lab.is_card
        )
        self.loss = torch.compile(self.loss_of, dynamic=False) if compiled else self.loss_of
        self.total = torch.zeros((), device=self.device)
        # An epoch's images in their order; where in it the next recorded step begins.
        self.order = torch.randperm(count, device=self.device)
        self.position = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.batch = lab.extent(batch, 8)
        self.offsets = torch.arange(self.batch, device=self.device)
        self.recorded: dict[int, Work] = {}

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        return (images.float() / 255 - MEAN) / STD

    def loss_of(self, batch: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the images of these numbers."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.autocast):
            logits = self.network(self.normalised(self.images[batch]))
        return torch.nn.functional.cross_entropy(logits.float(), self.labels[batch])

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

    def steps(self, graph: bool, whole: bool) -> list[Work]:
        """One for each full batch of an epoch; of a whole one, the smaller batch last."""
        full, rest = divmod(len(self.images), self.batch)
        rows = [self.batch] * full + [rest] * (whole and rest > 0)
        if not graph:
            return [partial(self.step_from, i * self.batch, count) for i, count in enumerate(rows)]
        for count in set(rows) - set(self.recorded):
            self.position.zero_()
            self.recorded[count] = self.lab.recorded(partial(self.next_step, count))
        return [self.recorded[count] for count in rows]


class Epochs:
    """Training by the epoch, at a constant learning rate, images not shifted."""

    def __init__(self, lab: Lab, _: str, compiled: bool, graph: bool, whole: bool, batch: int, autocast: bool) -> None:
        key = (compiled, batch, autocast)
        # Steps and epochs, with a graph and without, share what takes so long to compile.
        if key not in lab.trainings:
            lab.trainings[key] = Training(lab, *key)
        self.training, self.whole = lab.trainings[key], whole
        self.steps = self.training.steps(graph, whole)
        for _ in range(WARM_UP_EPOCHS):
            self.sample()

    def sample(self) -> float:
        """Seconds of an epoch, or of a step of a full batch, by the clock: with all that the host does for it."""
        training = self.training
        start = time.perf_counter()
        if self.whole:
            training.order.copy_(torch.randperm(len(training.order), device=training.device))
        training.position.zero_()
        training.total.zero_()
        for step in self.steps:
            step()
        if not math.isfinite(training.total.item()):  # which waits for the device
            raise ArithmeticError("the loss is not finite")
        seconds = time.perf_counter() - start
        return seconds if self.whole else seconds / len(self.steps)
