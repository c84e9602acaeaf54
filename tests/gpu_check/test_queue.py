"""The queue's arithmetic, and what it does to experiments that take too long.

    python3 -m unittest discover -s tests/gpu_check
"""
import fcntl
import json
import shlex
import signal
import subprocess
import sys
import time
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from fakes import CHECKS, GPU_CHECK, HANG, FakeKit, says

from gpu_check import main, record
from gpu_check.counters import CASES
from gpu_check.experiments import MACHINE, TABLE, Experiment, Visit, newest
from gpu_check.packing import MOST_PACKED, SECONDS_TO_PACK, pack
from gpu_check.programs import CUT_OFF, Ended
from gpu_check.queue import BUDGET, OUT_OF_TIME, Budget, Times, expected, granted


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Arithmetic(unittest.TestCase):
    def test_an_experiment_gets_its_limit_or_what_is_left_and_does_not_start_in_less_than_it_can_use(self) -> None:
        times = Times(expected=10, limit=30, least=5)
        for left, seconds in ((100, 30), (30, 30), (29, 29), (5, 5), (4.9, None), (0, None), (-3, None)):
            self.assertEqual(granted(times, left), seconds, left)

    def test_a_budget_runs_down_by_its_clock(self) -> None:
        clock = Clock()
        budget = Budget(60, clock)
        clock.now += 45.5
        self.assertEqual(budget.left(), 14.5)
        clock.now += 20
        self.assertEqual(budget.left(), -5.5)

    def test_the_default_budget_holds_more_than_what_everything_is_expected_to_take(self) -> None:
        spent = expected(experiment.times for experiment in TABLE) + SECONDS_TO_PACK
        self.assertLessEqual(spent, 0.9 * BUDGET, "a tenth is left for what takes longer than on the card of today")

    def test_the_table_is_in_order_of_worth_and_makes_sense(self) -> None:
        names = [experiment.name for experiment in TABLE]
        self.assertEqual(len(names), len(set(names)))
        stages = list(dict.fromkeys(name.split("/")[0] for name in names))
        self.assertEqual(stages, [
            "machine", "variants", "tests", "sanitizer", "tune", "latency", "step", "tuned", "ncu", "mnist", "benches",
        ])
        sanitizers = [name.split("/")[2] for name in names if name.startswith("sanitizer")]
        self.assertEqual(sanitizers, ["newest"] * 4 + ["rest"] * 4)
        self.assertLessEqual(len(CASES), 15)
        for experiment in TABLE:
            times = experiment.times
            self.assertLessEqual(times.least, times.expected, experiment.name)
            self.assertLess(times.expected, times.limit, experiment.name)

    def test_the_newest_families_are_those_that_changed_and_at_least_three(self) -> None:
        def family(name: str, changed: bool, tests: int = 1) -> dict:
            return {"family": name, "changed": changed, "tests": tests}

        old = [family(name, False) for name in "vwxyz"]
        self.assertEqual(newest({"families": old}), ["v", "w", "x"])
        self.assertEqual(newest({"families": [family("a", True), *old]}), ["a", "v", "w"])
        self.assertEqual(newest({"families": [family(name, True) for name in "abcd"] + old}), ["a", "b", "c", "d"])
        self.assertEqual(newest({"families": [*old[:1], family("a", True), *old[1:]]}), ["a", "v", "w"])
        self.assertEqual(newest({"families": [family("a", True, tests=0), family("b", True)]}), ["b"])
        self.assertEqual(newest({}), [])


class WholeQueue(unittest.TestCase):
    """The table run against a clock, with programs that take as long as a test says."""

    def visit(self, budget: float, takes: dict[str, float]) -> tuple[dict[str, float], dict]:
        """What each experiment was granted, and the record."""
        clock, grants = Clock(), {}

        def run(queue: main.Queue, experiment: Experiment, seconds: float) -> Ended:
            grants[experiment.name] = seconds
            took = takes.get(experiment.name, experiment.times.expected)
            clock.now += min(took, seconds)
            status = "ok" if took <= seconds else f"timed out after {seconds:.0f} s"
            return Ended(status, min(took, seconds), clock.now - took, clock.now, "")

        base = {"rehearsal": False, "kit": {}}
        visit = Visit(Path("kit"), Path("out"), {"families": [{"family": "sum", "changed": True, "tests": 1}]})
        queue = main.Queue(visit, Budget(budget, clock), Path(), base)
        table = [replace(experiment, read=lambda visit, ended: {}) for experiment in TABLE]
        with mock.patch.object(main.Queue, "run", run), mock.patch.object(main.Queue, "save"):
            for experiment in table:
                queue.perform(experiment)
        return grants, record.owed(TABLE, visit.results)

    def test_all_of_it_fits_the_default_budget(self) -> None:
        grants, owed = self.visit(BUDGET - SECONDS_TO_PACK, {})
        # Nothing was read, so no choice is faster than today's, for which steps would be timed again.
        self.assertEqual(set(grants), {experiment.name for experiment in TABLE} - {"tuned/step"})
        self.assertEqual(owed, [])

    def test_what_hangs_costs_its_limit_and_the_least_valuable(self) -> None:
        grants, owed = self.visit(BUDGET - SECONDS_TO_PACK, {"tests": 1e9, "variants": 1e9})
        self.assertEqual([grants["variants"], grants["tests"]], [60, 120])
        reasons = {missing["experiment"]: missing["reason"] for missing in owed}
        self.assertEqual(reasons["tests"], "timed out after 120 s")
        lost = [name for name, reason in reasons.items() if reason == OUT_OF_TIME]
        self.assertIn("benches/training", lost)
        self.assertNotIn("benches/products_f32", lost)
        spent = sum(experiment.times.expected for experiment in TABLE if experiment.name in grants.keys() - reasons) + 60 + 120
        self.assertLessEqual(spent, BUDGET)

    def test_time_that_one_does_not_use_is_there_for_the_next(self) -> None:
        quick = {experiment.name: 0.1 for experiment in TABLE if experiment.name != "tests"}
        grants, owed = self.visit(100, quick)
        self.assertAlmostEqual(grants["tests"], 100 - 0.1 * (len(MACHINE) + 1))
        grants, owed = self.visit(100, quick | {"tests": 50})
        self.assertEqual(owed, [])

    def test_what_fits_is_started_after_what_does_not(self) -> None:
        """Once the budget has no room for one, a shorter one after it still runs."""
        grants, owed = self.visit(30, {"variants": 1e9})
        reasons = {missing["experiment"]: missing["reason"] for missing in owed}
        self.assertEqual(grants["variants"], 30 - sum(experiment.times.expected for experiment in MACHINE))
        self.assertEqual(reasons["tests"], OUT_OF_TIME)
        first = sum(experiment.times.expected for experiment in MACHINE)
        grants, _ = self.visit(first + 8, {"variants": 4})
        self.assertNotIn("tests", grants)
        self.assertIn("latency", grants)


class TooLong(FakeKit):
    def held(self) -> tuple[str, Path]:
        """A program that starts another in the background, which holds a lock; and the lock."""
        lock = self.folder / "lock"
        hold = f"import fcntl, time; file = open({str(lock)!r}, 'w'); fcntl.flock(file, fcntl.LOCK_EX); time.sleep(60)"
        return shlex.join([sys.executable, "-c", hold]), lock

    def assert_free(self, lock: Path) -> None:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # so what the program started is gone, too

    def test_what_takes_too_long_is_ended_and_the_rest_is_owed(self) -> None:
        hold, lock = self.held()
        self.fake("kit/bench-tune", f"{says(json.dumps(CHECKS[0]))}; {hold} & wait")
        ended = self.check("--budget", str(8 + SECONDS_TO_PACK))
        found = self.record()
        self.assertEqual((ended.returncode, ended.stderr), (1, ""))
        self.assertEqual(found["stages"]["machine"]["status"], "ok")
        variants = found["stages"]["variants"]
        self.assertRegex(variants["status"], r"timed out after \d s")
        self.assertEqual(variants["checks"], CHECKS[:1], "what it had printed by then is kept")
        owed = self.owed(found)
        self.assertEqual(owed["benches/training"], [OUT_OF_TIME])
        self.assertEqual(owed["sanitizer/racecheck/newest"], [OUT_OF_TIME])
        self.assertRegex(owed["variants"][0], "timed out")
        self.assertEqual(owed["tests"], [OUT_OF_TIME])
        self.assertIn("racecheck: no summary; newest skipped: out of time; rest skipped: out of time", found["faults"])
        self.assertIn("mnist adam: skipped: out of time", found["faults"])
        self.assert_free(lock)

    def test_what_a_program_leaves_behind_is_ended_with_it(self) -> None:
        hold, lock = self.held()
        self.fake("kit/bench-latency", f"{hold} & while [ ! -e {lock} ]; do sleep 0.01; done")
        self.check()
        self.assert_free(lock)

    def test_a_record_is_whole_and_names_what_is_owed_while_an_experiment_hangs(self) -> None:
        early = says(json.dumps({"name": "early", "seconds": 1}))
        self.fake("kit/bench-cuda", f'{early} > "$COTANGENT_BENCH_JSON"; {HANG}')
        environment = {"PATH": str(self.folder / "tools")}
        command = [sys.executable, GPU_CHECK, self.folder / "kit", self.out]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        self.wait_for(lambda: self.calls.exists() and "bench-cuda --bench training_step/" in self.calls.read_text())
        found = self.record()
        owed = self.owed(found)
        self.assertEqual(found["stages"]["latency"]["status"], "ok")
        self.assertEqual(found["stages"]["tests"]["passed"], 2)
        self.assertNotIn("latency", owed)
        for name in ("step", "ncu/adam/535818", "mnist/adam"):
            self.assertEqual(owed[name], [record.NOT_BEGUN])
        self.assertIn(f"mnist adam: {record.NOT_BEGUN}", found["faults"])
        self.wait_for((self.out / "work/bench-step.jsonl").exists)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 128 + signal.SIGTERM)
        process.stderr.close()
        owed = self.owed(self.record())
        self.assertEqual([owed["step"], owed["mnist/adam"]], [[CUT_OFF], [record.NOT_BEGUN]])
        self.assertEqual(self.record()["stages"]["step"]["figures"][0]["name"], "early", "what it had written is kept")
        self.assertIn("step.log", self.packed())
        self.assertLessEqual(len(list(self.out.iterdir())), 4)

    def test_what_cannot_be_packed_stays(self) -> None:
        work, archive = self.folder / "work", self.folder / "logs.tar.xz"
        work.mkdir()
        (work / "tests.log").write_text("ok")
        with mock.patch("tarfile.TarFile.addfile", side_effect=OSError("no space left")), self.assertRaises(OSError):
            pack(work, archive)
        self.assertTrue((work / "tests.log").exists())
        self.assertEqual([file.name for file in self.folder.glob("logs*")], [])

    def test_a_flood_of_output_fills_no_disk(self) -> None:
        flood = "import os\nwhile True: os.write(1, b'{\"name\": \"x\", \"seconds\": 1}\\n' * 100000)"
        small = f"import sys; sys.argv[0] = {str(GPU_CHECK)!r}; sys.path.insert(0, {str(GPU_CHECK.parent)!r})\n" \
            "from gpu_check import programs, results; programs.LARGEST_FILE = 1 << 23; results.MOST_LINES = 100\n" \
            "from gpu_check.main import main; main()"
        self.fake("kit/bench-latency", f"exec {shlex.join([sys.executable, '-c', flood])}")
        command = [sys.executable, "-c", small, self.folder / "kit", self.out]
        environment = {"PATH": str(self.folder / "tools")}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=60)
        self.assertEqual(len(self.packed()["latency.log"]), MOST_PACKED)
        found = self.record()
        self.assertRegex(self.owed(found)["latency"][0], "exit status|ended by SIGXFSZ")
        self.assertEqual(len(found["stages"]["latency"]["figures"]), 100)
        self.assertEqual(found["stages"]["tests"]["passed"], 2)


if __name__ == "__main__":
    unittest.main()
