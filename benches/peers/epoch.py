"""Training time of an epoch, `cotangent` against PyTorch, in alternation on this machine's CPU.

    python benches/peers/epoch.py [--binary target/release/cotangent] [--rounds 5] [--epochs 3] [--threads 2,1]
                                  [--opt adam] [--lr 1e-3] [--batch-size 128] [--hidden 512,256] [--data DIR]

Each round runs one, then the other, each in a process of its own, so that a machine which grows slower or
faster does so for both. The first epoch of a process warms up and does not count; of the others, a round
yields the median and the fastest. The ratio is taken within each round (one run next to the other), then
its median over the rounds. Evaluation is in neither time.
"""

import argparse
import csv
import datetime
import importlib.util
import io
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


@dataclass
class Run:
    """One process: its epochs after the first, in seconds, and where its training ended."""

    median: float
    fastest: float
    objective: float
    accuracy: float


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares an epoch's training time with PyTorch's.")
    parser.add_argument("--binary", type=Path, default=REPOSITORY / "target" / "release" / "cotangent")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3, help="per process, the first to warm up")
    parser.add_argument("--threads", default="2,1", help="thread counts, each measured by itself")
    parser.add_argument("--opt", choices=["adam", "rmsprop", "adagrad"], default="adam")
    parser.add_argument("--lr", default="1e-3")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--hidden", default="512,256")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data" / "mnist", help="the folder of the IDX files")
    arguments = parser.parse_args()
    arguments.binary = arguments.binary.resolve()  # a bare name would be looked up in PATH
    if arguments.epochs < 2:
        parser.error("--epochs must be 2 or more: the first warms up and does not count")
    if arguments.rounds < 1:
        parser.error("--rounds must be 1 or more")
    try:
        arguments.threads = [int(count) for count in arguments.threads.split(",")]
    except ValueError:
        parser.error(f"--threads takes numbers with commas between, as in 2,1, not {arguments.threads!r}")
    return arguments


def require_peers(binary: Path) -> None:
    for package in ("torch", "numpy"):
        if importlib.util.find_spec(package) is None:
            sys.exit(
                f"{sys.executable} has no {package}: install it with `{sys.executable} -m pip install torch numpy`, "
                "or start this script with a Python that has it"
            )
    if not os.access(binary, os.X_OK) or binary.is_dir():
        sys.exit(f"no program at {binary}: build it with `cargo build --release`, or name it with --binary")


def warn_if_busy() -> None:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5:
        print(f"warning: load average {load:.1f}, other programs are at work. A step waits for its slowest "
              "thread, so these times are worth little.", file=sys.stderr)


def execute(command: list[str]) -> str:
    """Standard output of a command that must succeed."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"exit status {result.returncode} from\n  {' '.join(command)}\n{result.stderr.strip()[-2000:]}")
    return result.stdout


def read_run(text: str, source: str, epochs: int) -> Run:
    rows = list(csv.DictReader(io.StringIO(text)))
    if len(rows) != epochs:
        sys.exit(f"{source} has {len(rows)} epochs, {epochs} were asked for")
    try:
        seconds = [float(row["seconds"]) for row in rows[1:]]
        last = rows[-1]
        return Run(median(seconds), min(seconds), float(last["objective"]), float(last["test_accuracy"]))
    except (KeyError, TypeError, ValueError) as error:
        sys.exit(f"{source} is not the log expected (columns objective, test_accuracy, seconds): {error!r}")


def run_cotangent(a: argparse.Namespace, threads: int, out: Path) -> Run:
    execute([
        str(a.binary), "mnist", "--opt", a.opt, "--lr", a.lr, "--schedule", "constant", "--epochs", str(a.epochs),
        "--batch-size", str(a.batch_size), "--hidden", a.hidden, "--threads", str(threads), "--dropout", "0",
        "--augment", "none", "--device", "cpu", "--seed", "0", "--quiet", "--data", str(a.data), "--out", str(out),
    ])
    log = out / "metrics.csv"
    if not log.exists():
        sys.exit(f"{a.binary} wrote no {log}")
    return read_run(log.read_text(), str(log), a.epochs)


def run_torch(a: argparse.Namespace, threads: int) -> Run:
    output = execute([
        sys.executable, str(HERE / "torch_mnist.py"), str(a.data), "--opt", a.opt, "--lr", a.lr,
        "--epochs", str(a.epochs), "--batch-size", str(a.batch_size), "--hidden", a.hidden,
        "--threads", str(threads), "--device", "cpu", "--seed", "0",
    ])
    return read_run(output, "torch_mnist.py", a.epochs)


def measure(a: argparse.Namespace, threads: int, folder: Path) -> tuple[list[Run], list[Run]]:
    ours, theirs = [], []
    for i in range(a.rounds):
        ours.append(run_cotangent(a, threads, folder / f"run-{threads}-{i}"))
        theirs.append(run_torch(a, threads))
        print(f"threads {threads}, round {i + 1} of {a.rounds}: cotangent {ours[-1].median:.3f} s, "
              f"PyTorch {theirs[-1].median:.3f} s", file=sys.stderr, flush=True)
    return ours, theirs


def side(threads: int, name: str, runs: list[Run]) -> list[str]:
    medians, fastest = [run.median for run in runs], [run.fastest for run in runs]
    return [
        str(threads), name,
        f"{median(medians):.3f}", f"{min(medians):.3f}–{max(medians):.3f}",
        f"{median(fastest):.3f}", f"{min(fastest):.3f}–{max(fastest):.3f}",
        f"{median(run.accuracy for run in runs):.4f}", f"{median(run.objective for run in runs):.5f}",
    ]


def ratio(threads: int, ours: list[Run], theirs: list[Run]) -> list[str]:
    medians = [a.median / b.median for a, b in zip(ours, theirs)]
    fastest = [a.fastest / b.fastest for a, b in zip(ours, theirs)]
    return [
        str(threads), "cotangent / PyTorch",
        f"{median(medians):.3f}", f"{min(medians):.3f}–{max(medians):.3f}",
        f"{median(fastest):.3f}", f"{min(fastest):.3f}–{max(fastest):.3f}", "", "",
    ]


def table(rows: list[list[str]]) -> str:
    """Markdown, with the columns aligned for the eye."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def machine() -> str:
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {usable} of {os.cpu_count()} logical cores usable"


def main() -> None:
    a = parse_arguments()
    require_peers(a.binary)
    warn_if_busy()
    cotangent = execute([str(a.binary), "--version"]).strip()
    rows = [["threads", "program", "seconds an epoch", "range", "fastest epoch", "range", "test accuracy", "objective"]]
    with tempfile.TemporaryDirectory() as folder:
        for threads in a.threads:
            ours, theirs = measure(a, threads, Path(folder))
            rows += [side(threads, "cotangent", ours), side(threads, "PyTorch", theirs), ratio(threads, ours, theirs)]

    print(f"MNIST, hidden {a.hidden}, batch {a.batch_size}, {a.opt} at {a.lr}, {a.epochs} epochs a process, the first "
          f"left out; medians and ranges over {a.rounds} rounds\n")
    print(table(rows))
    print(f"\n{machine()}; {datetime.date.today()}; torch {version('torch')}, {cotangent}")


if __name__ == "__main__":
    main()
