"""What scripts/gpu-kit writes about a build, over a small repository.

    python3 -m unittest discover -s tests/gpu_check
"""
import json
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

import fakes
from fakes import says

from gpu_check.kit import described, families, newest_record, pack, parts, sizes


class Kit(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name) / "repository"
        self.kernels = self.root / "kernels"
        self.kernels.mkdir(parents=True)
        self.git("init", "-q")
        including = {"gemm.cu": '#include "gemm.cuh"\n', "gemm.cuh": '# include "ptx.cuh"'}
        for name, text in ({"sum.cu": "", "ptx.cuh": ""} | including).items():
            (self.kernels / name).write_text(text)
        self.commit("2026-11-01")
        self.measured = self.git("rev-parse", "HEAD:kernels")

    def git(self, *arguments: str, date: str = "") -> str:
        author = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
        environment = os.environ | ({"GIT_COMMITTER_DATE": f"{date}T12:00:00Z"} if date else {})
        command = ["git", *author, "-C", self.root, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()

    def commit(self, date: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "a change", date=date)

    def tree(self) -> str:
        """Of the kernels as they lie there."""
        self.git("add", "-A")
        tree = self.git("rev-parse", f"{self.git('write-tree')}:kernels")
        self.git("reset", "-q")
        return tree

    def told(self, record: dict, tests: tuple[str, ...] = ()) -> list[tuple[str, str, bool]]:
        found = families(self.root, self.tree(), record, list(tests))
        return [(family["family"], family["date"][:10], family["changed"]) for family in found]

    def test_families_are_those_of_the_kernels_newest_first(self) -> None:
        (self.kernels / "sum.cu").write_text("faster")
        self.commit("2026-11-20")
        record = {"date": "2026-11-10T00:00:00+00:00"}
        self.assertEqual(self.told(record), [("sum", "2026-11-20", True), ("gemm", "2026-11-01", False)])
        self.assertEqual(self.told({}), [("sum", "2026-11-20", True), ("gemm", "2026-11-01", True)], "nothing was measured")

    def test_kernels_for_hopper_are_one_family_and_those_of_the_ladder_none(self) -> None:
        for path in ("hopper/ring.cu", "hopper/tile.cu", "ladder/1-plain.cu"):
            (self.kernels / path).parent.mkdir(exist_ok=True)
            (self.kernels / path).write_text('#include "ptx.cuh"')
        self.commit("2026-11-20")
        found = families(self.root, self.tree(), {}, ["kernels::hopper::ring::a", "kernels::hopper::tile::b"])
        self.assertEqual([(family["family"], family["tests"]) for family in found[:1]], [("hopper", 2)])
        self.assertEqual({family["family"] for family in found}, {"hopper", "gemm", "sum"})

    def test_a_header_dates_the_families_that_include_it(self) -> None:
        self.assertEqual(parts(self.kernels, "gemm.cu"), {"gemm.cu", "gemm.cuh", "ptx.cuh"})
        (self.kernels / "ptx.cuh").write_text("another instruction")
        self.commit("2026-11-20")
        told = self.told({"date": "2026-11-10T00:00:00+00:00"})
        self.assertEqual(told, [("gemm", "2026-11-20", True), ("sum", "2026-11-01", False)])

    def test_a_record_that_names_trees_is_compared_by_what_they_hold(self) -> None:
        record = {"date": "2030-01-01T00:00:00+00:00", "trees": {"kernels": self.measured}}
        (self.kernels / "sum.cu").write_text("faster")
        self.commit("2026-11-20")
        self.assertEqual(self.told(record), [("sum", "2026-11-20", True), ("gemm", "2026-11-01", False)])
        (self.kernels / "sum.cu").write_text("")
        self.commit("2026-11-21")
        self.assertEqual(self.told(record), [("sum", "2026-11-21", False), ("gemm", "2026-11-01", False)])
        unknown = {"date": "2026-11-10T00:00:00+00:00", "trees": {"kernels": "0" * 40}}
        self.assertEqual(self.told(unknown), [("sum", "2026-11-21", True), ("gemm", "2026-11-01", False)])

    def test_what_is_not_committed_is_the_newest(self) -> None:
        (self.kernels / "new.cu").write_text("")
        (self.kernels / "gemm.cuh").write_text("changed")
        record = {"date": "2030-01-01T00:00:00+00:00", "trees": {"kernels": self.measured}}
        found = {name: changed for name, date, changed in self.told(record) if date > "2026-11-01"}
        self.assertEqual(found, {"new": True, "gemm": True})

    def test_tests_of_a_family_are_counted_by_their_names(self) -> None:
        tests = ["kernels::gemm::a", "kernels::gemm::b", "kernels::gemm_bf16::c", "operations::gemm::d"]
        found = families(self.root, self.tree(), {}, tests)
        self.assertEqual({family["family"]: family["tests"] for family in found}, {"gemm": 2, "sum": 0})

    def test_the_newest_record_is_the_one_of_the_latest_date(self) -> None:
        self.assertEqual(newest_record(self.root), (None, {}))
        (self.root / "docs/gpu").mkdir(parents=True)
        for name, date in (("z.json", "2026-11-01"), ("a.json", "2026-11-02")):
            (self.root / "docs/gpu" / name).write_text(json.dumps({"date": date}))
        self.assertEqual(newest_record(self.root)[0], "a.json")

    def test_the_kit_is_described_by_what_its_programs_say(self) -> None:
        kit = self.root / "kit"
        (kit / "data").mkdir(parents=True)
        (kit / "data/images").write_text("1234567")
        doctor = json.dumps({"build": {"nvcc": "13.0", "images": ["sm_90"]}})
        for name, said in {"cotangent": doctor, "tests": "kernels::sum::sums_agree: test\n\n1 test, 0 benchmarks"}.items():
            (kit / name).write_text(f"#!/bin/sh\n{says(said)}\n")
            (kit / name).chmod(0o755)
        (self.kernels / "tuning.csv").write_text("card,variant\nNVIDIA H100,64x64\n")
        trees = {"src": "5c", "kernels": self.tree()}
        found = described(self.root, kit, "c0ffee", trees, {"cotangent": 12.0})
        told = [found[key] for key in ("commit", "trees", "nvcc", "architectures", "since", "build_seconds", "tuning")]
        rows = [{"card": "NVIDIA H100", "variant": "64x64"}]
        self.assertEqual(told, ["c0ffee", trees, "13.0", ["sm_90"], None, {"cotangent": 12.0}, rows])
        self.assertEqual(found["sizes"]["data"], 7)
        self.assertEqual(next(family["tests"] for family in found["families"] if family["family"] == "sum"), 1)

    def test_a_build_without_kernels_is_no_kit(self) -> None:
        kit = self.root / "kit"
        kit.mkdir()
        doctor = json.dumps({"build": {"nvcc": None, "images": []}})
        (kit / "cotangent").write_text(f"#!/bin/sh\n{says(doctor)}\n")
        (kit / "cotangent").chmod(0o755)
        with self.assertRaisesRegex(SystemExit, "no nvcc was found, so the kit would hold no kernels"):
            described(self.root, kit, "c0ffee", {"kernels": self.tree()}, {})

    def test_what_programs_have_in_common_is_packed_once(self) -> None:
        kit = self.root / "kit"
        kit.mkdir()
        common = os.urandom(1 << 20)
        for name in ("tests", "bench-cuda", "bench-tune"):
            (kit / name).write_bytes(os.urandom(1 << 16) + common)
            (kit / name).chmod(0o755)
        archive = self.root / "kit.tar.xz"
        pack(kit, archive)
        self.assertLess(archive.stat().st_size, 1.3 * (1 << 20))
        with tarfile.open(fileobj=lzma.open(archive)) as opened:
            files = {member.name for member in opened if member.isfile()}
            self.assertEqual(files, {"kit/tests", "kit/bench-cuda", "kit/bench-tune"})
            self.assertEqual(opened.getmember("kit/tests").mode & 0o111, 0o111)
            self.assertEqual(opened.extractfile("kit/bench-tune").read()[1 << 16 :], common)

    def test_sizes_are_those_of_files_and_folders(self) -> None:
        self.assertEqual(sizes(self.root)["kernels"], sum(file.stat().st_size for file in self.kernels.iterdir()))


CARGO = """
all=$*
echo "cargo $all" >> {calls}
made() {{
    echo '{{"reason": "compiler-artifact", "target": {{"name": "another", "kind": ["lib"]}}, "executable": null}}'
    echo '{{"target": {{"name": "'"$1"'", "kind": ["'"$2"'"]}}, "executable": "{made}/'"$3"'"}}'
}}
case "$all" in
    *are_compiled*) echo; echo 'candidates: {made}/images' ;;
    *--bench\\ *) name=${{all#*--bench }}; name=${{name%% *}}; made "$name" bench "bench-$name" ;;
    *--no-run*) made cotangent test tests ;;
    *--example\\ *) made lab example lab ;;
    build*) made cotangent bin cotangent ;;
esac
"""


class Script(unittest.TestCase):
    """scripts/gpu-kit itself, over a cargo that only says what it made."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root, self.made = Path(folder.name) / "repository", Path(folder.name) / "made"
        shutil.copytree(fakes.SCRIPTS, self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("src/lib.rs", "kernels/sum.cu", "kernels/ptx.cuh", "kernels/ladder/1-plain.cu", "benches/peers/torch_cuda.py", "data/mnist/images", ".gitignore"):
            (self.root / file).parent.mkdir(parents=True, exist_ok=True)
            (self.root / file).write_text("/target/\n__pycache__/\n")
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
            author = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
            subprocess.run(["git", *author, "-C", self.root, *words], check=True)
        (self.made / "images").mkdir(parents=True)
        for family in ("gemm", "gemm_bf16"):
            (self.made / f"images/{family}.fatbin").write_text(family)
        doctor = json.dumps({"build": {"nvcc": "13.0", "images": ["sm_90"]}})
        for name in ("cotangent", "bench-cuda", "bench-latency", "bench-tune", "lab"):
            self.program(self.made / name, says(doctor))
        self.program(self.made / "tests", says("kernels::sum::sums_agree: test"))
        self.calls, tools = self.made / "calls", self.made / "tools"
        tools.mkdir()
        self.program(tools / "cargo", CARGO.format(calls=self.calls, made=self.made))
        self.program(tools / "rustc", says("rustc 1.95.0"))
        self.program(tools / "strip", 'cp "$3" "$2"')
        self.path = f"{tools}:{os.environ['PATH']}"

    def program(self, file: Path, script: str) -> None:
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)

    def run_it(self) -> subprocess.CompletedProcess:
        command = [self.root / "scripts/gpu-kit"]
        return subprocess.run(command, env=os.environ | {"PATH": self.path}, capture_output=True, text=True)

    def test_the_kit_holds_what_a_visit_needs(self) -> None:
        ended = self.run_it()
        self.assertEqual(ended.returncode, 0, ended.stderr)
        kit = self.root / "target/gpu-kit"
        for file in [
            "cotangent", "tests", "bench-cuda", "bench-latency", "bench-tune", "gpu-check", "gpu_check/main.py", "kit.json",
            "benches/peers/torch_cuda.py", "data/mnist/images", "candidates/gemm.fatbin", "candidates/gemm_bf16.fatbin",
            "lab", "kernels/ptx.cuh", "kernels/ladder/1-plain.cu",
        ]:
            self.assertTrue((kit / file).is_file(), file)
        found = json.loads((kit / "kit.json").read_text())
        self.assertNotIn("dirty", found["commit"])
        self.assertEqual(list(found["trees"]), ["src", "kernels", "benches"])
        self.assertEqual({len(tree) for tree in found["trees"].values()}, {40})
        programs = ["cotangent", "tests", "bench-cuda", "bench-latency", "bench-tune", "lab"]
        self.assertEqual(list(found["build_seconds"]), [*programs, "candidates"])
        self.assertEqual(found["sizes"]["candidates"], len("gemm" + "gemm_bf16"))
        self.assertEqual([family["tests"] for family in found["families"]], [1])
        ended = subprocess.run([kit / "gpu-check", "--help"], capture_output=True, text=True)
        self.assertIn("KIT OUT", ended.stdout, ended.stderr)
        self.assertTrue((self.root / "target/gpu-kit.tar.xz").is_file())

    def test_a_program_or_a_kit_that_is_too_large_is_none(self) -> None:
        with (self.made / "cotangent").open("ab") as file:
            file.truncate(33 << 20)
        self.assert_fails("the program is 33 MiB, more than 32")
        self.program(self.made / "cotangent", says(json.dumps({"build": {"nvcc": "13.0", "images": ["sm_90"]}})))
        script = self.root / "scripts/gpu-kit"
        self.assertIn("most=60 # MiB", script.read_text())
        script.write_text(script.read_text().replace("most=60 # MiB", "most=1 # MiB"))  # packing 60 takes a minute
        (self.made / "images/gemm.fatbin").write_bytes(os.urandom(2 << 20))
        self.assert_fails("the packed kit, target/gpu-kit.tar.xz, is 2 MiB, more than 1")

    def test_a_kit_that_takes_too_long_to_build_is_none(self) -> None:
        script = self.root / "scripts/gpu-kit"
        self.assertIn("most_to_build=3600 # s", script.read_text())
        script.write_text(script.read_text().replace("most_to_build=3600 # s", "most_to_build=-1 # s"))
        self.assert_fails(" s, more than -1 (cotangent ")

    def test_what_was_not_made_is_named(self) -> None:
        self.program(self.made / "tools/cargo", says("{}"))
        self.assert_fails("made no bin cotangent")
        self.program(self.made / "tools/cargo", CARGO.format(calls=self.calls, made=self.made))
        shutil.rmtree(self.made / "images")
        self.assert_fails("the test program names no folder of candidates")

    def assert_fails(self, words: str) -> None:
        ended = self.run_it()
        self.assertEqual(ended.returncode, 1, ended.stdout)
        self.assertIn(words, ended.stderr)


if __name__ == "__main__":
    unittest.main()
