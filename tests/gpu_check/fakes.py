"""A kit and tools that only print what the real ones would, and what becomes of a record of them.

Each fake is a script. It writes down how it was called, and prints; a test replaces one of them to see what becomes of a
failure.
"""
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

GPU_CHECK = SCRIPTS / "gpu-check"

KIT = {
    "commit": "c0ffee12", "trees": {"src": "5c", "kernels": "ce"}, "nvcc": "13.0", "architectures": ["sm_90"],
    "families": [
        {"family": "layout", "date": "2026-11-27T12:00:00+00:00", "changed": True, "tests": 7},
        {"family": "untested", "date": "2026-11-27T11:00:00+00:00", "changed": True, "tests": 0},
        {"family": "gemm", "date": "2026-11-26T12:00:00+00:00", "changed": False, "tests": 5},
        {"family": "sum", "date": "2026-11-25T12:00:00+00:00", "changed": False, "tests": 8},
        {"family": "step", "date": "2026-11-24T12:00:00+00:00", "changed": False, "tests": 2},
    ],
    "tuning": [],
}
DOCTOR = {
    "build": {"nvcc": "13.0", "images": ["sm_90"]},
    "driver": "13.0",
    "devices": [{"name": "NVIDIA H100", "capability": "9.0", "memory": 1, "usable": True, "why": None}],
    "auto": "cuda:0",
}
SUMMARY = {
    "device": "cuda:0", "precision": "f32", "epochs": 3, "test_accuracy": 0.9812, "train_seconds": 0.6,
    "seconds_to_98": 0.5,
}
METRICS = "epoch,test_accuracy,seconds\n1,0.97,0.3\n2,0.98,0.2\n3,0.9812,0.1\n"

COPY = {"name": "ceiling/copy", "cache": "cold", "seconds": 0.001, "rate": 2977.4, "unit": "GB/s", "fraction": 1.0}
COPY_BESIDE = COPY | {"peers": [{"peer": "PyTorch", "seconds": 0.002}]}
SQUARE = {
    "name": "gemm_f32/square/1024", "cache": "cold", "kernel": "gemm_f32", "shape": "1024", "precision": "f32",
    "variant": "128x128x16", "seconds": 0.003, "samples": 9, "spread": 0.02, "rate": 0.7, "unit": "TFLOP/s",
    "fraction": 0.5, "bound": "ceiling/fma",
    "peers": [{"peer": "cuBLAS", "seconds": 0.002, "samples": 9, "spread": 0.04}],
}
SQUARE_WARM = SQUARE | {
    "cache": "warm", "seconds": 0.002, "peers": [{"peer": "cuBLAS", "seconds": 0.0025, "samples": 9, "spread": 0.03}],
}
FILL = {"name": "fill/65536", "cache": "warm", "seconds": 1e-6, "rate": 255.0, "unit": "GB/s", "fraction": 0.1, "peers": []}
STEP = {"name": "training_step/adam", "cache": "warm", "variant": "graph", "seconds": 5e-5, "spread": 0.03}
# A peer's ratio is to ours in the same rounds.
EAGER = {"peer": "PyTorch eager", "seconds": 1e-4, "ours_seconds": 4e-5}
EPOCH = {"name": "mnist_epoch/adam", "cache": "warm", "variant": "graph", "seconds": 0.2}
EPOCH_PEERS = [{"peer": "PyTorch eager", "seconds": 0.4}, {"peer": "PyTorch CUDA graph", "seconds": 0.1}]
FIGURES = {
    "training_step/": [COPY, STEP],
    "ceiling/": [COPY_BESIDE],
    "gemm_f32/": [COPY, SQUARE, SQUARE_WARM],
    "unary/": [COPY, FILL],
    "mnist_epoch/": [COPY, EPOCH | {"peers": EPOCH_PEERS}, STEP | {"peers": [EAGER]}],
}
CHECKS = [
    {"check": "gemm_f32", "variant": "128x128x16", "cases": 40, "status": "ok"},
    {"check": "gemm_f32", "variant": "64x64x16", "cases": 40, "status": "ok"},
]


def timed(variant: str, seconds: float, **more) -> dict:
    shape = {"tune": "f32", "transposes": "nt", "m": 128, "n": 512, "k": 784}
    line = {"variant": variant, "splits": 1, "seconds": seconds, "samples": 9, "spread": 0.02, "cache": "warm"}
    return shape | line | {"chosen_now": False} | more


TIMES = [timed("128x128x16", 1e-5, chosen_now=True), timed("64x64x16", 8e-6)]
LEFT = {"left": ["f32 nn 8192 8192 8192"]}
LATENCIES = [
    {"name": "latency/graph_node", "seconds": 1.2e-6, "samples": 9, "spread": 0.1},
    {"name": "latency/dsmem_rate", "seconds": 1e-4, "samples": 9, "spread": 0.1, "rate": 3.1, "unit": "TB/s"},
]
NO_CLUSTERS = {"name": "latency/cluster_barrier", "problem": "compute capability 8.0 has no clusters"}
TESTS_PASS = """
test kernels::sum::sums_agree ... ok
test kernels::gemm::products_agree ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 300 filtered out; finished in 0.01s
"""
TESTS_FAIL = """
test kernels::sum::sums_agree ... FAILED
test kernels::gemm::products_agree ... ok
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 300 filtered out; finished in 0.01s
"""
COUNTERS = {
    "gpu__time_duration.sum": ("ns", "12,345"),
    "sm__inst_issued.avg.pct_of_peak_sustained_active": ("%", "61.5"),
    "dram__bytes_read.sum": ("byte", "1,000,000"),
    "dram__bytes_write.sum": ("byte", "500,000"),
    "launch__registers_per_thread": ("register/thread", "128"),
    "smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio": ("inst", "1.75"),
    "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active": ("%", "n/a"),
}


def says(*texts: str) -> str:
    """The command that prints these texts."""
    return shlex.join(["printf", "%s\\n", *texts])


def json_lines(objects: list[dict]) -> str:
    return "\n".join(map(json.dumps, objects))


def python(source: str) -> str:
    """A fake in Python, within one in shell."""
    return f"exec {shlex.join([sys.executable, '-I', '-S', '-c', source])} \"$@\""


def cotangent(doctor: dict = DOCTOR, summary: dict = SUMMARY) -> str:
    return f"""
if [ "$1" = doctor ]; then
    {says("warning: as programs do", json.dumps(doctor))}
else
    while [ "$1" != --out ]; do shift; done
    mkdir "$2"
    {says(json.dumps(summary))} > "$2/summary.json"
    {says(METRICS)} > "$2/metrics.csv"
fi
"""


def bench(figures: dict[str, list[dict]] = FIGURES, then: str = "") -> str:
    """bench-cuda: appends the figures of its first filter to the file that it is told, now."""
    profile = f'if [ "$1" = --profile ]; then {says("a line of its own, with ID, in it")}; exit; fi\n'
    return profile + python(f"""
import json, os, sys, time
filters = sys.argv[2:]
os.makedirs(os.environ["COTANGENT_BENCH_OUT"])
with open(os.environ["COTANGENT_BENCH_JSON"], "a") as file:
    for figure in json.loads({json.dumps(json.dumps(figures))}).get(filters[0], []):
        began = time.time()
        print(json.dumps(figure | {{"began": began, "ended": began + 0.001}}), file=file, flush=True)
{then}
""")


def tune(checks: list[dict] = CHECKS, times: list[dict] = TIMES, left: dict = LEFT) -> str:
    return f"""
case $1 in
    --check) {says("a line of its own", json_lines(checks))} ;;
    --tune) {says(json_lines([*times, left]))} ;;
esac
"""


def ncu(names: dict[str, tuple[str, str]] = COUNTERS) -> str:
    heads = ["ID", "Process ID", "Kernel Name", "Block Size", "Grid Size", *names]
    row = ["0", "77", "gemm_f32(float *, const float *)", "(256, 1, 1)", "(8, 8, 1)", *(cell for _, cell in names.values())]
    units = ["", "", "", "", "", *(unit for unit, _ in names.values())]
    table = "\n".join(",".join(f'"{cell}"' for cell in cells) for cells in (heads, units, row))
    listing = "\n".join(f"{name.split('.')[0]:<60}Counter  # of something" for name in names)
    return f"""
if [ "$1" = --query-metrics ]; then {says("Device NVIDIA H100", listing)}; exit; fi
{says("==PROF== Connected to process 77")}
while [ "${{1##*/}}" != bench-cuda ]; do shift; done
"$@" || exit
{says("==PROF== Disconnected from process 77", table)}
"""


SANITIZER = """
tool=$2
shift 4
"$@" || exit
case $tool in
    racecheck) echo '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)' ;;
    *) echo '========= ERROR SUMMARY: 0 errors' ;;
esac
"""
QUERIES = ["clocks.sm", "clocks_event_reasons.active"]


def nvidia_smi(help_text: str = '"clocks.sm"\n"clocks_event_reasons.active"', log: str | None = None) -> str:
    line = '"$(date "+%Y/%m/%d %H:%M:%S.%3N"), 1980, 2619, 350.25, 51, 97, 0x0000000000000004"'
    log = log if log is not None else f"while :; do echo {line}; sleep 0.1; done"
    return f"""
case "$*" in
    *-lms*) {log} ;;
    --help-query-gpu) {says(help_text)} ;;
    *--query-gpu=name*) echo 'NVIDIA H100 80GB HBM3, 81559 MiB, 580.159.04' ;;
    *) echo '| NVIDIA-SMI 580.159.04    Driver Version: 580.159.04    CUDA Version: 13.0 |' ;;
esac
"""


TORCH = json.dumps({"torch": "2.11.0", "multiprocessors": 132})
PYTHON = says("a warning", TORCH)  # all that is asked of it here; bench-cuda asks the rest
HANG = "sleep 60"


class FakeKit(unittest.TestCase):
    """Each test has a kit and tools under which everything goes well, and changes one of them."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.calls, self.out = self.folder / "calls", self.folder / "out"
        for path in ("kit/benches/peers", "kit/candidates", "tools"):
            (self.folder / path).mkdir(parents=True)
        (self.folder / "kit/kit.json").write_text(json.dumps(KIT))
        self.fake("kit/cotangent", cotangent())
        self.fake("kit/tests", says(TESTS_PASS))
        self.fake("kit/bench-cuda", bench())
        self.fake("kit/bench-tune", tune())
        self.fake("kit/bench-latency", says(json_lines(LATENCIES)))
        self.fake("tools/nvidia-smi", nvidia_smi())
        self.fake("tools/compute-sanitizer", SANITIZER)
        self.fake("tools/ncu", ncu())
        self.fake("tools/nvcc", says("Cuda compilation tools, release 13.0, V13.0.88"))
        self.fake("tools/python3", PYTHON)
        for tool in ("mkdir", "date", "sleep"):
            (self.folder / "tools" / tool).symlink_to(shutil.which(tool))

    def fake(self, path: str, script: str) -> None:
        file = self.folder / path
        told = " ".join(f"${{COTANGENT_{name}-}}" for name in ("TEST_DEVICE", "TEST_EVERY"))
        set_or_not = " ".join(f"${{COTANGENT_{name}:+{name}}}" for name in ("CUDA_CANDIDATES", "BENCH_PEER", "BENCH_PAIRS_ONLY"))
        prepare = "${COTANGENT_BENCH_PREPARE_SECONDS-}"
        call = f'echo "{Path(path).name} $*" "{told}" "{set_or_not}" "{prepare}" >> {self.calls}'
        file.write_text(f"#!/bin/sh\n{call}\n{script}\n")
        file.chmod(0o755)

    def check(self, *options: str, **variables: str) -> subprocess.CompletedProcess:
        """Runs gpu-check, with the fakes alone on PATH."""
        environment = os.environ | {"PATH": str(self.folder / "tools"), "COTANGENT_TEST_EVERY": "99"} | variables
        command = [sys.executable, GPU_CHECK, self.folder / "kit", self.out, *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def record(self) -> dict:
        return json.loads((self.out / "record.json").read_text())

    def packed(self) -> dict[str, bytes]:
        """What was packed at the end, by its place."""
        with tarfile.open(self.out / "logs.tar.xz") as archive:
            return {entry.name.removeprefix("logs/"): archive.extractfile(entry).read() for entry in archive}

    def log(self, stage: str) -> str:
        return self.packed()[f"{stage}.log"].decode()

    def ends_with(self, *faults: str, options: tuple[str, ...] = ()) -> dict:
        """The record of a check that names these faults, and no others."""
        ended = self.check(*options)
        self.assertEqual((ended.returncode, ended.stderr), (1 if faults else 0, ""), ended.stdout)
        record = self.record()
        self.assertEqual(record["faults"], list(faults))
        for fault in faults:
            self.assertIn(fault, ended.stdout)
        return record

    def owed(self, record: dict) -> dict[str, list[str]]:
        """The reasons why each experiment is owed."""
        found: dict[str, list[str]] = {}
        for missing in record["owed"]:
            found.setdefault(missing["experiment"], []).append(missing["reason"])
        return found

    def calls_made(self) -> list[str]:
        return [" ".join(call.split()) for call in self.calls.read_text().splitlines()]

    def wait_for(self, condition, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "it did not come to pass")
            time.sleep(0.02)
