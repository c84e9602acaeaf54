"""scripts/gpu-check without a GPU: over a kit and tools that only print what the real ones would.

    python3 -m unittest discover -s tests/gpu_check

Each fake is a shell script. It writes down how it was called, and prints; a test replaces one of them to see
what becomes of a failure.
"""
import fcntl
import json
import os
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

GPU_CHECK = Path(__file__).resolve().parents[2] / "scripts/gpu-check"

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
OUR_FIGURES = [
    {"name": "ceiling/copy", "seconds": 0.001, "rate": 2.9e12, "unit": "B/s", "fraction": 1.0},
    {"name": "gemm_f32/square/1024", "seconds": 0.003, "rate": 7e11, "unit": "FLOP/s", "fraction": 0.5},
    {"name": "of our own", "seconds": 0.5},
]
PEERS = [
    {"name": "gemm_f32/square/1024", "seconds": 0.002, "peer": "cuBLAS"},
    {"name": "ceiling/copy", "seconds": 0.002, "peer": "PyTorch"},
    {"name": "mnist_epoch/adam", "seconds": 0.4, "peer": "PyTorch eager", "test_accuracy": 0.978},
    {"name": "mnist_epoch/adam", "seconds": 0.1, "peer": "PyTorch CUDA graph", "test_accuracy": 0.978},
]
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
RACE = """
========= COMPUTE-SANITIZER
========= Error: Race reported between Write access at sum and Read access at sum [32 hazards]
=========     at sum.cu:12
========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)
"""


def says(*texts: str) -> str:
    """The command that prints these texts."""
    return shlex.join(["printf", "%s\\n", *texts])


def json_lines(objects: list[dict]) -> str:
    return "\n".join(map(json.dumps, objects))


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


SANITIZER = """
tool=$2
shift 4
"$@" || exit
case $tool in
    racecheck) echo '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)' ;;
    *) echo '========= ERROR SUMMARY: 0 errors' ;;
esac
"""
NVIDIA_SMI = """
case $1 in
    --query-gpu=*) echo 'NVIDIA H100 80GB HBM3, 81559 MiB, 580.159.04' ;;
    *) echo '| NVIDIA-SMI 580.159.04    Driver Version: 580.159.04    CUDA Version: 13.0 |' ;;
esac
"""
TORCH = json.dumps({"torch": "2.11.0", "multiprocessors": 132})
PYTHON = f'if [ "$1" = -c ]; then {says(TORCH)}; else . "$1"; fi'  # torch_cuda.py is a shell script here, too
BENCH = says(json_lines(OUR_FIGURES)) + ' > "$COTANGENT_BENCH_JSON"'


class GpuCheck(unittest.TestCase):
    """Each test has a kit and tools under which everything goes well, and changes one of them."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.calls, self.out = self.folder / "calls", self.folder / "out"
        kit = {"commit": "c0ffee", "trees": {"src": "5c", "kernels": "ce"}, "nvcc": "13.0", "architectures": ["sm_90"]}
        (self.folder / "kit/benches/peers").mkdir(parents=True)
        (self.folder / "tools").mkdir()
        (self.folder / "kit/kit.json").write_text(json.dumps(kit))
        self.fake("kit/cotangent", cotangent())
        self.fake("kit/tests", says(TESTS_PASS))
        self.fake("kit/bench-cuda", BENCH)
        self.fake("kit/benches/peers/torch_cuda.py", says("a warning", json_lines(PEERS)))
        self.fake("tools/nvidia-smi", NVIDIA_SMI)
        self.fake("tools/compute-sanitizer", SANITIZER)
        self.fake("tools/nvcc", says("Cuda compilation tools, release 13.0, V13.0.88"))
        self.fake("tools/python3", PYTHON)
        (self.folder / "tools/mkdir").symlink_to(shutil.which("mkdir"))

    def fake(self, path: str, script: str) -> None:
        file = self.folder / path
        call = f'echo "{Path(path).name} $*" "${{COTANGENT_TEST_DEVICE-}} ${{COTANGENT_TEST_EVERY-}}" >> {self.calls}'
        file.write_text(f"#!/bin/sh\n{call}\n{script}\n")
        file.chmod(0o755)

    def check(self, *options: str) -> subprocess.CompletedProcess:
        """Runs gpu-check, with the fakes alone on PATH."""
        environment = os.environ | {"PATH": str(self.folder / "tools"), "COTANGENT_TEST_EVERY": "99"}
        command = [sys.executable, GPU_CHECK, self.folder / "kit", self.out, *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def record(self) -> dict:
        return json.loads((self.out / "record.json").read_text())

    def passes_but_for(self, *faults: str) -> dict:
        """The record of a check that names these faults, and no others."""
        ended = self.check()
        self.assertEqual((ended.returncode, ended.stderr), (1 if faults else 0, ""))
        record = self.record()
        self.assertEqual(record["faults"], list(faults))
        for fault in faults:
            self.assertIn(fault, ended.stdout)
        return record

    def test_a_sound_build_passes_and_the_record_holds_every_stage(self) -> None:
        record = self.passes_but_for()
        stages = record["stages"]
        self.assertEqual(list(stages), ["machine", "tests", "sanitizer", "mnist", "benches", "peers"])
        self.assertEqual(list(stages["sanitizer"]), ["memcheck", "racecheck", "initcheck", "synccheck"])
        self.assertEqual(list(stages["mnist"]), ["adagrad", "rmsprop", "adam", "adam-bf16"])
        for stage in stages:
            self.assertTrue((self.out / f"{stage}.log").read_text().startswith("$ "), stage)
        head = [record[key] for key in ("commit", "trees", "card", "driver", "toolkit", "torch")]
        self.assertEqual(head, ["c0ffee", {"src": "5c", "kernels": "ce"}, "NVIDIA H100 80GB HBM3", "580.159.04", "13.0", "2.11.0"])
        machine = [stages["machine"][key] for key in ("memory", "cuda", "nvcc", "multiprocessors", "doctor")]
        self.assertEqual(machine, ["81559 MiB", "13.0", "13.0.88", 132, DOCTOR])
        self.assertEqual([stages["tests"][key] for key in ("passed", "failed", "failures")], [2, 0, []])
        adam = [stages["mnist"]["adam"][key] for key in ("test_accuracy", "epoch_seconds", "first_epoch_seconds")]
        self.assertEqual(adam, [0.9812, 0.2, 0.3])

    def test_programs_are_called_as_they_are_written_to_be(self) -> None:
        self.check()
        calls = [call.rstrip() for call in self.calls.read_text().splitlines()]
        run = f"--epochs 10 --seed 0 --device cuda --out {self.out.resolve()}/mnist"
        tests = self.folder.resolve() / "kit/tests"
        for call in [
            "cotangent doctor --format json",
            "tests kernels:: operations:: products:: random_graphs:: on_device:: --skip command_line:: --test-threads 1 cuda",
            f"compute-sanitizer --tool racecheck --error-exitcode 9 {tests} kernels:: --test-threads 1 cuda 7",
            "tests kernels:: --test-threads 1 cuda 3",
            f"cotangent mnist --opt rmsprop {run}-rmsprop --quiet",
            f"cotangent mnist --opt adam {run}-adam-bf16 --quiet".replace("0 --device", "0 --precision bf16 --device"),
            "bench-cuda --bench",
        ]:
            self.assertIn(call, calls)

    def test_a_ratio_below_one_means_that_ours_is_faster(self) -> None:
        record = self.passes_but_for()
        ratios = [(figure["name"], figure["peer"], figure["ratio"]) for figure in record["figures"]]
        self.assertIn(("ceiling/copy", "PyTorch", 0.5), ratios)  # 1 ms against 2
        self.assertIn(("gemm_f32/square/1024", "cuBLAS", 1.5), ratios)  # 3 ms against 2
        self.assertIn(("mnist_epoch/adam", "PyTorch eager", 0.5), ratios)  # 0.2 s, the median epoch, against 0.4
        self.assertIn(("mnist_epoch/adam", "PyTorch CUDA graph", 2.0), ratios)
        self.assertIn(("of our own", None, None), ratios)
        copy = next(figure for figure in record["figures"] if figure["name"] == "ceiling/copy")
        self.assertEqual([copy["rate"], copy["unit"], copy["fraction"]], [2.9e12, "B/s", 1.0])

    def test_where_the_record_is_kept_is_said(self) -> None:
        self.assertRegex(self.check().stdout, r"docs/gpu/nvidia-h100-80gb-hbm3-\d{4}-\d\d-\d\d\.json")

    def test_an_emulated_card_is_refused(self) -> None:
        self.fake("kit/cotangent", cotangent(doctor=DOCTOR | {"devices": [{"name": "emulated 9.0"}]}))
        ended = self.check()
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertRegex(ended.stderr, r"^gpu-check: emulated 9.0 is no card: .* are no figures\n$")

    def test_a_machine_without_a_driver_is_refused(self) -> None:
        (self.folder / "tools/nvidia-smi").unlink()
        ended = self.check()
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertRegex(ended.stderr, r"^gpu-check: nvidia-smi finds no card .*\n$")

    def test_results_are_not_mixed_with_older_ones(self) -> None:
        self.check()
        ended = self.check()
        self.assertEqual(ended.returncode, 2)
        self.assertIn("is no empty folder", ended.stderr)

    def test_a_failing_test_is_named(self) -> None:
        self.fake("kit/tests", f"{says(TESTS_FAIL)}; exit 101")
        self.fake("tools/compute-sanitizer", SANITIZER.replace('"$@" || exit', says(TESTS_PASS)))
        record = self.passes_but_for("tests: 1 passed, 1 failed; exit status 101; kernels::sum::sums_agree")
        self.assertEqual(record["stages"]["tests"]["failures"], ["kernels::sum::sums_agree"])

    def test_that_no_test_ran_is_no_success(self) -> None:
        self.fake("kit/tests", says("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 302 filtered out"))
        none, clean = "0 passed, 0 failed", "0 errors; 0 passed, 0 failed"
        tools = ["memcheck", "racecheck", "initcheck", "synccheck"]
        self.passes_but_for(f"tests: {none}", *[f"{tool}: {clean}" for tool in tools])

    def test_a_race_is_told_with_its_first_line(self) -> None:
        race = f'if [ "$2" = racecheck ]; then {says(TESTS_PASS, RACE)}; exit 9; fi\n'
        self.fake("tools/compute-sanitizer", race + SANITIZER)
        message = "Error: Race reported between Write access at sum and Read access at sum [32 hazards]"
        record = self.passes_but_for(f"racecheck: 1 errors; 2 passed, 0 failed; exit status 9; {message}")
        racecheck = record["stages"]["sanitizer"]["racecheck"]
        self.assertEqual([racecheck["errors"], racecheck["first"]], [1, [message]])

    def test_a_sanitizer_that_says_nothing_has_not_found_nothing(self) -> None:
        silent = f'if [ "$2" = memcheck ]; then {says(TESTS_PASS)}; exit 0; fi\n'
        self.fake("tools/compute-sanitizer", silent + SANITIZER)
        self.passes_but_for("memcheck: no summary; 2 passed, 0 failed")

    def test_an_optimizer_below_98_percent_does_not_pass(self) -> None:
        self.fake("kit/cotangent", cotangent(summary=SUMMARY | {"test_accuracy": 0.9799, "seconds_to_98": None}))
        self.passes_but_for(*[f"mnist {name}: 0.9799" for name in ("adagrad", "rmsprop", "adam")])

    def test_results_that_cannot_be_read_stop_nothing(self) -> None:
        self.fake("kit/cotangent", cotangent(summary={"test_accuracy": None}))
        ended = self.check()
        record = self.record()
        self.assertEqual((ended.returncode, ended.stderr), (1, ""))
        self.assertEqual(record["stages"]["peers"]["status"], "ok")
        self.assertRegex(record["faults"][0], "mnist adagrad: its results cannot be read: KeyError")

    def test_a_crash_loses_neither_earlier_nor_later_stages(self) -> None:
        self.fake("kit/bench-cuda", BENCH + "\nprintf '{\"name\": \"cut o' >> \"$COTANGENT_BENCH_JSON\"\nkill -ABRT $$")
        record = self.passes_but_for()
        benches = record["stages"]["benches"]
        self.assertEqual([benches["status"], benches["figures"]], ["ended by SIGABRT", OUR_FIGURES])
        self.assertEqual(record["stages"]["tests"]["passed"], 2)
        self.assertEqual(record["stages"]["peers"]["figures"], PEERS)

    def test_a_missing_tool_stops_nothing(self) -> None:
        (self.folder / "tools/compute-sanitizer").unlink()
        (self.folder / "tools/python3").unlink()
        ended = self.check()
        stages = self.record()["stages"]
        self.assertEqual((ended.returncode, ended.stderr), (1, ""))
        self.assertIn("cannot be started", stages["sanitizer"]["memcheck"]["status"])
        self.assertIn("cannot be started", stages["peers"]["status"])
        self.assertEqual(stages["benches"]["figures"], OUR_FIGURES)

    def test_all_limits_together_are_within_the_budget(self) -> None:
        gpu_check = runpy.run_path(str(GPU_CHECK))
        limits = gpu_check["LIMITS"]
        times = {"sanitizer": len(gpu_check["TOOLS"]), "mnist": len(gpu_check["RUNS"])}
        self.assertLessEqual(sum(limit * times.get(stage, 1) for stage, limit in limits.items()), gpu_check["BUDGET"])

    def test_what_takes_too_long_is_ended_and_the_rest_is_skipped(self) -> None:
        lock = self.folder / "lock"
        hold = f"import fcntl, time; file = open({str(lock)!r}, 'w'); fcntl.flock(file, fcntl.LOCK_EX); time.sleep(60)"
        background = shlex.join([sys.executable, "-c", hold]) + " & wait"
        self.fake("kit/tests", f"{says(TESTS_PASS.splitlines()[1])}; {background}")
        start = time.monotonic()
        ended = self.check("--budget", "4")
        self.assertLess(time.monotonic() - start, 10)
        stages = self.record()["stages"]
        self.assertEqual((ended.returncode, ended.stderr), (1, ""))
        self.assertEqual(stages["machine"]["status"], "ok")
        self.assertRegex(stages["tests"]["status"], r"timed out after \d s")
        self.assertEqual(stages["tests"]["passed"], 1)
        self.assertEqual(stages["peers"]["status"], "skipped: out of time")
        self.assertEqual(stages["sanitizer"]["racecheck"]["status"], "skipped: out of time")
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # so what the program started is gone, too


if __name__ == "__main__":
    unittest.main()
