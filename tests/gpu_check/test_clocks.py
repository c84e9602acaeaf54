"""The log of clocks, power and temperature, and how it is joined to figures.

    python3 -m unittest discover -s tests/gpu_check
"""
import os
import time
import unittest
from unittest import mock

from fakes import FakeKit, nvidia_smi

from gpu_check import clocks
from gpu_check.clocks import Sample, fields, gaps, over, parse, reasons

LINE = "2026/11/26 01:57:51.250, 1980, 2619, 350.25, 51, 97, 0x0000000000000024"


def sample(time: float, sm: float = 1980, watts: float | None = 300, celsius: float = 50, why: tuple[str, ...] = ()) -> Sample:
    return Sample(time, sm, 2619, watts, celsius, 97, why)


class Lines(unittest.TestCase):
    def test_a_line_is_read_with_its_moment_in_utc(self) -> None:
        self.addCleanup(time.tzset)
        with mock.patch.dict(os.environ, {"TZ": "FAR-9"}):
            time.tzset()
            found = parse(LINE)
        self.assertEqual(found.time, 1795658271.25)

    def test_a_line_is_read_with_all_that_it_says(self) -> None:
        self.assertEqual(parse(LINE), Sample(1795658271.25, 1980, 2619, 350.25, 51, 97, ("sw_power_cap", "sw_thermal_slowdown")))

    def test_what_a_driver_does_not_say_is_none(self) -> None:
        found = parse("2026/11/26 01:57:51.250, 1980, [N/A], [Not Supported], 51, 97, [N/A]")
        self.assertEqual([found.sm, found.memory, found.watts, found.reasons], [1980, None, None, ()])
        self.assertEqual(parse("2026/11/26 01:57:51.250, 1980, 2619, 350.25, 51, 97").reasons, ())

    def test_garbage_is_no_sample(self) -> None:
        cut = [LINE[:i] for i in (0, 10, 24, 30, 44)]
        for line in [*cut, "Unable to determine the device handle", LINE.replace("2026", "soon"), LINE + ", 1", LINE[:-2] + "zz"]:
            self.assertIsNone(parse(line), line)

    def test_every_bit_of_the_mask_has_its_name(self) -> None:
        self.assertEqual(reasons("0x0000000000000000"), ())
        self.assertEqual(reasons("0x1"), ("gpu_idle",))
        self.assertEqual(reasons("0xC8"), ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"))
        self.assertEqual(reasons("0x412"), ("applications_clocks_setting", "sync_boost", "0x400"))

    def test_the_field_of_reasons_is_the_one_that_the_driver_knows(self) -> None:
        both = 'Section about "clocks_event_reasons.active" or "clocks_throttle_reasons.active"'
        self.assertEqual(fields(both)[-1], "clocks_event_reasons.active")
        self.assertEqual(fields('"clocks_throttle_reasons.active"')[-1], "clocks_throttle_reasons.active")
        instant = fields('"power.draw"\n"power.draw.average"\n"power.draw.instant"')
        self.assertEqual(instant[3], "power.draw.instant", "where a card has it: power.draw is an average over a second")
        self.assertEqual(fields('"clocks_throttle_reasons.active_for_long"'), ["timestamp", *clocks.NUMBERS])


class Joined(unittest.TestCase):
    def test_a_figure_gets_what_the_log_says_between_its_beginning_and_its_end(self) -> None:
        log = [
            sample(10.0, 1000, 100, 90, ("hw_slowdown",)),
            sample(10.2, 1980, 300, 50), sample(10.4, 1500, 400, 55, ("sw_power_cap",)), sample(10.6, 1900, 500, 54),
            sample(10.8, 1000, 100, 90, ("hw_slowdown",)),
        ]
        state = over(log, 10.1, 10.7)
        self.assertEqual(state, {
            "sm_mhz": 1900, "sm_mhz_lowest": 1500, "memory_mhz": 2619, "watts": 400, "celsius_highest": 55, "utilization": 97,
            "reasons": ["sw_power_cap"], "samples": 3,
        })
        self.assertEqual(over(log, 10.2, 10.6)["samples"], 3, "its beginning and its end are in it")

    def test_an_interval_shorter_than_the_logs_step_gets_the_nearest_sample(self) -> None:
        log = [sample(10.0, 1000), sample(10.2, 2000), sample(10.4, 3000)]
        for began, ended, clock, away in [
            (10.05, 10.06, 1000, 0.05), (10.16, 10.17, 2000, 0.03), (10.21, 10.3, 2000, 0.01), (9.7, 9.8, 1000, 0.2),
        ]:
            state = over(log, began, ended)
            self.assertEqual([state["sm_mhz"], state["seconds_away"]], [clock, away], began)

    def test_a_sample_that_is_too_far_off_says_nothing_of_a_figure(self) -> None:
        log = [sample(10.0), sample(20.0)]
        self.assertIsNone(over(log, 12.0, 13.0))
        self.assertIsNone(over([], 12.0, 13.0))
        self.assertIsNotNone(over(log, 10.9, 13.0))

    def test_a_gap_within_a_figure_is_told(self) -> None:
        log = [sample(10.0), sample(10.2), sample(13.0), sample(13.2)]
        self.assertEqual(over(log, 10.0, 13.2)["gap_seconds"], 2.8)
        self.assertEqual(over(log, 10.0, 12.9)["gap_seconds"], 2.7)
        self.assertNotIn("gap_seconds", over(log, 10.0, 10.3))
        self.assertEqual(gaps(log), [{"began": 10.2, "seconds": 2.8}])

    def test_numbers_that_are_not_said_are_left_out_of_the_middle(self) -> None:
        state = over([sample(1.0, watts=None), sample(1.2, watts=200)], 0.9, 1.3)
        self.assertEqual(state["watts"], 200)
        self.assertIsNone(over([sample(1.0, watts=None)], 0.9, 1.3)["watts"])


class InTheRecord(FakeKit):
    def test_every_figure_and_experiment_says_how_the_card_was(self) -> None:
        """Wherever it stands: nvidia-smi writes local time."""
        ended = self.check(TZ="FAR-9")
        self.assertEqual(ended.returncode, 0, ended.stdout)
        record = self.record()
        self.assertEqual([record["clocks"]["status"], record["clocks"]["gaps"]], ["ok", []])
        state = {"sm_mhz": 1980, "sm_mhz_lowest": 1980, "memory_mhz": 2619, "watts": 350.25, "celsius_highest": 51}
        state |= {"reasons": ["sw_power_cap"]}
        self.assertEqual({key: record["clocks"]["all"][key] for key in state}, state)
        for figure in record["figures"]:
            self.assertEqual({key: figure["machine"][key] for key in state}, state, figure["name"])
        stages = record["stages"]
        others = (stages["tune"]["figures"][0], stages["ncu"]["adam/535818"], stages["mnist"]["adam"])
        for result in (stages["tests"], stages["tune"], *others):
            self.assertEqual(result["machine"]["watts"], 350.25)
        query = ",".join(["timestamp", *clocks.NUMBERS, "clocks_event_reasons.active"])
        command = f"nvidia-smi -i 0 --query-gpu={query} --format=csv,noheader,nounits -lms 200"
        self.assertEqual(sum(call.startswith(command) for call in self.calls_made()), 1)

    def test_an_older_driver_is_asked_by_the_older_name(self) -> None:
        self.fake("tools/nvidia-smi", nvidia_smi('"clocks_throttle_reasons.active"'))
        self.assertEqual(self.ends_with()["clocks"]["fields"][-1], "clocks_throttle_reasons.active")

    def test_a_log_that_says_nothing_costs_only_the_states(self) -> None:
        self.fake("tools/nvidia-smi", nvidia_smi(log='echo \'Field "clocks.sm" is not a valid field to query.\'; exit 6'))
        record = self.ends_with()
        self.assertEqual(record["clocks"]["status"], 'no line can be read: Field "clocks.sm" is not a valid field to query.')
        self.assertEqual({figure["machine"] for figure in record["figures"]}, {None})
        self.assertEqual(sum("-lms" in call for call in self.calls_made()), clocks.STARTS)

    def test_a_log_that_ends_is_started_again(self) -> None:
        line = '"$(date -u "+%Y/%m/%d %H:%M:%S.%3N"), 1980, 2619, 350.25, 51, 97, 0x0"'
        self.fake("tools/nvidia-smi", nvidia_smi(log=f"echo {line}"))
        record = self.ends_with()
        self.assertEqual(record["clocks"]["status"], f"ended by itself {clocks.STARTS - 1} times")
        self.assertEqual(record["clocks"]["samples"], clocks.STARTS)


if __name__ == "__main__":
    unittest.main()
