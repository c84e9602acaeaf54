"""Nsight Compute's part: its table, metrics that it does not know, counters that it may not read.

    python3 -m unittest discover -s tests/gpu_check
"""
import unittest

from fakes import COUNTERS, FakeKit, ncu, says

from gpu_check import counters
from gpu_check.counters import CASES, METRICS, known, parse, refused, value

DENIED = "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters on the target device 0."
TABLE = '''a line of the program's, "ID",
==PROF== Disconnected from process 77
"ID","Process ID","Kernel Name","Block Size","Grid Size","dram__bytes_read.sum","gpu__time_duration.sum","launch__func_cache_config"
"","","","","","byte","ns",""
"0","77","sum(const float *, int)","(256, 1, 1)","(8, 1, 1)","1,234,567","1,500.5","CachePreferNone"
"1","77","sum_rest(float *)","(32, 1, 1)","(1, 1, 1)","n/a","900",""
"2","77","cut off'''


class Tables(unittest.TestCase):
    def test_kernels_are_read_with_their_metrics_and_units(self) -> None:
        first, second = parse(TABLE)
        self.assertEqual([first["kernel_name"], first["grid_size"]], ["sum(const float *, int)", "(8, 1, 1)"])
        self.assertEqual(first["metrics"]["dram__bytes_read.sum"], {"value": 1234567.0, "unit": "byte"})
        self.assertEqual(first["metrics"]["gpu__time_duration.sum"], {"value": 1500.5, "unit": "ns"})
        self.assertEqual(first["metrics"]["launch__func_cache_config"]["value"], "CachePreferNone")
        self.assertEqual(second["metrics"], {"gpu__time_duration.sum": {"value": 900.0, "unit": "ns"}})

    def test_garbage_holds_no_kernels(self) -> None:
        for text in ("", '"ID",', '"ID","a__b"\n', '"ID","a__b"\n"",""\n"0"\n', DENIED):
            self.assertEqual(parse(text), [], text)

    def test_cells_are_numbers_words_or_nothing(self) -> None:
        self.assertEqual([value(cell) for cell in ("1,234.5", " 7 ", "Yes")], [1234.5, 7, "Yes"])
        self.assertEqual({value(cell) for cell in ("n/a", "nan", "", "inf", "1e999")}, {None})

    def test_metrics_that_a_card_does_not_list_are_not_asked_for(self) -> None:
        listing = "Device X\nsm__inst_issued   Counter  inst  # of\ndram__bytes_read  Counter  byte  # of"
        metrics = ["sm__inst_issued.sum", "dram__bytes_read_more.sum", "dram__bytes_read.sum", "launch__registers_per_thread"]
        self.assertEqual(known(metrics, listing), ["sm__inst_issued.sum", "dram__bytes_read.sum", "launch__registers_per_thread"])
        self.assertEqual(known(metrics, "no listing"), metrics)

    def test_metrics_that_a_complaint_names_are_found_by_their_whole_name(self) -> None:
        output = "sm__c.sum\n==ERROR== Failed to find metric sm__a.sum\n==WARNING== no sm__b.sum_more"
        self.assertEqual(refused(output, ["sm__a.sum", "sm__a", "sm__b.sum", "sm__c.sum"]), ["sm__a.sum"])

    def test_what_is_asked_for_is_told_apart(self) -> None:
        self.assertEqual(len(METRICS), len(set(METRICS)))
        for what in [
            "inst_issued", "stalled_barrier", "wavefronts_mem_shared", "bank_conflicts", "sectors_per_request", "pipe_tensor",
            "dram__bytes_write", "time_duration", "registers_per_thread", "warps_active",
        ]:
            self.assertTrue(any(what in metric for metric in METRICS), what)


class InTheRecord(FakeKit):
    def profiles(self) -> list[str]:
        return [call for call in self.calls_made() if call.startswith("ncu ") and "--profile" in call]

    def test_each_case_is_profiled_once_without_touching_the_clocks(self) -> None:
        record = self.ends_with()
        found = record["stages"]["ncu"]
        self.assertEqual(list(found), ["metrics", *CASES])
        metrics = found["adam/535818"]["kernels"][0]["metrics"]
        self.assertEqual(metrics["gpu__time_duration.sum"], {"value": 12345.0, "unit": "ns"})
        kit = self.folder / "kit"
        asked = ",".join(metric for metric in METRICS if metric in COUNTERS or metric.startswith("launch__"))
        how = f"ncu --clock-control none --csv --page raw --print-units base --metrics {asked}"
        self.assertEqual(self.profiles(), [f"{how} {kit}/bench-cuda --profile {case} CUDA_CANDIDATES" for case in CASES])
        self.assertIn(counters.DRAM_SHARE, found["metrics"]["unknown"])
        self.assertNotIn(counters.DURATION, found["metrics"]["unknown"])

    def test_without_permission_one_case_says_so_for_all(self) -> None:
        self.fake("tools/ncu", f'if [ "$1" = --query-metrics ]; then exit; fi; {says("==PROF== Connected", DENIED)}; exit 1')
        record = self.ends_with()
        self.assertEqual(len(self.profiles()), 1)
        owed = self.owed(record)
        self.assertEqual(owed[f"ncu/{CASES[0]}"], [f"no counters: {DENIED.removeprefix('==ERROR== ')}"])
        self.assertRegex(owed[f"ncu/{CASES[-1]}"][0], "skipped: the counters were not to be had .*ERR_NVGPUCTRPERM")
        self.assertEqual(record["stages"]["benches"]["memory"]["status"], "ok")

    def test_a_metric_that_ncu_refuses_does_not_lose_the_others(self) -> None:
        first, *others = COUNTERS
        complaint = f'case "$*" in *{first}*) {says(f"==ERROR== Failed to find metric {first}")}; exit 1 ;; esac'
        listing = f'if [ "$1" = --query-metrics ]; then exit 1; fi\n'
        self.fake("tools/ncu", listing + complaint + ncu({name: COUNTERS[name] for name in others}))
        record = self.ends_with()
        calls = self.profiles()
        self.assertEqual(len(calls), 1 + len(CASES), "one case twice, then all know")
        self.assertIn(others[0], calls[-1])
        for case in CASES:
            result = record["stages"]["ncu"][case]
            self.assertEqual(result["status"], "ok")
            self.assertIn(others[0], result["kernels"][0]["metrics"])

    def test_a_case_without_kernels_is_owed(self) -> None:
        self.fake("tools/ncu", says("==WARNING== No kernels were profiled."))
        owed = self.owed(self.ends_with())
        self.assertEqual(owed["ncu/adam/535818"], ["no counters: No kernels were profiled."])

    def test_a_case_that_hangs_or_crashes_costs_only_itself(self) -> None:
        crash = 'case "$*" in *gather*) kill -SEGV $$ ;; esac\n'
        self.fake("tools/ncu", crash + ncu())
        record = self.ends_with()
        self.assertIn("SIGSEGV", self.owed(record)["ncu/gather/shifted/8192x784"][0])
        self.assertEqual(record["stages"]["ncu"]["adam/535818"]["status"], "ok")


if __name__ == "__main__":
    unittest.main()
