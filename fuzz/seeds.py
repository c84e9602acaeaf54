#!/usr/bin/env python3
"""Writes the seeds of the corpora: small inputs that are right, or wrong in one way, under names that say which.

    fuzz/seeds.py

What fuzzing found since and `cargo fuzz cmin` kept lies beside them, under names that are hashes.
"""
import gzip
import json
import struct
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
RUN = Path(__file__).parent / "src" / "run"
GOLDEN = Path(__file__).parent.parent / "tests" / "golden"


def write(target: str, seeds: dict[str, bytes]) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds.items():
        (folder / name).write_bytes(content)


def idx(kind: int, extents: list[int], elements: bytes) -> bytes:
    return bytes([0, 0, kind, len(extents)]) + b"".join(struct.pack(">I", extent) for extent in extents) + elements


def packed(header: bytes, body: bytes) -> bytes:
    """A file as the program embeds it: each part in runs of at most 31 zeros and 7 other bytes."""
    out = b"runs"
    for part in (header, body):
        length, runs = len(part), b""
        while part:
            zeros = len(part[:31]) - len(part[:31].lstrip(b"\0"))
            count = next((at for at, byte in enumerate(part[zeros:][:7]) if byte == 0), min(7, len(part) - zeros))
            runs += bytes([zeros << 3 | count]) + part[zeros:zeros + count]
            part = part[zeros + count:]
        out += struct.pack("<II", length, len(runs)) + runs
    return out


def data_sets() -> None:
    pixels = bytes(range(12))
    images = idx(8, [3, 2, 2], pixels)
    labels = idx(8, [3], bytes([0, 1, 1]))
    floats = struct.pack(">12f", *(i / 12 for i in range(12)))
    ints = b"".join(struct.pack(">8i", label, 1, 2, 3, 4, 5, 6, 7) for label in (0, 1, 1))
    zipped = gzip.compress(images, mtime=0)
    write("idx", {
        "images": b"\0" + images,
        "labels": b"\1" + labels,
        "test-images": b"\2" + idx(8, [2, 2, 2], pixels[:8]),
        "test-labels": b"\3" + idx(8, [2], bytes([1, 0])),
        "images-compressed-here": b"\4" + images,
        "labels-compressed-here": b"\5" + labels,
        "images-gzip": b"\0" + zipped,
        "images-two-streams": b"\0" + gzip.compress(images[:10], mtime=0) + gzip.compress(images[10:], mtime=0),
        "images-gzip-cut": b"\0" + zipped[:-9],
        "images-gzip-zeros-behind": b"\0" + zipped + bytes(20),
        "images-gzip-text-behind": b"\0" + zipped + b"text",
        "images-packed": b"\0" + packed(images[:16], images[16:]),
        "labels-packed": b"\1" + packed(labels[:8], labels[8:]),
        "images-short": b"\4" + idx(11, [3, 2, 2], struct.pack(">12h", *range(12))),
        "images-int": b"\4" + idx(12, [3, 2, 2], struct.pack(">12i", *range(12))),
        "images-float": b"\4" + idx(13, [3, 2, 2], floats),
        "images-double": b"\4" + idx(14, [3, 2, 2], struct.pack(">12d", *range(12))),
        "images-signed": b"\4" + idx(9, [3, 2, 2], pixels),
        "labels-qmnist": b"\5" + idx(12, [3, 8], ints),
        "labels-column": b"\5" + idx(8, [3, 1], bytes([0, 1, 1])),
        "images-claim-2-to-96": b"\4" + idx(8, [0xffffffff] * 3, pixels),
        "images-none": b"\4" + idx(8, [0, 2, 2], b""),
        "images-bytes-behind": b"\4" + images + b"more",
        "images-all-black": b"\4" + idx(13, [3, 2, 2], struct.pack(">12f", *[1e-9] * 12)),
        "labels-gap": b"\5" + idx(8, [3], bytes([0, 255, 1])),
        "swapped": b"\4" + labels,
    })


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]], metadata: dict[str, str], framed: bool) -> bytes:
    """A file, or, framed, the same without the length of its header, which ends with a line feed instead."""
    header: dict = {"__metadata__": metadata} if metadata else {}
    body = b""
    for name, (kind, shape, content) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b"\n" + body if framed else struct.pack("<Q", len(text)) + text + body


def f32(count: int) -> bytes:
    return struct.pack(f"<{count}f", *(i / 8 - 0.5 for i in range(count)))


def f64(count: int) -> bytes:
    return struct.pack(f"<{count}d", *(i / 8 - 0.5 for i in range(count)))


def networks() -> None:
    about = {"format": "pt", "mean": "0.13", "std": "0.28", "activation": "tanh"}
    layers = {
        "0.bias": ("F32", [3], f32(3)), "0.weight": ("F32", [3, 4], f32(12)),
        "2.bias": ("F32", [2], f32(2)), "2.weight": ("F32", [2, 3], f32(6)),
    }
    state = {"parameters": ("F32", [4], f32(4)), "state": ("F32", [6], f32(6))}
    unsealed = {"sha256": 64 * "0"}  # the target puts the digest that belongs to what it reads in this place
    data = {f"{part}-{what}": 64 * "a" for part in ("training", "test") for what in ("images", "labels")}
    counts = unsealed | {
        "epoch": "2", "step": "14", "steps": "3", "loss": "0.30000000000000004", "correct": "7", "count": "11", "seconds": "0.5",
        "options": json.dumps({"opt": "adam", "lr": 0.002, "seed": 0}), "data": json.dumps(data), "metrics": 64 * "b",
    }
    about = about | unsealed
    matrices = {"X": ("F64", [2, 2], f64(4)), "Y": ("F64", [1, 2], f64(2)), "W1": ("F64", [1, 2], f64(2))}
    deep = matrices | {"W1": ("F32", [2, 2], f32(4)), "W2": ("BF16", [1, 2], b"\x80\x3f\x00\xc0")}
    results = {f"{name}.v": matrix for name, matrix in matrices.items()}
    seeds = {}
    for framed, ending in ((False, ""), (True, "-framed")):
        mode = 4 if framed else 0
        for name, kind, tensors, metadata in (
            ("model", 0, layers, about),
            ("model-one-layer", 0, {name: layers[name] for name in ("0.bias", "0.weight")}, about),
            ("model-without-mean", 0, layers, {"format": "pt"}),
            ("checkpoint", 1, state, counts),
            ("checkpoint-without-step", 1, state, unsealed | {"epoch": "2"}),
            ("checkpoint-at-the-beginning", 1, state, counts | {"epoch": "0", "steps": "0", "step": "0"}),
            ("checkpoint-unsealed", 1, state, {"epoch": "2", "step": "14"}),
            ("matrices", 2, matrices, {}),
            ("matrices-deep", 2, deep, {}),
            ("matrices-results", 2, results, {}),
        ):
            seeds[name + ending] = bytes([mode + kind]) + safetensors(tensors, metadata, framed)
    seeds["matrices-golden"] = b"\2" + (GOLDEN / "backprop-one-column.safetensors").read_bytes()
    write("tensors", seeds)


def texts() -> None:
    config = (RUN / "config.toml").read_bytes()
    write("config", {
        "of-a-run": config,
        "by-hand": b'opt = "sgd"\nlr = 0.1\nmomentum = 0.9\nhidden = "none"\n',
        "each-optimizer-its-rate": b'lr = "adam=0.001,sgd=0.1"\nseed = 3\n',
        "widths": b'hidden = [64, 32]\nactivation = "tanh"\ndropout = 0.5\n',
        "schedule": b'schedule = "cosine"\nepochs = 20\nbatch-size = 64\nweight-decay = 0.01\n',
        "device": b'device = "cuda:1"\nplan = "launches"\nprecision = "bf16"\n',
        "kernels": b'device = "cpu"\nkernels = "dense"\nthreads = 4\naugment = "none"\n',
        "data": b'data = "folder"\nvalidation = 1000\n',
        "about": b'[about]\nnetwork = "64-8-10, relu"\nparameters = 610\nmean = 0.13\nstd = 0.28\n',
        "unknown-key": b'learning-rate = 2\n',
        "wrong-kind": b'epochs = "two"\n',
        "no-toml": b'lr = \n',
        "lion": b'opt = "lion"\nbeta1 = 0.9\nbeta2 = 0.99\n',
        "adadelta": b'opt = "adadelta"\nrho = 0.9\nepsilon = 1e-6\n',
    })
    formulas = {
        "textbook": "(x1*x2*sin(x3) + exp(x1*x2))/x3@x1=1,x2=1.5,x3=2",
        "pasted": "½·x² − √y × |z|^π ÷ e",
        "kink": "max(x, 0) + relu(y) + step(z)@x=0,y=0,z=0",
        "no-value": "ln(x) + sqrt(-y)@x=0;y=1",
        "direction": "x*y@x=1,y=2@x=1,y=0.5",
        "one-input": "sigmoid(x)*softplus(y)@x=0.5,y=-1@y=1",
        "large": "exp(exp(x))@x=6.5",
        "underflow": "exp(-x^2)@x=30",
        "powers": "2^x^2 + x**-1 + x⁻¹",
        "constants": "pi*e + 3",
        "nested": "-(-(-(x)))*(((x)))",
        "functions": "asin(x)+acos(x)+atan(y)+sinh(x)+cosh(x)+tanh(y)+cbrt(y)+erf(x)@x=0.3,y=2",
        "point-of-formulas": "x@x=2*pi/3, ",
        "unknown": "x@y=1",
        "no-function": "sen(x)",
        "no-operator": "2x",
        "names": "α+x₁*x1+ℝ",
        "pow": "pow(x, y) + atan2(y, x) + min(x, y)",
    }
    shown = "abcdefghi"
    asked = "@ABCPQRS"  # the lower bits: a matrix of second derivatives, along a direction
    write("formula", {
        name: f"{shown[place % 9]}{asked[place % 8]}{text}".encode()
        for place, (name, text) in enumerate(formulas.items())
    })
    metrics, summary, confusion = ((RUN / name).read_bytes() for name in ("metrics.csv", "summary.json", "confusion.csv"))
    diverged = b'{"step": 9, "place": "the loss", "learning_rate": 100.0}\n'
    rows = metrics.splitlines(keepends=True)
    held_out = rows[0].rstrip() + b",validation_objective,validation_accuracy\n" + rows[1].rstrip() + b",2.5,0.1\n"
    write("metrics", {
        "metrics": b"m" + metrics, "metrics-held-out": b"m" + held_out, "metrics-cut": b"m" + metrics[:-7],
        "metrics-no-row": b"m" + rows[0], "metrics-gap": b"m" + rows[0] + rows[2],
        "metrics-nan": b"m" + rows[0] + b"1,NaN,0.1,2,0.1,0.01,1,inf\n",
        "summary": b"s" + summary, "summary-learning": b"s" + summary.replace(b'"interrupted"', b'"learning": "diverged",\n  "interrupted"'),
        "confusion": b"f" + confusion, "confusion-small": b"f" + b"true\\predicted,0,1\n0,3,1\n1,0,4\n",
        "confusion-no-square": b"f" + b"true\\predicted,0,1\n0,3,1\n",
        "confusion-large": b"f" + b"true\\predicted,0\n0,18446744073709551615\n",
        "diverged": b"d" + diverged,
    })
    cut = b"".join(rows[:2])
    folders = {
        "good": b"",
        "config": b"\x1e0" + config,
        "metrics": b"\x1e1" + metrics,
        "summary": b"\x1e2" + summary,
        "confusion": b"\x1e3" + confusion,
        "diverged": b"\x1e4" + diverged,
        "diverged-early": b"\x1e4" + diverged + b"\x1e1" + cut,
        "no-config": b"\x1e0",
        "no-metrics": b"\x1e1",
        "no-summary": b"\x1e2",
        "no-confusion": b"\x1e3",
        "no-model": b"\x1e5",
        "interrupted": b"\x1e1" + cut + b"\x1e2" + summary.replace(b'"epochs": 3', b'"epochs": 1').replace(b"false", b"true"),
        "gone-on-since": b"\x1e2" + summary.replace(b'"epochs": 3', b'"epochs": 1'),
        "another-run": b"\x1e2" + summary.replace(b"adam", b"sgd"),
        "wide": b"\x1e0" + config.replace(b"64-8-10", b"9999999-9999999-10"),
        "perfect": b"\x1e1" + rows[0] + b"1,0,1,0,1,0.001,0,inf\n2,0,1,0,1,0,1e12,0\n",
        "two-classes": b"\x1e3true\\predicted,0,1\n0,3,1\n1,0,4\n",
    }
    write("record", folders)
    write("study", folders)


def trainings() -> None:
    plain = [3, 3, 2, 40, 7, 19, 9, 1, 5]
    write("train", {
        "nothing": b"",
        "plain": bytes(plain + [0, 0, 0, 3, 4, 0, 7, 0, 1, 0, 0, 0, 1, 1]),
        "held-out": bytes(plain + [1, 1, 2, 3, 2, 1, 15, 1, 2, 1, 1, 1, 2, 1]),
        "in-16-bits": bytes(plain + [2, 0, 3, 5, 5, 0, 31, 0, 1, 2, 0, 0, 3, 1]),
        "vectors": bytes(plain + [0, 1, 0, 6, 6, 0, 8, 1, 2, 3, 0, 1, 3, 2]),
        "diverging": bytes(plain + [0, 0, 0, 0, 0, 0, 3, 0, 2, 0, 3, 0, 1, 1]),
        "no-hidden-layer": bytes([11, 11, 9, 255, 1, 127, 63, 0, 0, 0, 0, 1, 2, 0, 15, 1, 1, 1, 0, 0, 2, 0]),
        "batch-of-one": bytes([1, 1, 1, 200, 1, 20, 3, 3, 1, 2, 3, 1, 1, 0, 4, 3, 0, 0, 1, 2, 0, 1, 0, 3, 2]),
        "wide": bytes(plain + [2, 255, 250, 3, 4, 0, 7, 0, 63, 0, 0, 1, 0, 3, 1]),
        "noise": bytes((37 * i + 11) % 256 for i in range(40)),
        "more-noise": bytes((101 * i + 77) % 256 for i in range(40)),
    })


if __name__ == "__main__":
    data_sets()
    networks()
    texts()
    trainings()
