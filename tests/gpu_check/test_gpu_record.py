"""scripts/gpu-record over a small repository with a record of its own.

    python3 -m unittest discover -s tests/gpu_check
"""
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from fakes import timed

GPU_RECORD = Path(__file__).resolve().parents[2] / "scripts/gpu-record"

HEADER = "card,precision,transposes,m,n,k,variant,splits\n"

PAGE = """# Performance

<!-- docs/gpu/card.json: ceilings -->
old figures
<!-- end -->

<!-- docs/gpu/card.json: step -->
<!-- end -->
"""


def figure(name: str, ours: float, peer: float | None = None) -> dict:
    ratio = None if peer is None else ours / peer
    return {
        "name": name, "ours_seconds": ours, "peer_seconds": peer, "peer": peer and "PyTorch eager", "ratio": ratio,
        "rate": 65.236, "unit": "TFLOP/s", "fraction": 1.0,
    }


class GpuRecord(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name) / "repository"
        for file in ("src/lib.rs", "kernels/sum.cu", "benches/cuda.rs"):
            (self.root / file).parent.mkdir(parents=True)
            (self.root / file).write_text(file)
        self.git("init", "-q")
        self.commit("what is measured")
        trees = {name: self.git("rev-parse", f"HEAD:{name}") for name in ("src", "kernels", "benches")}
        # Later commits change the source; the trees that were measured stay in the history.
        (self.root / "src/lib.rs").write_text("more")
        self.figures = [figure(f"ceiling/{name}", 0.01) for name in ("copy", "fma", "mma")]
        self.figures += [figure("training_step/adam", 62.2e-6, 856e-6)]
        (self.root / "docs/gpu").mkdir(parents=True)
        (self.root / "docs/performance.md").write_text(PAGE)
        (self.root / "kernels/tuning.csv").write_text(HEADER)
        self.found = {"trees": trees, "figures": self.figures, "card": "H100", "date": "2026-12-01", "stages": {}}
        self.keep(self.found)
        self.commit("its record")

    def git(self, *arguments: str) -> str:
        author = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
        command = ["git", *author, "-C", self.root, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def keep(self, record: dict, name: str = "card.json") -> None:
        (self.root / "docs/gpu" / name).write_text(json.dumps(record))

    def page(self) -> str:
        return (self.root / "docs/performance.md").read_text()

    def record(self, *options: str, root: Path | None = None) -> subprocess.CompletedProcess:
        command = [sys.executable, GPU_RECORD, "--root", root or self.root, *options]
        return subprocess.run(command, capture_output=True, text=True)

    def assert_refused(self, *words: str, root: Path | None = None) -> None:
        ended = self.record("--check", root=root)
        self.assertEqual(ended.returncode, 1, ended.stdout + ended.stderr)
        for word in words:
            self.assertIn(word, ended.stderr)

    def test_tables_are_made_of_the_record_and_then_pass(self) -> None:
        self.assert_refused("does not say what the records say")
        self.assertIn("old figures", self.page(), "--check writes nothing")
        self.assertEqual(self.record().returncode, 0)
        self.assertNotIn("old figures", self.page())
        self.assertIn("| float32 multiply-adds | 65.24 TFLOP/s |", self.page())
        self.assertIn("| ours, captured | 62.2 µs |", self.page())
        self.assertEqual(self.record("--check").returncode, 0, self.record("--check").stderr)

    def test_a_figure_that_is_not_the_records_is_found(self) -> None:
        self.record()
        path = self.root / "docs/performance.md"
        path.write_text(self.page().replace("62.2 µs", "64 µs"))
        self.assert_refused("does not say what the records say: run scripts/gpu-record")

    def test_a_tree_that_no_commit_has_is_found(self) -> None:
        self.record()
        trees = self.found["trees"]
        for wrong in ({"src": "0" * 40}, {"kernels": "0" * 40}, {"benches": "0" * 40}, {"kernels": trees["src"]}):
            self.keep({"trees": trees | wrong, "figures": self.figures})
            self.assert_refused("docs/gpu/card.json measured the tree", "which no commit here has")

    def test_a_record_that_names_no_trees_is_found(self) -> None:
        self.record()
        self.keep({"figures": self.figures})
        self.assert_refused(*(f"does not name the tree of {name}" for name in ("src", "kernels", "benches")))

    def test_only_the_one_older_record_need_not_name_trees(self) -> None:
        self.record()
        older, commit = "nvidia-h100-80gb-hbm3-2026-11-26.json", "0971fbc6a3d2e40d32948721a9e1633f5fb558f7"
        self.keep({"figures": self.figures, "commit": commit}, older)
        self.assertEqual(self.record("--check").stderr, "")
        self.keep({"figures": self.figures, "commit": "0971fbc"}, older)
        self.assert_refused(f"docs/gpu/{older} does not name the tree of src")

    def test_a_clone_without_history_says_so(self) -> None:
        self.record()
        self.commit("page")
        shallow = self.root.parent / "shallow"
        subprocess.run(["git", "clone", "-q", "--depth", "1", self.root.as_uri(), shallow], check=True)
        self.assert_refused("git fetch --unshallow", root=shallow)

    def test_parts_and_records_that_are_not_there_are_named(self) -> None:
        path = self.root / "docs/performance.md"
        path.write_text(PAGE.replace("card.json", "other.json"))
        self.assert_refused("docs/gpu/other.json, which is not there")
        path.write_text(PAGE.replace("ceilings", "floors"))
        self.assert_refused("the part floors; there are card, mnist, epochs")
        path.write_text(PAGE)
        self.keep({"figures": self.figures[1:]})
        self.assert_refused("the record has no figure ceiling/copy")

    def test_a_record_of_a_rehearsal_is_refused(self) -> None:
        self.record()
        self.keep(self.found | {"rehearsal": True})
        self.assert_refused("docs/gpu/card.json is of a rehearsal, whose times say nothing")
        before = self.page()
        self.assertEqual(self.record().returncode, 1)
        self.assertEqual(self.page(), before)

    def test_the_tuning_table_is_written_and_held_to_the_records(self) -> None:
        self.record()
        choices = self.root / "kernels/tuning.csv"
        self.assertEqual(choices.read_text(), HEADER)
        times = [timed("today", 1e-5, chosen_now=True), timed("fast", 8e-6, splits=2)]
        checks = [{"check": "gemm_f32", "variant": "fast", "status": "ok"}]
        self.keep(self.found | {"stages": {"tune": {"figures": times}, "variants": {"checks": checks}}})
        self.assert_refused("kernels/tuning.csv does not say what the records say: run scripts/gpu-record")
        self.assertEqual(choices.read_text(), HEADER, "--check writes nothing")
        self.record()
        self.assertEqual(choices.read_text(), HEADER + "H100,f32,nt,128,512,784,fast,2\n")
        self.assertEqual(self.record("--check").returncode, 0)
        choices.write_text(choices.read_text().replace("fast", "mine"))
        self.assert_refused("kernels/tuning.csv does not say what the records say")
        choices.unlink()
        self.assert_refused("kernels/tuning.csv does not say what the records say")

    def test_each_part_is_made_of_its_stage(self) -> None:
        metrics = {
            "gpu__time_duration.sum": (2500.0, "ns"), "launch__registers_per_thread": (128.0, "register/thread"),
            "dram__bytes_read.sum": (3e6, "byte"), "dram__bytes_write.sum": (1e6, "byte"),
            "smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio": (2.5, "inst"),
        }
        kernel = {"metrics": {name: {"value": value, "unit": unit} for name, (value, unit) in metrics.items()}}
        state = {"sm_mhz": 1980, "sm_mhz_lowest": 1410, "memory_mhz": 2619, "watts": 412.34, "celsius_highest": 63}
        state |= {"reasons": ["gpu_idle", "sw_power_cap"]}
        late = "skipped: out of time"
        node = {"name": "latency/graph_node", "seconds": 9e-10, "spread": 0.1, "samples": 9}
        warm, cold = (
            figure("fill/65536", ours, peer) | {"cache": cache, "spread": 0.02, "peer_spread": 0.31}
            for cache, ours, peer in (("warm", 2e-6, 4e-6), ("cold", 3e-6, 2e-6))
        )
        clean = {"status": "ok", "errors": 0, "passed": 71, "failed": 0, "first": []}
        self.keep(self.found | {
            "driver": "580.1", "toolkit": "13.0", "torch": "2.11.0+cu130",
            "clocks": {"all": state, "samples": 2500, "gaps": []}, "figures": [*self.figures, warm, cold],
            "owed": [{"experiment": name, "reason": late} for name in ("ncu/x", "mnist/adam")],
            "stages": {
                "tests": {"status": "ok", "passed": 105, "failed": 0}, "sanitizer": {"memcheck": clean},
                "tune": {"figures": [timed("today", 1e-5, chosen_now=True), timed("fast", 8e-6, splits=2)]},
                "latency": {"figures": [node], "problems": [{"name": "latency/dsmem", "problem": "no clusters"}]},
                "ncu": {"metrics": {"status": "ok"}, "fill/65536": {"kernels": [kernel]}},
            },
        })
        parts = ("card", "pairs", "latency", "counters", "tune", "owed", "kernels")
        page = "\n".join(f"<!-- docs/gpu/card.json: {part} -->\n<!-- end -->" for part in parts)
        (self.root / "docs/performance.md").write_text(page)
        ended = self.record()
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        for line in [
            "While it was measured: SM clock 1980 MHz in the middle, 1410 at the lowest; memory 2619 MHz; "
            "power 412.3 W in the middle; at most 63 °C; clocks held back by sw_power_cap; 2500 samples.",
            "| memcheck | 0 errors; 71 passed, 0 failed |",
            "| `fill/65536` | PyTorch eager | 2 µs | 0.50 | 3 µs | 1.50 | 100% | 2%, 31% |",
            "| `graph_node` | 0.9 ns |  | 10% | 9 |",
            "| `dsmem` | no clusters |  |  |  |",
            "| `fill/65536` | 2.5 µs | – | – | 4 MB | – | – | –, – | 128 | – | barrier 2.5 |",
            "| `f32 nt` | 128×512×784 | warm | today | 10 µs | fast, k in 2 | 8 µs | 2 |",
            "| `ncu/x, mnist/adam` | skipped: out of time |",
            "| `fill/65536` | cold | 3 µs | 2 µs | **1.50** | 65.24 TFLOP/s | 100% | PyTorch eager |",
        ]:
            self.assertIn(line, self.page())

    def test_a_part_whose_stage_a_record_lacks_is_named(self) -> None:
        path = self.root / "docs/performance.md"
        for part, what in (("latency", "latencies"), ("counters", "hardware counters"), ("pairs", "figures measured in pairs")):
            path.write_text(f"<!-- docs/gpu/card.json: {part} -->\n<!-- end -->")
            self.assert_refused(f"the record has no {what}")

    def test_the_kit_names_the_trees_of_the_files_as_they_lie(self) -> None:
        script = (GPU_RECORD.parent / "gpu-kit").read_text()
        begin, end = script.index("tree=$(GIT_INDEX_FILE"), script.index("PYTHONPATH=scripts")
        piece = "index=$(mktemp -u)\n" + script[begin:end] + 'echo "$src $kernels $benches"'
        (self.root / "kernels/sum.cu").write_text("changed")
        (self.root / "src/new.rs").write_text("new")

        def trees() -> list[str]:
            ended = subprocess.run(["bash", "-euc", piece], cwd=self.root, check=True, capture_output=True, text=True)
            return ended.stdout.split()

        before, status = trees(), self.git("status", "--porcelain")
        self.assertIn("src/new.rs", status, "the repository's own index is left alone")
        self.commit("the same")
        committed = [self.git("rev-parse", f"HEAD:{name}") for name in ("src", "kernels", "benches")]
        self.assertEqual(before, committed)
        self.assertEqual(trees(), committed)


if __name__ == "__main__":
    unittest.main()
