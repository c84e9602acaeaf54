"""scripts/gpu-check without a GPU: the whole queue over a kit and tools that only print what the real ones would.

    python3 -m unittest discover -s tests/gpu_check
"""
import json
import os
import re
import subprocess
import sys
import unittest

from fakes import (
    CHECKS, DOCTOR, FIGURES, GPU_CHECK, KIT, LATENCIES, LEFT, NO_CLUSTERS, SANITIZER, SCRIPTS, STEP, SUMMARY, TESTS_FAIL, TESTS_PASS,
    TIMES, FakeKit, bench, cotangent, json_lines, says, tune,
)

from gpu_check.experiments import GROUPS, WITH_PEERS

TOOLS = ["memcheck", "racecheck", "initcheck", "synccheck"]
RACE = """
========= COMPUTE-SANITIZER
========= Error: Race reported between Write access at sum and Read access at sum [32 hazards]
=========     at sum.cu:12
========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)
"""
NO_TESTS = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 302 filtered out"


class WhatIsRecorded(FakeKit):
    def test_a_sound_build_passes_and_the_record_holds_every_stage(self) -> None:
        record = self.ends_with()
        stages = record["stages"]
        self.assertEqual(list(stages), [
            "machine", "variants", "tests", "sanitizer", "tune", "latency", "step", "tuned", "ncu", "mnist", "benches",
        ])
        self.assertEqual(list(stages["sanitizer"]), TOOLS)
        self.assertEqual(list(stages["mnist"]), ["adagrad", "rmsprop", "adam", "sgd", "adam-bf16", "fast"])
        for stage in stages:
            self.assertTrue(self.log(stage).startswith("$ "), stage)
        head = [record[key] for key in ("commit", "trees", "card", "driver", "toolkit", "torch", "rehearsal")]
        trees = {"src": "5c", "kernels": "ce"}
        self.assertEqual(head, ["c0ffee12", trees, "NVIDIA H100 80GB HBM3", "580.159.04", "13.0", "2.11.0", False])
        machine = [stages["machine"][key] for key in ("status", "memory", "cuda", "nvcc", "multiprocessors", "doctor")]
        self.assertEqual(machine, ["ok", "81559 MiB", "13.0", "13.0.88", 132, DOCTOR])
        self.assertEqual([stages["tests"][key] for key in ("passed", "failed", "failures")], [2, 0, []])
        self.assertEqual([stages["variants"][key] for key in ("checks", "wrong")], [CHECKS, []])
        adam = [stages["mnist"]["adam"][key] for key in ("test_accuracy", "epoch_seconds", "first_epoch_seconds")]
        self.assertEqual(adam, [0.9812, 0.2, 0.3])

    def test_what_was_not_come_to_is_owed(self) -> None:
        self.fake("kit/bench-latency", says(json_lines([*LATENCIES, NO_CLUSTERS])))
        owed = self.owed(self.ends_with())
        self.assertEqual(owed, {
            "tune": ["its own time was over"],
            "latency": ["compute capability 8.0 has no clusters (latency/cluster_barrier)"],
        })

    def test_shapes_that_could_not_be_timed_are_owed_and_the_last_line_of_those_left_counts(self) -> None:
        now = {"name": "tune/f32/nn/8192x8192x8192", "problem": "8.1 GB are free, 9 are needed"}
        older = {"product": "nt 8192x8192x50257", "precision": "bf16", "problem": "8.1 GB are free, 9 are needed"}
        self.fake("kit/bench-tune", tune(times=[*TIMES, now, {"left": ["first"]}, older]))
        record = self.ends_with()
        names = "tune/f32/nn/8192x8192x8192, tune/bf16/nt 8192x8192x50257"
        problem = f"8.1 GB are free, 9 are needed ({names})"
        self.assertEqual(self.owed(record)["tune"], ["its own time was over", problem])
        self.assertEqual(record["stages"]["tune"]["left"], LEFT["left"])

    def test_steps_are_timed_again_with_the_table_of_this_visit(self) -> None:
        slower = [STEP | {"seconds": 4e-5, "spread": None}]
        self.fake("kit/bench-cuda", bench(FIGURES | {"training_step/adam": slower}))
        ended = self.check()
        table = f"card,precision,transposes,m,n,k,variant,splits\n{DOCTOR['devices'][0]['name']},f32,nt,128,512,784,64x64x16,1\n"
        self.assertEqual((self.out / "tuning.csv").read_text(), table, "the card is called as the program calls it")
        log = self.log("tuned")
        self.assertIn(f"COTANGENT_CUDA_TUNING={self.out / 'tuning.csv'}", log)
        self.assertNotIn("COTANGENT_CUDA_TUNING", self.log("step"))
        self.assertRegex(ended.stdout, r"training_step/adam graph +50 µs +3% +40 µs +– +0\.80")
        self.assertIn("ratio of two processes, no pairs", ended.stdout)

    def test_where_the_doctor_prints_garbage_the_tables_card_is_nvidia_smis(self) -> None:
        self.fake("kit/cotangent", cotangent().replace(json.dumps(DOCTOR), "no JSON"))
        self.ends_with()
        self.assertIn("\nNVIDIA H100 80GB HBM3,f32,", (self.out / "tuning.csv").read_text())

    def test_that_it_cannot_be_decided_whether_to_start_one_costs_only_that_one(self) -> None:
        (self.folder / "kit/kit.json").write_text(json.dumps(KIT | {"tuning": [{"no": "card"}]}))
        record = self.ends_with()
        self.assertEqual(self.owed(record)["tuned/step"], ["cannot be decided: KeyError('card')"])
        self.assertEqual(record["stages"]["mnist"]["fast"]["status"], "ok")

    def test_where_todays_choices_stay_nothing_is_timed_again(self) -> None:
        self.fake("kit/bench-tune", tune(times=TIMES[:1]))
        record = self.ends_with()
        self.assertRegex(record["stages"]["tuned"]["step"]["status"], "^nothing to do: today's choices stay")
        self.assertNotIn("tuned/step", self.owed(record))
        self.assertNotIn("tuned.log", self.packed())

    def test_programs_are_called_as_they_are_written_to_be(self) -> None:
        self.check()
        kit = self.folder / "kit"
        run = f"--seed 0 --device cuda --out {self.out / 'work'}/mnist"
        newest = "kernels::layout:: kernels::gemm:: kernels::sum::"  # the changed one, and two that are tested
        rest = "kernels:: --skip kernels::layout:: --skip kernels::gemm:: --skip kernels::sum::"
        race = f"compute-sanitizer --tool racecheck --error-exitcode 9 {kit}/tests"
        for call in [
            "cotangent doctor --format json",
            "bench-tune --check CUDA_CANDIDATES",
            "tests kernels:: operations:: products:: random_graphs:: on_device:: --skip command_line:: --test-threads 1 "
            "cuda CUDA_CANDIDATES",
            f"{race} {newest} --test-threads 1 cuda 7 CUDA_CANDIDATES",
            f"{race} {rest} --test-threads 1 cuda 7 CUDA_CANDIDATES",
            f"tests {rest} --test-threads 1 cuda 3 CUDA_CANDIDATES",
            "bench-tune --tune --seconds 60 CUDA_CANDIDATES",
            "bench-latency --bench CUDA_CANDIDATES",
            "bench-cuda --bench training_step/ CUDA_CANDIDATES",
            f"bench-cuda --bench {' '.join(GROUPS['memory'])} CUDA_CANDIDATES BENCH_PEER 20",
            f"bench-cuda --bench {' '.join(GROUPS['training'])} CUDA_CANDIDATES BENCH_PEER BENCH_PAIRS_ONLY 90",
            "bench-cuda --bench convert/ CUDA_CANDIDATES",
            "bench-cuda --profile gemm_f32/square/4096 CUDA_CANDIDATES",
            f"cotangent mnist --opt rmsprop --epochs 10 {run}-rmsprop --quiet",
            f"cotangent mnist --opt adam --epochs 10 --precision bf16 {run}-adam-bf16 --quiet",
            f"cotangent mnist --recipe fast {run}-fast --quiet",
        ]:
            self.assertIn(call, self.calls_made())

    def test_a_ratio_below_one_means_that_ours_is_faster(self) -> None:
        record = self.ends_with()
        ratios = [(figure["name"], figure["cache"], figure["peer"], figure["ratio"]) for figure in record["figures"]]
        self.assertIn(("ceiling/copy", "cold", "PyTorch", 0.5), ratios)  # 1 ms against 2
        self.assertIn(("gemm_f32/square/1024", "cold", "cuBLAS", 1.5), ratios)  # 3 ms against 2
        self.assertIn(("gemm_f32/square/1024", "warm", "cuBLAS", 0.8), ratios)  # 2 ms against 2.5
        self.assertIn(("mnist_epoch/adam", "warm", "PyTorch eager", 0.5), ratios)  # 0.2 s against 0.4
        self.assertIn(("mnist_epoch/adam", "warm", "PyTorch CUDA graph", 2.0), ratios)
        self.assertIn(("training_step/adam", "warm", "PyTorch eager", 0.4), ratios)  # in the same rounds 40 µs against 100
        for name in ("sgd", "adam"):  # their images are shifted, unlike those of the bench's epoch
            self.assertIn((f"mnist_run/{name}", None, None, None), ratios)
        self.assertIn(("fill/65536", "warm", None, None), ratios)
        names = [figure[:3] for figure in ratios]
        self.assertEqual(len(names), len(set(names)), "the ceilings, which every process measures, stand there once")
        self.assertEqual([peer for name, _, peer, _ in ratios if name == "ceiling/copy"], ["PyTorch"])
        square = next(figure for figure in record["figures"] if figure["name"] == "gemm_f32/square/1024")
        kept = [square[key] for key in ("variant", "samples", "spread", "peer_samples", "peer_spread", "rate", "unit")]
        self.assertEqual(kept, ["128x128x16", 9, 0.02, 9, 0.04, 0.7, "TFLOP/s"])

    def test_where_the_record_is_kept_is_said(self) -> None:
        self.assertRegex(self.check().stdout, r"docs/gpu/nvidia-h100-80gb-hbm3-\d{4}-\d\d-\d\d-c0ffee1\.json")

    def test_four_files_come_back_with_all_that_programs_wrote(self) -> None:
        self.check()
        files = ["clocks.csv", "logs.tar.xz", "record.json", "tuning.csv"]
        self.assertEqual(sorted(file.name for file in self.out.iterdir()), files)
        packed = self.packed()
        for name in ("tests.log", "bench-memory.jsonl", "mnist-adam/summary.json", "mnist-adam/metrics.csv"):
            self.assertIn(name, packed)
        self.assertEqual(json.loads(packed["mnist-adam/summary.json"]), SUMMARY)

    def test_results_are_not_mixed_with_older_ones(self) -> None:
        self.check()
        ended = self.check()
        self.assertEqual(ended.returncode, 2)
        self.assertIn("is no empty folder", ended.stderr)


class WhatIsRefused(FakeKit):
    EMULATED = DOCTOR | {"devices": [{"name": "emulated 9.0"}]}

    def assert_refused(self, words: str) -> None:
        ended = self.check()
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertRegex(ended.stderr, rf"^gpu-check: {words}.*\n$")
        self.assertFalse((self.out / "record.json").exists())

    def test_an_emulated_card_is_refused(self) -> None:
        self.fake("kit/cotangent", cotangent(doctor=self.EMULATED))
        self.assert_refused("emulated 9.0 is an emulated card, whose times say nothing")

    def test_a_machine_without_a_driver_is_refused(self) -> None:
        (self.folder / "tools/nvidia-smi").unlink()
        self.assert_refused("nvidia-smi finds no card")

    def test_a_rehearsal_takes_an_emulated_card_and_says_that_it_is_one(self) -> None:
        self.fake("kit/cotangent", cotangent(doctor=self.EMULATED, summary=SUMMARY | {"test_accuracy": 0.1}))
        ended = self.check("--rehearse", COTANGENT_CUDA_IMAGE="kernels.list")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended.stdout)
        self.assertTrue(self.record()["rehearsal"])
        self.assertIn("no figure in it means anything", ended.stdout)
        self.assertNotIn("keep it as", ended.stdout)
        calls = self.calls_made()
        tiny = ["bench-tune --check --test", "bench-tune --tune --test", "bench-cuda --test unary/", "bench-latency --test"]
        for call in tiny:
            self.assertTrue(any(made.startswith(call) for made in calls), call)
        training = next(call for call in calls if call.startswith("cotangent mnist --opt sgd"))
        self.assertRegex(training, "--hidden 16 --data /.* --device cuda:2 ")
        self.assertIn("tests kernels::convert:: --test-threads 1 7 CUDA_CANDIDATES", calls)  # not COTANGENT_TEST_DEVICE

    def test_only_a_rehearsal_lets_the_image_be_another(self) -> None:
        self.fake("kit/tests", f'echo "image ${{COTANGENT_CUDA_IMAGE-none}}"; {says(TESTS_PASS)}')
        for options, image in (((), "none"), (("--rehearse",), "kernels.list")):
            self.out = self.folder / f"out{len(options)}"
            self.check(*options, COTANGENT_CUDA_IMAGE="kernels.list")
            self.assertIn(f"image {image}", self.log("tests"))


class WhatDoesNotPass(FakeKit):
    def test_a_failing_test_is_named(self) -> None:
        self.fake("kit/tests", f"{says(TESTS_FAIL)}; exit 101")
        self.fake("tools/compute-sanitizer", SANITIZER.replace('"$@" || exit', says(TESTS_PASS)))
        record = self.ends_with("tests: 1 passed, 1 failed; exit status 101; kernels::sum::sums_agree")
        self.assertEqual(record["stages"]["tests"]["failures"], ["kernels::sum::sums_agree"])
        self.assertNotIn("tests", self.owed(record), "an exit status is an answer")

    def test_that_no_test_ran_is_no_success(self) -> None:
        self.fake("kit/tests", says(NO_TESTS))
        none = "0 passed, 0 failed"
        self.ends_with(f"tests: {none}", *[f"{tool}: no summary; {none}" for tool in TOOLS])

    def test_families_without_tests_break_no_sanitizer(self) -> None:
        """compute-sanitizer sums up nothing where a program met no driver."""
        families = [{"family": "untested", "date": "2026-11-27T11:00:00+00:00", "changed": True, "tests": 0}]
        (self.folder / "kit/kit.json").write_text(json.dumps(KIT | {"families": families}))
        record = self.ends_with()
        self.assertNotIn("sanitizer/memcheck/newest", self.owed(record))
        memcheck = record["stages"]["sanitizer"]["memcheck"]
        status = "nothing to do: kit.json names no family of kernels that has tests"
        self.assertEqual(memcheck["parts"]["newest"], {"status": status})
        self.assertIn("tests kernels:: --test-threads 1 cuda 3 CUDA_CANDIDATES", self.calls_made())

    def test_newest_families_that_are_all_leave_nothing_to_sum_up(self) -> None:
        self.fake("kit/tests", f'case "$*" in *skip\\ kernels*) {says(NO_TESTS)} ;; *) {says(TESTS_PASS)} ;; esac')
        silent = f'case "$*" in *skip*) shift 4; exec "$@" ;; esac\n'
        self.fake("tools/compute-sanitizer", silent + SANITIZER)
        memcheck = self.ends_with()["stages"]["sanitizer"]["memcheck"]
        self.assertEqual([memcheck[key] for key in ("errors", "passed")], [0, 2])

    def test_a_race_is_told_with_its_first_line(self) -> None:
        race = f'if [ "$2" = racecheck ]; then {says(TESTS_PASS, RACE)}; exit 9; fi\n'
        self.fake("tools/compute-sanitizer", race + SANITIZER)
        message = "Error: Race reported between Write access at sum and Read access at sum [32 hazards]"
        status = "newest exit status 9; rest exit status 9"
        record = self.ends_with(f"racecheck: 2 errors; 4 passed, 0 failed; {status}; {message}")
        racecheck = record["stages"]["sanitizer"]["racecheck"]
        self.assertEqual([racecheck["errors"], racecheck["first"]], [2, [message]])
        self.assertEqual(racecheck["parts"]["newest"]["errors"], 1)

    def test_a_sanitizer_that_says_nothing_has_not_found_nothing(self) -> None:
        for part in ("newest", "rest"):
            with self.subTest(part):
                self.out = self.folder / part
                other = "kernels::layout::" if part == "newest" else "kernels::"
                silent = f'if [ "$2$6" = memcheck{other} ]; then {says(TESTS_PASS)}; exit 0; fi\n'
                self.fake("tools/compute-sanitizer", silent + SANITIZER)
                self.ends_with("memcheck: no summary; 4 passed, 0 failed")

    def test_a_variant_that_is_wrong_does_not_pass(self) -> None:
        wrong = CHECKS[1] | {"status": "128x512x784 nt: 3 is 4"}
        self.fake("kit/bench-tune", tune(checks=[CHECKS[0], wrong]) + '[ "$1" = --tune ] || exit 1')
        message = "gemm_f32 64x64x16: 128x512x784 nt: 3 is 4"
        record = self.ends_with(f"variants: 1 of 2 variants right; exit status 1; {message}")
        self.assertNotIn("variants", self.owed(record))

    def test_a_variant_that_cannot_be_launched_is_wrong(self) -> None:
        self.fake("kit/bench-tune", tune(checks=[CHECKS[0], CHECKS[1] | {"status": "cannot be launched: too much"}]))
        self.ends_with("variants: 1 of 2 variants right; gemm_f32 64x64x16: cannot be launched: too much")

    def test_that_no_variant_was_checked_is_no_success(self) -> None:
        self.fake("kit/bench-tune", tune(checks=[]))
        self.ends_with("variants: 0 of 0 variants right")

    def test_an_optimizer_below_98_percent_does_not_pass(self) -> None:
        self.fake("kit/cotangent", cotangent(summary=SUMMARY | {"test_accuracy": 0.9799, "seconds_to_98": None}))
        self.ends_with(*[f"mnist {name}: 0.9799" for name in ("adagrad", "rmsprop", "adam")])


class WhatCostsOnlyItself(FakeKit):
    def test_results_that_cannot_be_read_stop_nothing(self) -> None:
        self.fake("kit/cotangent", cotangent(summary={"test_accuracy": None}))
        ended = self.check()
        record = self.record()
        self.assertEqual((ended.returncode, ended.stderr), (1, ""))
        self.assertEqual(record["stages"]["benches"]["training"]["status"], "ok")
        self.assertRegex(record["faults"][0], "mnist adagrad: its results cannot be read: KeyError")
        self.assertIn("mnist/fast", self.owed(record))

    def test_results_of_another_kind_stop_nothing(self) -> None:
        self.fake("kit/cotangent", cotangent(summary=["no", "summary"]))
        ended = self.check()
        self.assertEqual((ended.returncode, ended.stderr), (1, ""))
        self.assertRegex(self.owed(self.record())["mnist/fast"][0], "its results cannot be read: TypeError")

    def test_garbage_is_no_figure(self) -> None:
        garbage = [
            '{"name": "x", "seconds": NaN}', '{"name": "x", "seconds": 1e999}', '{"name": "x", "seconds": -1}',
            '{"name": 1, "seconds": 1}', '{"seconds": 1}', "[1]", "{", '{"name": "x", "seconds": "soon"}',
            '{"name": "good", "seconds": 1, "spread": NaN}',
        ]
        self.fake("kit/bench-latency", f"{says(*garbage)}; printf '\\377\\000'")
        half = {"name": "y", "seconds": 1, "cache": ["warm"], "variant": {}, "spread": "much"}
        half |= {"unit": 7, "rate": "fast", "ended": []}
        some = [1, {"peer": 2}, {"peer": "P"}, {"peer": "Q", "seconds": 2, "ours_seconds": "x"}]
        self.fake("kit/bench-cuda", bench({"unary/": [half | {"peers": "all"}, half | {"name": "z", "peers": some}]}))
        wrongs = ({"seconds": None}, {"m": "x"}, {"splits": None}, {"variant": []}, {"spread": "x"})
        tuned = [TIMES[0] | wrong for wrong in wrongs]
        self.fake("kit/bench-tune", says(*garbage, '{"tune": "f32", "seconds": NaN}', json_lines(tuned)))
        self.fake("tools/ncu", says(*garbage, '"ID","a__b"', '"1'))
        self.fake("kit/tests", says("test result: ok. many passed; 0 failed;", TESTS_PASS))
        ended = self.check()
        self.assertEqual((ended.returncode, ended.stderr), (1, ""))
        record = self.record()
        self.assertNotIn("NaN", (self.out / "record.json").read_text())
        latency = record["stages"]["latency"]
        self.assertEqual([(line["name"], line["spread"]) for line in latency["figures"]], [("good", None)])
        self.assertEqual(record["faults"], ["variants: 0 of 0 variants right"])
        self.assertIn("no counters: ok", self.owed(record)["ncu/adam/535818"])
        self.assertEqual([line["spread"] for line in record["stages"]["tune"]["figures"]], [None])
        figures = {figure["name"]: figure for figure in record["figures"]}
        told = [figures["z"][key] for key in ("cache", "variant", "spread", "unit", "rate", "peer", "ratio")]
        self.assertEqual(told, [None, None, None, None, None, "Q", 0.5])
        self.assertIsNone(figures["y"]["peer"])

    def test_what_cannot_be_recorded_stops_nothing(self) -> None:
        """Should the reading ever let something through that the record cannot be made of."""
        broken = "import sys; sys.path.insert(0, {!r}); sys.argv[0] = {!r}\n" \
            "from gpu_check import results; results.as_they_should_be = dict\n" \
            "from gpu_check.main import main; main()"
        line = {"name": "y", "seconds": 1, "peers": "all"}
        self.fake("kit/bench-cuda", bench({"unary/": [line]}))
        command = [sys.executable, "-c", broken.format(str(SCRIPTS), str(GPU_CHECK)), self.folder / "kit", self.out]
        environment = os.environ | {"PATH": str(self.folder / "tools")}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=60)
        record = self.record()
        self.assertRegex(self.owed(record)["benches/elementwise"][0], "its results cannot be recorded: AttributeError")
        self.assertEqual(record["stages"]["mnist"]["fast"]["status"], "ok")

    def test_a_crash_loses_neither_earlier_nor_later_stages(self) -> None:
        crash = "    print('{\"name\": \"cut o', file=file, flush=True)\n    os.abort()"
        self.fake("kit/bench-cuda", bench(then=crash))
        record = self.ends_with()
        benches = record["stages"]["benches"]["products_f32"]
        names = [line["name"] for line in benches["figures"]]
        self.assertEqual([benches["status"], names], ["ended by SIGABRT", [line["name"] for line in FIGURES["gemm_f32/"]]])
        self.assertEqual(self.owed(record)["benches/products_f32"], ["ended by SIGABRT"])
        self.assertEqual(record["stages"]["tests"]["passed"], 2)
        self.assertEqual(record["stages"]["mnist"]["fast"]["status"], "ok")

    def test_missing_tools_and_programs_stop_nothing(self) -> None:
        for path in ("tools/compute-sanitizer", "tools/python3", "tools/ncu", "kit/bench-latency", "kit/bench-tune"):
            (self.folder / path).unlink()
        ended = self.check()
        record = self.record()
        self.assertEqual((ended.returncode, ended.stderr), (1, ""))
        owed = self.owed(record)
        for name in ("sanitizer/memcheck/rest", "latency", "tune", "variants", "ncu/metrics", "machine/torch"):
            self.assertIn("cannot be started", owed[name][0], name)
        self.assertIn("Nsight Compute cannot be started", owed["ncu/adam/535818"][0])
        self.assertEqual(len(record["stages"]["benches"]["products_f32"]["figures"]), 3)
        self.assertEqual([fault.split(":")[0] for fault in record["faults"]], ["variants", *TOOLS])

    def test_without_pytorch_no_peer_is_asked_and_ours_are_measured(self) -> None:
        self.fake("tools/python3", "exit 1")
        stages = self.ends_with()["stages"]
        self.assertFalse([call for call in self.calls_made() if "BENCH_PE" in call or "PAIRS_ONLY" in call])
        said = {name: result.get("peer") for name, result in stages["benches"].items()}
        self.assertEqual({name for name in said if said[name] == "not asked: no PyTorch here"}, WITH_PEERS)
        self.assertEqual({said[name] for name in said.keys() - WITH_PEERS}, {None})

    def test_a_peer_that_dies_costs_only_its_figures(self) -> None:
        def dead(name: str) -> dict:
            return {"name": name, "cache": "cold", "peer": "cuBLAS", "problem": f"it ended by SIGKILL at {name}"}

        alone = {"name": "gemm_f32/square/1024", "cache": "cold", "seconds": 0.003, "peers": []}
        died = [dead(f"gemm_f32/square/{n}") for n in (1024, 2048)]
        self.fake("kit/bench-cuda", bench({"gemm_f32/": [alone, *died]}))
        record = self.ends_with()
        figure = next(figure for figure in record["figures"] if figure["name"] == "gemm_f32/square/1024")
        self.assertEqual([figure["ours_seconds"], figure["peer_seconds"], figure["ratio"]], [0.003, None, None])
        both = "gemm_f32/square/1024, gemm_f32/square/2048"
        self.assertEqual(self.owed(record)["benches/products_f32"], [f"cuBLAS: it ended by SIGKILL at … ({both})"])

    def test_tuning_times_are_kept_as_they_were_printed(self) -> None:
        stage = self.ends_with()["stages"]["tune"]
        times = [{key: line[key] for key in TIMES[0]} for line in stage["figures"]]
        self.assertEqual(times, TIMES)
        self.assertRegex(self.log("tune"), re.compile(r"^\$ COTANGENT_CUDA_CANDIDATES=", re.MULTILINE))


if __name__ == "__main__":
    unittest.main()
