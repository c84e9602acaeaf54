"""The experiments: one table, most valuable first, and what each runs and reads.

An experiment that comes too late in the table to be run is named in the record as owed, so the order is the order in
which a visit that is cut short is still worth something. What they are expected to take was measured on an H100 where
the record of 2026-11-26 has it, and is an estimate where it does not.
"""
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import counters, tuning
from .clocks import fields
from .programs import CUT_OFF, Ended
from .queue import NOTHING, Times
from .rehearsal import DEVICE, TEST_VARIABLES, TESTS, Rehearsal
from .results import (
    count_findings, count_tests, json_lines, measured, problems, read_run, read_tune, read_variants, whole_json,
)

# Which combinations of each check compute-sanitizer runs: every third or seventh. Racecheck is the slowest.
TOOLS = {"memcheck": 3, "racecheck": 7, "initcheck": 3, "synccheck": 3}
NEWEST = 3  # families of kernels, at least, whose tests compute-sanitizer runs before the rest

# Parts of the names of bench-cuda's cases: each group is a process of its own, and every case is in one of them.
GROUPS = {
    "ceilings": ["ceiling/"],
    "products_f32": ["gemm_f32/"],
    "products_bf16": ["gemm_bf16/"],
    "memory": [
        "softmax_cross_entropy/", "softmax/", "one_hot/", "sum/",
        # With their sizes: training steps are named after optimizers, too.
        *(f"{rule}/{n}" for rule in ("sgd", "adagrad", "rmsprop", "adam") for n in (535818, 100000000)),
    ],
    "elementwise": ["unary/", "binary/", "relu_backward/", "program/", "fill/", "transpose/"],
    "batches": ["gather/", "dropout/", "count_correct/", "count_confusions/", "accumulate_losses/"],
    "conversions": ["convert/"],
    "training": ["mnist_epoch/", "training_step/adam"],  # with PyTorch's compilations, so last
}
STEPS = ["training_step/"]  # all of them, without a peer
# Those with a case that benches/peers/torch_cuda.py can do: the others need not wait for PyTorch to start.
WITH_PEERS = {"ceilings", "products_f32", "products_bf16", "memory", "training"}
PREPARE_SECONDS = 20  # of a peer for a case; what compiles takes longer
PREPARE_TRAINING_SECONDS = 90

TEN_EPOCHS = ["--epochs", "10"]
RUNS = {
    "adagrad": ["--opt", "adagrad", *TEN_EPOCHS],
    "rmsprop": ["--opt", "rmsprop", *TEN_EPOCHS],
    "adam": ["--opt", "adam", *TEN_EPOCHS],
    "sgd": ["--opt", "sgd", *TEN_EPOCHS],
    "adam-bf16": ["--opt", "adam", *TEN_EPOCHS, "--precision", "bf16"],
    "fast": ["--recipe", "fast"],
}

CARD_QUESTION = ["nvidia-smi", "-i", "0", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
TORCH_QUESTION = """
import json, torch
card = torch.cuda.get_device_properties(0)
print(json.dumps({"torch": torch.__version__, "multiprocessors": card.multi_processor_count}))
"""


class Refused(Exception):
    """There is nothing here to measure."""


@dataclass
class Visit:
    """Where everything is, and what is known so far: results by an experiment's name."""

    kit: Path
    out: Path
    made: dict  # kit.json
    rehearsal: Rehearsal | None = None
    results: dict[str, dict] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=lambda: list(counters.METRICS))

    @property
    def work(self) -> Path:
        """Where programs write and what they print is kept until it is packed."""
        return self.out / "work"

    def tests(self, *filters: str) -> list[str | Path]:
        return [self.kit / "tests", *(TESTS if self.rehearsal else filters), "--test-threads", "1"]

    def test_variables(self, **more: str) -> dict[str, str]:
        """On the card; a rehearsal's tests bring their own emulated devices."""
        where = TEST_VARIABLES if self.rehearsal else {"COTANGENT_TEST_DEVICE": "cuda"}
        return self.variables() | more | where

    def variables(self) -> dict[str, str]:
        """Where our programs find the kernel variants that they do not embed; which device a rehearsal is on."""
        folder = self.kit / "candidates"
        found = {"COTANGENT_CUDA_CANDIDATES": str(folder)} if folder.is_dir() else {}
        return found | ({"COTANGENT_BENCH_DEVICE": str(DEVICE)} if self.rehearsal else {})

    def has_torch(self) -> bool:
        return bool(self.results.get("machine/torch", {}).get("torch"))

    def peer(self) -> Path:
        return self.kit / "benches/peers/torch_cuda.py"


@dataclass(frozen=True)
class Command:
    words: list[str | Path]
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """One process: its place in the record (`STAGE` or `STAGE/PART`), its times, what makes its command (of the seconds
    that it gets), what reads its results.

    `obstacle` is its status where it is of no use to start it. `answers`: an exit status other than 0 is an answer, not a
    failure to give one. `again`: whether what came out should be tried once more, with what is known now.
    """

    name: str
    times: Times
    command: Callable[[Visit, float], Command]
    read: Callable[[Visit, Ended], dict]
    obstacle: Callable[[Visit], str | None] = lambda visit: None
    answers: bool = False
    again: Callable[[Visit, Ended], bool] = lambda visit, ended: False


# ---- The machine

def of_words(*words: str) -> Callable[[Visit, float], Command]:
    return lambda visit, seconds: Command(list(words))


def read_card(visit: Visit, ended: Ended) -> dict:
    if ended.status != "ok":
        raise Refused(f"nvidia-smi finds no card ({ended.status}), so there is nothing to measure here")
    name, memory, driver = ended.output.splitlines()[0].split(", ")
    return {"card": name, "memory": memory, "driver": driver}


def doctor(visit: Visit, seconds: float) -> Command:
    return Command([visit.kit / "cotangent", "doctor", "--format", "json"])


def read_doctor(visit: Visit, ended: Ended) -> dict:
    found = whole_json(ended.output)
    for device in found.get("devices", []):
        if device["name"].startswith("emulated") and not visit.rehearsal:
            raise Refused(f"{device['name']} is an emulated card, whose times say nothing")
    return {"doctor": found}


def read_cuda(visit: Visit, ended: Ended) -> dict:
    cuda = re.search(r"CUDA (?:UMD )?Version\s*:\s*([\d.]+)", ended.output)
    return {"cuda": cuda and cuda[1]}


def read_nvcc(visit: Visit, ended: Ended) -> dict:
    nvcc = re.search(r"release .*V([\d.]+)", ended.output)
    return {"nvcc": nvcc and nvcc[1]}


def read_torch(visit: Visit, ended: Ended) -> dict:
    torch = next(iter(json_lines(ended.output)), {})
    return {"torch": torch.get("torch"), "multiprocessors": torch.get("multiprocessors")}


def read_fields(visit: Visit, ended: Ended) -> dict:
    return {"clock_fields": fields(ended.output)}


MACHINE = [
    Experiment("machine/card", Times(1, 10), of_words(*CARD_QUESTION), read_card),
    Experiment("machine/doctor", Times(3, 15), doctor, read_doctor, answers=True),
    Experiment("machine/driver", Times(1, 10), of_words("nvidia-smi"), read_cuda),
    Experiment("machine/toolkit", Times(1, 10), of_words("nvcc", "--version"), read_nvcc),
    Experiment("machine/torch", Times(8, 40), of_words("python3", "-c", TORCH_QUESTION), read_torch),
    Experiment("machine/clocks", Times(1, 10), of_words("nvidia-smi", "--help-query-gpu"), read_fields),
]


# ---- Whether it is right

def variants(visit: Visit, seconds: float) -> Command:
    tiny = ["--test"] if visit.rehearsal else []
    return Command([visit.kit / "bench-tune", "--check", *tiny], visit.variables())


def tests(visit: Visit, seconds: float) -> Command:
    # Every kernel; then all engine tests, which run on each executor, the card's among them; then training. Those of
    # the command line bring the emulated driver into the process, where the card's must be.
    filters = ["kernels::", "operations::", "products::", "random_graphs::", "on_device::", "--skip", "command_line::"]
    # What each of Hopper's instructions gives is written down, for the emulator to be held against.
    record = {} if visit.rehearsal else {"COTANGENT_RECORD": str(visit.work / "hopper-wrappers.csv")}
    return Command(visit.tests(*filters), visit.test_variables(**record))


def newest(made: dict) -> list[str]:
    """The families of kernels that have changed since the last record, and others, newest first, until they are enough."""
    tested = [family for family in made.get("families", []) if family["tests"]]
    changed = [family["family"] for family in tested if family["changed"]]
    others = [family["family"] for family in tested if not family["changed"]]
    return changed + others[: max(NEWEST - len(changed), 0)]


def sanitized(tool: str, part: str) -> Callable[[Visit, float], Command]:
    """One test at a time: all kernels on one device, which is then opened but once."""

    def command(visit: Visit, seconds: float) -> Command:
        families = [f"kernels::{family}::" for family in newest(visit.made)]
        skipped = [word for family in families for word in ("--skip", family)]
        filters = families if part == "newest" else ["kernels::", *skipped]
        sanitizer = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9"]
        variables = visit.test_variables(COTANGENT_TEST_EVERY=str(TOOLS[tool]))
        return Command([*sanitizer, *visit.tests(*filters)], variables)

    return command


def read_sanitized(tool: str) -> Callable[[Visit, Ended], dict]:
    def read(visit: Visit, ended: Ended) -> dict:
        counts = count_tests(ended.output)
        found = {"passed": counts["passed"], "failed": counts["failed"]}
        return {"every": TOOLS[tool], **count_findings(ended.output), **found}

    return read


def no_families(visit: Visit) -> str | None:
    return None if newest(visit.made) else f"{NOTHING}: kit.json names no family of kernels that has tests"


def sanitizers(part: str, expected: dict[str, float], limit: float) -> list[Experiment]:
    obstacle = no_families if part == "newest" else lambda visit: None
    return [
        Experiment(
            f"sanitizer/{tool}/{part}", Times(expected[tool], 2 * limit if tool == "racecheck" else limit, 5),
            sanitized(tool, part), read_sanitized(tool), obstacle, answers=True,
        )
        for tool in TOOLS
    ]


RIGHT = [
    Experiment("variants", Times(20, 60, 5), variants, lambda _, ended: read_variants(ended.output), answers=True),
    Experiment("tests", Times(50, 120, 10), tests, lambda _, ended: count_tests(ended.output), answers=True),
    *sanitizers("newest", {"memcheck": 8, "racecheck": 16, "initcheck": 8, "synccheck": 6}, 35),
    *sanitizers("rest", {"memcheck": 10, "racecheck": 22, "initcheck": 9, "synccheck": 7}, 40),
]


# ---- How fast it is

SECONDS_TO_END = 10  # between what bench-tune is told and when it would be ended


def tune(visit: Visit, seconds: float) -> Command:
    told = ["--test"] if visit.rehearsal else ["--seconds", f"{max(seconds - SECONDS_TO_END, 1):.0f}"]
    return Command([visit.kit / "bench-tune", "--tune", *told], visit.variables())


def latency(visit: Visit, seconds: float) -> Command:
    return Command([visit.kit / "bench-latency", "--test" if visit.rehearsal else "--bench"], visit.variables())


def read_lines(visit: Visit, ended: Ended) -> dict:
    lines = json_lines(ended.output)
    return {"figures": measured(lines), "problems": problems(lines)}


def bench(name: str, filters: list[str]) -> Callable[[Visit, float], Command]:
    """Cases of bench-cuda, which appends its figures to a file; with PyTorch's, in pairs, where it has any and is here."""

    def command(visit: Visit, seconds: float) -> Command:
        file, folder = bench_file(visit, name), visit.work / "bench" / name
        results = {"COTANGENT_BENCH_JSON": str(file), "COTANGENT_BENCH_OUT": str(folder)}
        asked = with_peer(visit, name) if name in WITH_PEERS and visit.has_torch() else {}
        how = "--test" if visit.rehearsal else "--bench"
        return Command([visit.kit / "bench-cuda", how, *filters], visit.variables() | results | asked)

    return command


def with_peer(visit: Visit, name: str) -> dict[str, str]:
    asked = {"COTANGENT_BENCH_PEER": f"python3 {visit.peer()}", "COTANGENT_BENCH_PREPARE_SECONDS": str(PREPARE_SECONDS)}
    if name == "training":  # the stage `step` has those without a peer
        asked |= {"COTANGENT_BENCH_PREPARE_SECONDS": str(PREPARE_TRAINING_SECONDS), "COTANGENT_BENCH_PAIRS_ONLY": "1"}
    return asked


def bench_file(visit: Visit, name: str) -> Path:
    return visit.work / f"bench-{name}.jsonl"


def read_bench(name: str) -> Callable[[Visit, Ended], dict]:
    def read(visit: Visit, ended: Ended) -> dict:
        file = bench_file(visit, name)
        lines = json_lines(file.read_text(errors="replace")) if file.exists() else []
        missed = {"peer": "not asked: no PyTorch here"} if name in WITH_PEERS and not visit.has_torch() else {}
        return {"figures": measured(lines), "problems": problems(lines), **missed}

    return read


def benches(name: str, expected: float, limit: float) -> Experiment:
    return Experiment(f"benches/{name}", Times(expected, limit, 6), bench(name, GROUPS[name]), read_bench(name))


FAST = [
    Experiment("tune", Times(60, 70, 15), tune, lambda _, ended: read_tune(ended.output)),
    Experiment("latency", Times(10, 30, 3), latency, read_lines),
    Experiment("step", Times(35, 60, 5), bench("step", STEPS), read_bench("step")),
]


# ---- With what this visit has found to be the fastest

# The steps that are all products; the rule of the optimizer makes no difference to those.
TUNED_STEPS = ["training_step/adam"]


def found_table(visit: Visit) -> str | None:
    """The tuning table that this visit's times make, for the card as the program knows it; none if it is today's."""
    stages = {stage: visit.results.get(stage, {}) for stage in ("tune", "variants")}
    if not stages["tune"].get("figures"):
        return None
    chosen = tuning.rows({"card": card_of(visit), "kit": visit.made, "stages": stages})
    today = {
        tuning.shape_of(line): (line["variant"], line["splits"])
        for line in stages["tune"]["figures"] if line.get("chosen_now")
    }
    stays = all(chosen.get(shape, choice) == choice for shape, choice in today.items())
    return None if stays else tuning.written([(card_of(visit), chosen)])


def card_of(visit: Visit) -> str | None:
    """As the program calls it; where its doctor does not say, as nvidia-smi does."""
    devices = visit.results.get("machine/doctor", {}).get("doctor", {}).get("devices")
    if devices:
        return devices[-1 if visit.rehearsal else 0]["name"]
    return visit.results.get("machine/card", {}).get("card")


def nothing_faster(visit: Visit) -> str | None:
    return None if found_table(visit) else f"{NOTHING}: today's choices stay, or none were measured"


def tuned(command: Callable[[Visit, float], Command]) -> Callable[[Visit, float], Command]:
    """The same with the table that this visit makes in place of the one that the program embeds."""

    def changed(visit: Visit, seconds: float) -> Command:
        file = visit.out / "tuning.csv"
        file.write_text(found_table(visit))
        words = command(visit, seconds)
        return Command(words.words, visit.variables() | words.variables | {"COTANGENT_CUDA_TUNING": str(file)})

    return changed


TUNED = [
    Experiment(
        "tuned/step", Times(12, 30, 4), tuned(bench("tuned", TUNED_STEPS)), read_bench("tuned"), nothing_faster,
    ),
]


# ---- Why

def read_metrics(visit: Visit, ended: Ended) -> dict:
    if ended.status == "ok":
        visit.metrics = counters.known(visit.metrics, ended.output)
    return {"unknown": [metric for metric in counters.METRICS if metric not in visit.metrics]}


def profile(case: str) -> Callable[[Visit, float], Command]:
    def command(visit: Visit, seconds: float) -> Command:
        how = ["--clock-control", "none", "--csv", "--page", "raw", "--print-units", "base"]
        metrics = ["--metrics", ",".join(visit.metrics)]
        return Command(["ncu", *how, *metrics, visit.kit / "bench-cuda", "--profile", case], visit.variables())

    return command


def read_profile(visit: Visit, ended: Ended) -> dict:
    kernels = counters.parse(ended.output)
    said = counters.complaint(ended.output)
    result = {"kernels": kernels, "said": said}
    if not any(kernel["metrics"] for kernel in kernels) and not ended.status.startswith(("timed", "cannot", CUT_OFF)):
        result["status"] = f"no counters: {next(iter(said), ended.status)}"
    return result | ({"denied": True} if counters.denied(ended.output) else {})


def fewer_metrics(visit: Visit, ended: Ended) -> bool:
    """Whether a case is worth another try without the metrics that ncu will not have."""
    refused = counters.refused(ended.output, visit.metrics)
    visit.metrics = [metric for metric in visit.metrics if metric not in refused]
    return bool(refused and visit.metrics) and not counters.parse(ended.output)


def no_counters(visit: Visit) -> str | None:
    """What keeps every case from being profiled, once one has met it."""
    first = visit.results.get("ncu/metrics", {}).get("status", "")
    if first.startswith("cannot be started"):
        return f"skipped: Nsight Compute {first}"
    for name, result in visit.results.items():
        if result.get("denied"):
            return f"skipped: the counters were not to be had for {name}: {result['status']}"
    return None


WHY = [
    Experiment("ncu/metrics", Times(4, 20, 2), of_words("ncu", "--query-metrics"), read_metrics),
    *(
        Experiment(f"ncu/{case}", Times(3.5, 20, 3), profile(case), read_profile, no_counters, again=fewer_metrics)
        for case in counters.CASES
    ),
]


# ---- Whole trainings, three of which decide whether the check is passed; then beside PyTorch

def mnist(name: str) -> Callable[[Visit, float], Command]:
    def command(visit: Visit, seconds: float) -> Command:
        options = [*RUNS[name], *(visit.rehearsal.mnist() if visit.rehearsal else [])]
        device = f"cuda:{DEVICE}" if visit.rehearsal else "cuda"
        where = ["--seed", "0", "--device", device, "--out", visit.work / f"mnist-{name}", "--quiet"]
        return Command([visit.kit / "cotangent", "mnist", *options, *where])

    return command


def read_mnist(name: str) -> Callable[[Visit, Ended], dict]:
    def read(visit: Visit, ended: Ended) -> dict:
        return read_run(visit.work / f"mnist-{name}") if ended.status == "ok" else {}

    return read


TRAININGS = [Experiment(f"mnist/{name}", Times(1.5, 15, 1), mnist(name), read_mnist(name)) for name in RUNS]
BENCHES = [
    benches("ceilings", 6, 25),
    benches("products_f32", 21, 60),
    benches("products_bf16", 26, 60),
    benches("memory", 26, 75),
    benches("elementwise", 8, 30),
    benches("batches", 6, 25),
    benches("conversions", 6, 20),
    benches("training", 46, 90),
]

TABLE = [*MACHINE, *RIGHT, *FAST, *TUNED, *WHY, *TRAININGS, *BENCHES]
