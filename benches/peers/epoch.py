"""Training time of an MNIST epoch on this machine's CPU: `cotangent` against PyTorch and candle, in alternation.

    python benches/peers/epoch.py                         # the default network, batch 128, 2 threads and 1
    python benches/peers/epoch.py --widths 128,512,2048 --batch-sizes 32,128,512,1024 --images 6000 --rounds 3
    python benches/peers/epoch.py --peers eager --threads 1 --opt rmsprop
    python benches/peers/epoch.py --peers eager,compiled --precision bf16
    python benches/peers/epoch.py --peers eager --activations relu,tanh,sigmoid --widths 128,1024 --images 6000

Peers: `eager` and `compiled` are PyTorch without and with torch.compile, `candle` is the program in candle/, which this
script builds. Each round runs one program after the other, each in a process of its own, so that a machine which grows
slower or faster does so for all. The first epoch of a process warms up and does not count; of the others, a round yields
the median. A ratio is taken within each round (ours over theirs), then its median over the rounds; `best` is the faster
of PyTorch's two in each round. Evaluation is in no time. `--widths w` stands for hidden layers of w and w/2 units;
`--images n` trains on the first n images, so that a table of many sizes takes minutes. Prints Markdown.
"""

import argparse
import csv
import datetime
import importlib.util
import io
import itertools
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
CANDLE = REPOSITORY / "target" / "peers" / "release" / "candle-mnist"
TORCH = ["eager", "compiled"]
PEERS = [*TORCH, "candle"]
FILES = {"images-idx3-ubyte": 16, "labels-idx1-ubyte": 8}  # and the length of their headers


@dataclass(frozen=True)
class Work:
    """What each program does."""

    threads: int
    hidden: str
    activation: str
    batch_size: int


@dataclass
class Run:
    """One process: the median epoch after the first, in seconds, and where its training ended."""

    seconds: float
    objective: float
    accuracy: float


def numbers(text: str) -> list[int]:
    try:
        found = [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers with commas between, as in 2,1") from None
    if min(found) < 1:
        raise argparse.ArgumentTypeError("each number must be 1 or more")
    return found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target" / "release" / "cotangent")
    parser.add_argument("--peers", default=",".join(PEERS), help="any of eager, compiled, candle")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="per process, the first to warm up")
    parser.add_argument("--threads", type=numbers, default=[2, 1], help="thread counts, each measured by itself")
    parser.add_argument("--batch-sizes", type=numbers, default=[128])
    parser.add_argument("--hidden", default="512,256", help="widths of the hidden layers")
    parser.add_argument("--widths", type=numbers, help="instead of --hidden: a table over networks")
    parser.add_argument("--activations", default="relu", help="any of relu, tanh, sigmoid, each measured by itself")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="bf16 is autocast for PyTorch")
    parser.add_argument("--opt", choices=["adam", "rmsprop", "adagrad"], default="adam", help="candle has Adam only")
    parser.add_argument("--lr", default="1e-3")
    parser.add_argument("--images", type=int, help="train on the first IMAGES images only")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data" / "mnist", help="the folder of the IDX files")
    arguments = parser.parse_args()
    arguments.binary = arguments.binary.resolve()  # a bare name would be looked up in PATH
    arguments.peers = arguments.peers.split(",")
    arguments.activations = arguments.activations.split(",")
    if unknown := set(arguments.peers) - set(PEERS):
        parser.error(f"--peers: {', '.join(unknown)} is none of {', '.join(PEERS)}")
    if arguments.epochs < 2:
        parser.error("--epochs must be 2 or more: the first warms up and does not count")
    if arguments.rounds < 1:
        parser.error("--rounds must be 1 or more")
    candle_can = arguments.activations == ["relu"] and arguments.precision == "f32"
    if not candle_can and "candle" in arguments.peers:
        parser.error("candle's side has relu and f32 only: leave it out, as in --peers eager,compiled")
    if arguments.opt != "adam" and "candle" in arguments.peers:
        parser.error(f"candle has no {arguments.opt}: leave it out, as in --peers eager,compiled")
    return arguments


def require_peers(a: argparse.Namespace) -> None:
    for package in ("torch", "numpy"):
        if set(TORCH) & set(a.peers) and importlib.util.find_spec(package) is None:
            sys.exit(
                f"{sys.executable} has no {package}: install it with `{sys.executable} -m pip install torch numpy`, "
                "or start this script with a Python that has it"
            )
    if not os.access(a.binary, os.X_OK) or a.binary.is_dir():
        sys.exit(f"no program at {a.binary}: build it with `cargo build --release`, or name it with --binary")
    if "candle" in a.peers:
        print("building candle-mnist", file=sys.stderr)
        manifest, target = HERE / "candle" / "Cargo.toml", REPOSITORY / "target" / "peers"
        execute(["cargo", "build", "--release", "--manifest-path", str(manifest), "--target-dir", str(target)])


def warn_if_busy() -> None:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5:
        print(f"warning: load average {load:.1f}, other programs are at work. A step waits for its slowest "
              "thread, so these times are worth little.", file=sys.stderr)


def execute(command: list[str], **variables: str) -> str:
    """Standard output of a command that must succeed."""
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables)
    if result.returncode != 0:
        sys.exit(f"exit status {result.returncode} from\n  {' '.join(command)}\n{result.stderr.strip()[-2000:]}")
    return result.stdout


def first_images(data: Path, count: int, folder: Path) -> Path:
    """A data folder with the first `count` training images and as many test images at most."""
    import gzip

    for part, (name, header) in itertools.product(("train", "t10k"), FILES.items()):
        path = next((p for p in (data / f"{part}-{name}.gz", data / f"{part}-{name}") if p.exists()), None)
        if path is None:
            sys.exit(f"no {part}-{name} or {part}-{name}.gz in {data}: name the folder of the four IDX files")
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        total = int.from_bytes(content[4:8], "big")
        kept, size = min(count, total), (len(content) - header) // total
        head = content[:4] + kept.to_bytes(4, "big") + content[8:header]
        (folder / f"{part}-{name}").write_bytes(head + content[header : header + kept * size])
    return folder


def read_run(text: str, source: str, epochs: int) -> Run:
    rows = list(csv.DictReader(io.StringIO(text)))
    if len(rows) != epochs:
        sys.exit(f"{source} has {len(rows)} epochs, {epochs} were asked for")
    try:
        seconds = [float(row["seconds"]) for row in rows[1:]]
        return Run(median(seconds), float(rows[-1]["objective"]), float(rows[-1]["test_accuracy"]))
    except (KeyError, TypeError, ValueError) as error:
        sys.exit(f"{source} is not the log expected (columns objective, test_accuracy, seconds): {error!r}")


def run_cotangent(a: argparse.Namespace, work: Work) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        execute([
            str(a.binary), "mnist", "--opt", a.opt, "--lr", a.lr, "--schedule", "constant",
            "--epochs", str(a.epochs), "--batch-size", str(work.batch_size), "--hidden", work.hidden,
            "--activation", work.activation, "--precision", a.precision, "--threads", str(work.threads), "--dropout", "0", "--augment", "none", "--device", "cpu", "--seed", "0",
            "--quiet", "--data", str(a.data), "--out", str(out),
        ])
        return read_run((out / "metrics.csv").read_text(), str(out / "metrics.csv"), a.epochs)


def run_peer(a: argparse.Namespace, peer: str, work: Work) -> Run:
    if peer == "candle":
        command = [str(CANDLE), str(a.data), work.hidden, str(work.batch_size), str(a.epochs), a.lr]
        output = execute(command, RAYON_NUM_THREADS=str(work.threads))
    else:
        output = execute([
            sys.executable, str(HERE / "torch_mnist.py"), str(a.data), "--opt", a.opt, "--lr", a.lr,
            "--epochs", str(a.epochs), "--batch-size", str(work.batch_size), "--hidden", work.hidden,
            "--activation", work.activation, "--precision", a.precision,
            "--threads", str(work.threads), "--device", "cpu", "--seed", "0",
            *(["--compile"] if peer == "compiled" else []),
        ])
    return read_run(output, peer, a.epochs)


def measure(a: argparse.Namespace, work: Work) -> dict[str, list[Run]]:
    """The runs of each program, by its name, round by round."""
    runs: dict[str, list[Run]] = {name: [] for name in ("cotangent", *a.peers)}
    for number in range(a.rounds):
        for name, done in runs.items():
            done.append(run_cotangent(a, work) if name == "cotangent" else run_peer(a, name, work))
        times = ", ".join(f"{name} {done[-1].seconds:.3f} s" for name, done in runs.items())
        print(f"{work}, round {number + 1} of {a.rounds}: {times}", file=sys.stderr, flush=True)
    return runs


def spread(values: Iterable[float]) -> str:
    found = list(values)
    return f"{median(found):.3f} ({min(found):.3f}–{max(found):.3f})"


def row(work: Work, runs: dict[str, list[Run]]) -> list[str]:
    """Times of all programs, ratios to PyTorch's better one and to candle, and where training ended."""
    def ratio(names: list[str]) -> str:
        rounds = zip(runs["cotangent"], *(runs[name] for name in names if name in runs))
        ratios = [ours.seconds / min(peer.seconds for peer in peers) for ours, *peers in rounds if peers]
        return spread(ratios) if ratios else "–"

    times = [spread(run.seconds for run in done) for done in runs.values()]
    ends = [f"{median(run.accuracy for run in done):.4f}" for done in runs.values()]
    return [
        str(work.threads), work.hidden, work.activation, str(work.batch_size), *times, f"**{ratio(TORCH)}**", ratio(["candle"]),
        " / ".join(ends),
    ]


def table(rows: list[list[str]]) -> str:
    """Markdown, with the columns aligned for the eye."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def machine() -> str:
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        fields = dict(
            [part.strip() for part in line.split(":", 1)]
            for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line
        )
        model = f"{fields.get('model name', model)}, family {fields.get('cpu family', '?')}"
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {usable} of {os.cpu_count()} logical cores usable"


def main() -> None:
    a = parse_arguments()
    require_peers(a)
    warn_if_busy()
    networks = [f"{width},{max(width // 2, 1)}" for width in a.widths] if a.widths else [a.hidden]
    works = [Work(*work) for work in itertools.product(a.threads, networks, a.activations, a.batch_sizes)]
    rows = [[
        "threads", "hidden", "activation", "batch", *(f"{name}, s an epoch" for name in ("cotangent", *a.peers)),
        "ratio to PyTorch's best", "ratio to candle", "test accuracy, each",
    ]]
    with tempfile.TemporaryDirectory() as folder:
        if a.images:
            a.data = first_images(a.data, a.images, Path(folder))
        rows += [row(work, measure(a, work)) for work in works]

    images = f"the first {a.images} images" if a.images else "all images"
    print(f"MNIST, {images}, {a.opt} at {a.lr}, products in {a.precision}, {a.epochs} epochs a process, the first left out; medians and ranges over "
          f"{a.rounds} rounds\n")
    print(table(rows))
    torch = f"torch {version('torch')}, " if set(TORCH) & set(a.peers) else ""
    print(f"\n{machine()}; {datetime.date.today()}; {torch}{execute([str(a.binary), '--version']).strip()}")


if __name__ == "__main__":
    main()
