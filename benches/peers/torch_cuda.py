"""PyTorch on a GPU, at the work that `cargo bench --bench cuda` does.

    COTANGENT_BENCH_PEER="python benches/peers/torch_cuda.py" cargo bench --bench cuda     # in turns with ours
    python torch_cuda.py [FILTER...]                   # its own figures alone: a JSON object a line
    python torch_cuda.py --device cpu [FILTER...]      # rehearsal: the same code at tiny sizes; figures mean nothing

With --serve it answers a JSON request a line on standard input with a JSON line on standard output, and ends when
its input does. What fails is answered with `{"problem": "..."}`; the process ends if the device cannot be used after it.

    {"peers": NAME}                                     {"peers": [PEER, ...]}: none for a case that it does not know
    {"prepare": NAME, "peer": PEER, "cache": "cold"}    {"ready": true}; or "warm"
    {"sample": true}                                    {"seconds": x} of one call
    {"release": true}                                   {"released": true}

Written to be fast, for a slow peer flatters. Calls are recorded in a CUDA graph and replayed, so that no time of
Python or of launching is in them; training is measured without and with. float32 is float32: TF32 is off. Operands
are normally distributed. Warm and cold are as in benches/cuda/rota.rs: one set of operands that the L2 cache holds, or
sets in rotation that touch more than twice that cache before one comes again.
"""

import argparse
import itertools
import json
import math
import os
import re
import sys
import traceback
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from torch_lab import Calls, Lab, Work
from torch_training import WIDTHS, Epochs

SAMPLES = 9  # of which the median is a figure, when nobody asks for single ones


def copy(lab: Lab, cache: str) -> Calls:
    """1 GiB of memory traffic, half of it read."""
    n = lab.extent(2**27, 2**10)
    return Calls(lab, cache, 8 * n, lambda: partial(torch.empty(n, device=lab.device).copy_, lab.normal(n)))


def product(lab: Lab, cache: str, dtype: torch.dtype, out: torch.dtype, kind: str, size: str) -> Calls:
    """A layer's product for a batch of 128, or a square one, into memory that is there already."""
    inputs, outputs = map(lab.extent, map(int, size.split("-") if "-" in size else (size, size)))
    batch = lab.extent(128)
    shapes = {  # of A and B, as they lie in memory
        "forward": ((batch, inputs), (outputs, inputs)),
        "weight_gradient": ((batch, outputs), (batch, inputs)),
        "input_gradient": ((batch, outputs), (outputs, inputs)),
        "square": ((inputs, inputs), (inputs, inputs)),
    }[kind]

    def make() -> Work:
        a, b = (lab.normal(*shape, dtype=dtype) for shape in shapes)
        a, b = (a.T if kind == "weight_gradient" else a), (b.T if kind == "forward" else b)
        c = torch.empty(a.shape[0], b.shape[1], dtype=out, device=lab.device)
        if out == dtype:
            return partial(torch.mm, a, b, out=c)
        if not lab.is_card:  # no other device has it
            return lambda: c.copy_(torch.mm(a, b))
        return partial(torch.mm, a, b, out, out=c)

    m = {"forward": batch, "weight_gradient": outputs, "input_gradient": batch, "square": inputs}[kind]
    n = outputs if kind == "forward" else inputs
    set_bytes = sum(dtype.itemsize * math.prod(shape) for shape in shapes) + out.itemsize * m * n
    return Calls(lab, cache, set_bytes, make)


def adam(lab: Lab, cache: str, n: str) -> Calls:
    """One update of n parameters by the fused Adam."""
    count = lab.extent(int(n), 1000)

    def make() -> Work:
        parameters = torch.nn.Parameter(lab.normal(count))
        parameters.grad = lab.normal(count)
        return torch.optim.Adam([parameters], lr=1e-3, fused=True, capturable=lab.is_card).step

    return Calls(lab, cache, 16 * count, make)


def softmax_cross_entropy(lab: Lab, cache: str, rows: str, classes: str) -> Calls:
    """The loss of each row of float32 logits, and the gradient of their mean: ours does not add them up either."""
    r, c = lab.extent(int(rows)), lab.extent(int(classes))

    def make() -> Work:
        labels = torch.randint(c, (r,), device=lab.device)
        logits = lab.normal(r, c).requires_grad_()
        of_mean = torch.full((r,), 1 / r, device=lab.device)
        loss = partial(torch.nn.functional.cross_entropy, logits, labels, reduction="none")
        return lambda: torch.autograd.grad(loss(), logits, of_mean)

    return Calls(lab, cache, 8 * r * c, make)


def softmax(lab: Lab, cache: str, rows: str, classes: str) -> Calls:
    r, c = lab.extent(int(rows)), lab.extent(int(classes))
    return Calls(lab, cache, 8 * r * c, lambda: partial(torch.softmax, lab.normal(r, c), 1))


def sums(lab: Lab, cache: str, kind: str, size: str) -> Calls:
    shape = [lab.extent(int(extent)) for extent in size.split("x")]
    dims = {"columns": (0,), "rows": (1,), "all": (0,)}[kind]
    return Calls(lab, cache, 4 * math.prod(shape), lambda: partial(torch.sum, lab.normal(*shape), dims))


def trainings(span: str, bf16: str | None, batch: str | None) -> dict[str, Callable]:
    """What takes longest, compiling, comes last. Of the less usual settings only the faster ways."""
    ways = {"PyTorch CUDA graph": (False, True), "PyTorch compiled, CUDA graph": (True, True)}
    if not (bf16 or batch):
        ways = {"PyTorch eager": (False, False), "PyTorch compiled": (True, False)} | ways
    rest = {"whole": span == "mnist_epoch", "batch": int(batch or 128), "autocast": bf16 is not None}
    suffix = ", autocast" if bf16 else ""
    return {
        f"{peer}{suffix}": partial(Epochs, compiled=compiled, graph=graph, **rest)
        for peer, (compiled, graph) in sorted(ways.items(), key=lambda way: way[1])
    }


def products(precision: str, kind: str, size: str) -> dict[str, Callable]:
    """Of bfloat16 matrices ours are float32, as the first peer's are. What PyTorch gives unasked is the second."""
    if precision == "f32":
        return {"cuBLAS": partial(product, dtype=torch.float32, out=torch.float32, kind=kind, size=size)}
    outs = {"cuBLAS, float32 out": torch.float32, "cuBLAS, bfloat16 out": torch.bfloat16}
    return {
        peer: partial(product, dtype=torch.bfloat16, out=out, kind=kind, size=size) for peer, out in outs.items()
    }


# Names, as in our benches, and what can do them: each peer a function of the lab and the state of the cache.
CASES: list[tuple[str, Callable[..., dict[str, Callable]]]] = [
    (r"ceiling/copy", lambda: {"PyTorch": copy}),
    (r"(mnist_epoch|training_step)/adam(_bf16)?(?:/batch(\d+))?", trainings),
    (r"gemm_(f32|bf16)/(forward|weight_gradient|input_gradient)/(\d+-\d+)", products),
    (r"gemm_(f32|bf16)/(square)/(\d+)", products),
    (r"adam/(\d+)", lambda n: {"PyTorch fused Adam": partial(adam, n=n)}),
    (
        r"softmax_cross_entropy/(\d+)x(\d+)",
        lambda r, c: {"PyTorch eager": partial(softmax_cross_entropy, rows=r, classes=c)},
    ),
    (r"softmax/(\d+)x(\d+)", lambda r, c: {"PyTorch": partial(softmax, rows=r, classes=c)}),
    (r"sum/(columns|rows)/(\d+x\d+)", lambda kind, size: {"PyTorch": partial(sums, kind=kind, size=size)}),
    (r"sum/(all)/(\d+)", lambda kind, size: {"PyTorch": partial(sums, kind=kind, size=size)}),
]


def peers(name: str) -> dict[str, Callable]:
    """Who can do a case."""
    for pattern, found in CASES:
        if match := re.fullmatch(pattern, name):
            return found(*match.groups())
    return {}


def answer(lab: Lab, held: dict, request: dict) -> dict:
    """`held` has what is prepared."""
    match request:
        case {"peers": str(name)}:
            return {"peers": list(peers(name))}
        case {"prepare": str(name), "peer": str(peer), "cache": "cold" | "warm" as cache}:
            held.clear()
            lab.empty()
            known = peers(name)
            if peer not in known:
                return {"problem": f"{peer!r} cannot do {name!r}; {', '.join(known) or 'nobody'} can"}
            held["subject"] = known[peer](lab, cache)
            return {"ready": True}
        case {"sample": True}:
            return {"seconds": held["subject"].sample()} if held else {"problem": "nothing is prepared"}
        case {"release": True}:
            held.clear()
            lab.empty()
            return {"released": True}
    return {"problem": f"no such request: {json.dumps(request)}"}


def serve(lab: Lab) -> None:
    # What libraries print must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    held: dict = {}
    for line in sys.stdin:
        broken = False
        try:
            said = answer(lab, held, json.loads(line))
        except (Exception, SystemExit) as error:  # the latter of data that is not there
            traceback.print_exc()
            said = {"problem": f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"}
            held.clear()
            lab.trainings.clear()
            broken = lab.is_card and not works()
        print(json.dumps(said), file=answers, flush=True)
        if broken:
            sys.exit(1)


def works() -> bool:
    """Whether the device still does what it is told: some errors stay."""
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def names() -> list[str]:
    """Those of its own figures."""
    layers = [f"{i}-{o}" for i, o in itertools.pairwise(WIDTHS)]
    kinds = ("forward", "weight_gradient", "input_gradient")
    networks = [f"{kind}/{layer}" for layer in layers for kind in kinds]
    squares = [f"square/{n}" for n in (1024, 2048, 4096, 8192)]
    products = [f"gemm_{dtype}/{name}" for dtype in ("f32", "bf16") for name in networks + squares]
    logits = [f"softmax_cross_entropy/{size}" for size in ("8192x1024", "8192x32000")]
    return ["ceiling/copy", *products, "adam/100000000", *logits, "training_step/adam", "mnist_epoch/adam"]


def print_figures(lab: Lab, filters: list[str]) -> bool:
    """Whether all could be measured."""
    good = True
    for name in names():
        if filters and not any(part in name for part in filters):
            continue
        for (peer, make), cache in itertools.product(peers(name).items(), ("cold", "warm")):
            if (cache == "cold") == name.startswith(("training_step/", "mnist_epoch/")):
                continue  # a step is warm, and all else is larger than a cache or is measured in turns with ours
            try:
                subject = make(lab, cache)
                seconds = median(subject.sample() for _ in range(SAMPLES if lab.is_card else 1))
                print(json.dumps({"name": name, "cache": cache, "seconds": seconds, "peer": peer}), flush=True)
            except (Exception, SystemExit):
                traceback.print_exc()
                good = False
            subject = None
            lab.empty()
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--serve", action="store_true", help="answer requests")
    parser.add_argument("filters", nargs="*", metavar="FILTER", help="parts of names")
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        print("rehearsal on the CPU at tiny sizes: these figures mean nothing", file=sys.stderr)
    torch.set_float32_matmul_precision("highest")  # no TF32
    lab = Lab(arguments.device)
    if arguments.serve:
        serve(lab)
    elif not print_figures(lab, arguments.filters):
        sys.exit(1)


if __name__ == "__main__":
    main()
