"""How benches/peers/torch_cuda.py answers, with modules in place of PyTorch and NumPy that do nothing."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from fakes import ROOT

from gpu_check.experiments import GROUPS, WITH_PEERS

PEERS = ROOT / "benches" / "peers"

# Whatever is asked of it is there, can be called, and is another such thing. One function prints, one fails.
FAKE = """
class Anything:
    itemsize = 4

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *arguments, **options):
        return Anything()

    def __getitem__(self, index):
        return 3


def sum(*arguments):
    print("a library says hello")
    return Anything()


def softmax(*arguments):
    raise RuntimeError("out of memory\\nand much more")


def __getattr__(name):
    return Anything()
"""


class TorchCuda(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for module in ("torch", "numpy"):
            (Path(folder.name) / f"{module}.py").write_text(FAKE)
        self.environment = os.environ | {"PYTHONPATH": folder.name, "PYTHONDONTWRITEBYTECODE": "1"}

    def run_with(self, command: list[str], given: str = "") -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *command], input=given, capture_output=True, text=True, timeout=60,
            env=self.environment,
        )

    def answers(self, *requests: object) -> list[dict]:
        """One for each request; the process must then end by itself, and well."""
        given = "".join(f"{request if isinstance(request, str) else json.dumps(request)}\n" for request in requests)
        ended = self.run_with([str(PEERS / "torch_cuda.py"), "--device", "cpu", "--serve"], given)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        answers = [json.loads(line) for line in ended.stdout.splitlines()]
        self.assertEqual(len(answers), len(requests), ended.stdout)
        return answers

    def test_peers_of_products_say_what_type_they_give(self) -> None:
        found = self.answers(*({"peers": name} for name in (
            "gemm_f32/forward/784-512", "gemm_bf16/square/4096", "mnist_epoch/adam", "training_step/adam_bf16/batch512",
            "training_step/adam/shifted", "gemm_f32/square/", "nothing",
        )))
        training = ["PyTorch eager", "PyTorch CUDA graph", "PyTorch compiled", "PyTorch compiled, CUDA graph"]
        self.assertEqual([answer["peers"] for answer in found], [
            ["cuBLAS"], ["cuBLAS, float32 out", "cuBLAS, bfloat16 out"], training,
            [f"{peer}, autocast" for peer in training if "graph" in peer], [], [], [],
        ])

    def test_the_groups_that_are_measured_beside_peers_are_those_that_have_some(self) -> None:
        found = json.loads(next((ROOT / "docs/gpu").glob("*.json")).read_text())["figures"]
        names = sorted({figure["name"] for figure in found})
        answers = self.answers(*({"peers": name} for name in names))
        paired = [name for name, answer in zip(names, answers) if answer["peers"]]
        groups = {group for group, parts in GROUPS.items() if any(part in name for part in parts for name in paired)}
        self.assertEqual(groups, WITH_PEERS)

    def test_a_case_is_prepared_sampled_and_released(self) -> None:
        prepare = {"prepare": "gemm_bf16/weight_gradient/784-512", "peer": "cuBLAS, float32 out", "cache": "warm"}
        sample, release = {"sample": True}, {"release": True}
        early, ready, first, second, released, late = self.answers(sample, prepare, sample, sample, release, sample)
        self.assertEqual((ready, released), ({"ready": True}, {"released": True}))
        for answer in (first, second):
            self.assertEqual(list(answer), ["seconds"])
            self.assertGreater(answer["seconds"], 0)
        for answer in (early, late):
            self.assertEqual(answer, {"problem": "nothing is prepared"})

    def test_what_a_library_prints_is_no_answer(self) -> None:
        prepare = {"prepare": "sum/rows/128x10", "peer": "PyTorch", "cache": "cold"}
        self.assertEqual(self.answers(prepare, {"sample": True})[0], {"ready": True})

    def test_what_fails_is_a_problem_and_the_next_request_is_answered(self) -> None:
        fails = {"prepare": "softmax/128x10", "peer": "PyTorch", "cache": "cold"}
        unknown = {"prepare": "softmax/128x10", "peer": "cuBLAS", "cache": "cold"}
        strange = {"prepare": "softmax/128x10", "peer": "PyTorch", "cache": "tepid"}
        # It is prepared without a call, and fails when it is sampled.
        ready, failed, gone, nobody, no_state, garbage, good = self.answers(
            fails, {"sample": True}, {"sample": True}, unknown, strange, "no JSON", {"peers": "softmax/128x10"}
        )
        self.assertEqual(ready, {"ready": True})
        self.assertEqual(failed, {"problem": "RuntimeError: out of memory"})
        self.assertEqual(gone, {"problem": "nothing is prepared"})
        self.assertEqual(nobody, {"problem": "'cuBLAS' cannot do 'softmax/128x10'; PyTorch can"})
        self.assertIn("no such request", no_state["problem"])
        self.assertIn("JSONDecodeError", garbage["problem"])
        self.assertEqual(good, {"peers": ["PyTorch"]})

    def test_without_requests_it_prints_figures_of_all_that_it_names_and_fails_where_one_does(self) -> None:
        script = [str(PEERS / "torch_cuda.py"), "--device", "cpu"]
        ended = self.run_with([*script, "gemm_bf16/square", "ceiling"])
        self.assertEqual(ended.returncode, 0, ended.stderr)
        figures = [json.loads(line) for line in ended.stdout.splitlines()]
        squares = [(f"gemm_bf16/square/{n}", f"cuBLAS, {out} out")
                   for n in (1024, 2048, 4096, 8192) for out in ("float32", "bfloat16")]
        self.assertEqual(
            [(figure["name"], figure["peer"]) for figure in figures], [("ceiling/copy", "PyTorch"), *squares]
        )
        self.assertTrue(all(figure["seconds"] > 0 and figure["cache"] == "cold" for figure in figures))
        ended = self.run_with([*script, "training_step"])  # the images are no images here
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertIn("SystemExit", ended.stderr)

    def test_data_that_cannot_be_read_end_no_conversation(self) -> None:
        prepare = {"prepare": "mnist_epoch/adam", "peer": "PyTorch eager", "cache": "warm"}
        refused, good = self.answers(prepare, {"peers": "mnist_epoch/adam"})
        self.assertIn("SystemExit", refused["problem"])
        self.assertEqual(len(good["peers"]), 4)

    def test_operands_rotate_as_ours_do(self) -> None:
        """The table of tests/bench_cuda.rs: one cache, sets of different sizes. And flushes are as long."""
        table = re.findall(
            r"\(Cold, (\d+), \((\d+), (\d+), (true|false)\)\)",
            (PEERS.parents[1] / "tests" / "bench_cuda.rs").read_text(),
        )
        self.assertGreaterEqual(len(table), 7)
        program = (
            "import json, sys, torch_lab\n"
            "rotas = [torch_lab.rota('cold', 50 << 20, n) for n in json.loads(sys.argv[1])]\n"
            "print(json.dumps([rotas, torch_lab.FLUSHES]))"
        )
        sizes = [int(row[0]) for row in table]
        self.environment["PYTHONPATH"] += f"{os.pathsep}{PEERS}"
        ended = self.run_with(["-c", program, json.dumps(sizes)])
        self.assertEqual(ended.returncode, 0, ended.stderr)
        ours = [[int(sets), int(launches), flushes == "true"] for _, sets, launches, flushes in table]
        flushes = re.search(r"const FLUSHES: usize = (\d+);", (PEERS.parent / "cuda" / "rota.rs").read_text())
        self.assertEqual(json.loads(ended.stdout), [ours, int(flushes[1])])


if __name__ == "__main__":
    unittest.main()
