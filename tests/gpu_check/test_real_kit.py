"""The whole queue over a real kit, on the emulated driver: that programs are called as they want to be called.

    scripts/gpu-kit
    COTANGENT_GPU_KIT=target/gpu-kit scripts/emulated sh -c \\
        'COTANGENT_EMULATED_DRIVER=${LD_LIBRARY_PATH%%:*} python3 -m unittest discover -s tests/gpu_check -p test_real_kit.py'

The tools of a card are missing here or fake; what is owed for that is named below, and nothing else may be owed.
"""
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

import fakes
from fakes import nvidia_smi

from gpu_check.counters import CASES
from gpu_check.experiments import GROUPS, STEPS, TABLE
from gpu_check.rehearsal import DEVICE
from gpu_check.results import loads

KIT, DRIVER, IMAGE = (os.environ.get(f"COTANGENT_{name}") for name in ("GPU_KIT", "EMULATED_DRIVER", "CUDA_IMAGE"))
WHY_NOT = "COTANGENT_GPU_KIT, COTANGENT_EMULATED_DRIVER and COTANGENT_CUDA_IMAGE name no kit and no driver to rehearse it on"
# What a machine without a card has not got, and what follows from it.
NO_TOOLS = re.compile(
    r"cannot be started: .*(compute-sanitizer|ncu|nvcc)|skipped: Nsight Compute cannot be started"
    r"|compute capability \S+ has no "
)


@unittest.skipUnless(KIT and DRIVER and IMAGE, WHY_NOT)
class RealKit(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.kit, cls.out, tools = Path(KIT).resolve(), Path(folder.name) / "out", Path(folder.name) / "tools"
        tools.mkdir()
        (tools / "nvidia-smi").write_text(f"#!/bin/sh\n{nvidia_smi()}\n")
        (tools / "nvidia-smi").chmod(0o755)
        cls.environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "LD_LIBRARY_PATH": DRIVER}
        command = [cls.kit / "gpu-check", cls.kit, cls.out, "--rehearse"]
        cls.ended = subprocess.run(command, env=cls.environment, capture_output=True, text=True)
        cls.record = loads((cls.out / "record.json").read_text())

    def test_every_experiment_runs_through_but_for_what_this_machine_has_not_got(self) -> None:
        self.assertIn(self.ended.returncode, (0, 1), self.ended.stderr)
        self.assertEqual(self.ended.stderr, "")
        self.assertTrue(self.record["rehearsal"])
        owed = [missing for missing in self.record["owed"] if not self.is_known(missing)]
        unexpected = [f"{missing['experiment']}: {missing['reason']}" for missing in owed]
        stages = {re.split("[/:]", line)[0] for line in unexpected}
        with tarfile.open(self.out / "logs.tar.xz") as packed:
            logs = [packed.extractfile(f"logs/{stage}.log").read()[-2000:].decode(errors="replace") for stage in stages]
        self.assertEqual(unexpected, [], "\n".join(logs))

    def is_known(self, missing: dict) -> bool:
        """Whether this machine is at fault."""
        name, reason = missing["experiment"], missing["reason"]
        without_torch = self.record["torch"] is None and name == "machine/torch"
        return bool(NO_TOOLS.match(reason) or without_torch)

    def test_what_is_right_is_found_right(self) -> None:
        stages = self.record["stages"]
        self.assertEqual([fault for fault in self.record["faults"] if "cannot be started" not in fault], [])
        self.assertGreater(stages["tests"]["passed"], 0)
        self.assertGreater(len(stages["variants"]["checks"]), 0)
        self.assertEqual(stages["machine"]["doctor"]["devices"][DEVICE]["capability"], "9.0")
        for name, result in stages["mnist"].items():
            self.assertEqual(result["status"], "ok", name)

    def test_what_is_measured_is_read(self) -> None:
        """A rehearsal has no figures of kernels; those that it has must have come through."""
        stages = self.record["stages"]
        self.assertGreater(len(stages["tune"]["figures"]), 0)
        self.assertGreater(len(stages["latency"]["figures"]), 0)
        self.assertEqual(self.record["clocks"]["status"], "ok")
        for line in stages["tune"]["figures"] + stages["latency"]["figures"]:
            self.assertIsNotNone(line["machine"], line)

    def test_every_case_is_in_one_group_and_every_profiled_case_is_one(self) -> None:
        ended = subprocess.run([self.kit / "bench-cuda", "--list"], env=self.environment, capture_output=True, text=True)
        names = [line.removesuffix(": benchmark") for line in ended.stdout.splitlines() if "/" in line]
        self.assertGreater(len(names), 50, ended.stdout + ended.stderr)
        for name in names:
            all_groups = (GROUPS | {"step": STEPS}).items()
            groups = [group for group, filters in all_groups if any(part in name for part in filters)]
            if name.startswith(("training_step/", "mnist_epoch/")):
                self.assertIn(groups, (["training", "step"], ["training"], ["step"]), name)
            else:
                self.assertEqual(len(groups), 1, f"{name} is in {groups}")
        self.assertLessEqual(set(CASES), set(names))
        for group, filters in GROUPS.items():
            for part in filters:
                self.assertTrue(any(part in name for name in names), f"{group}: {part} is no case's")

    def test_a_profiled_case_is_launched(self) -> None:
        command = [self.kit / "bench-cuda", "--profile", "fill/65536"]
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        self.assertEqual(ended.returncode, 0, ended.stderr)

    def test_the_program_that_makes_tables_takes_the_rehearsals_record_for_none(self) -> None:
        root = self.out.parent / "repository"
        (root / "docs/gpu").mkdir(parents=True)
        (root / "docs/gpu/card.json").write_text((self.out / "record.json").read_text())
        command = [sys.executable, fakes.SCRIPTS / "gpu-record", "--root", root]
        ended = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("is of a rehearsal", ended.stderr)

    def test_everything_of_the_table_is_in_the_record(self) -> None:
        for experiment in TABLE:
            stage, _, part = experiment.name.partition("/")
            self.assertIn(stage, self.record["stages"])
            if part and stage not in ("machine", "sanitizer"):
                self.assertIn(part, self.record["stages"][stage])


if __name__ == "__main__":
    unittest.main()
