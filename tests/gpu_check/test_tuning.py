"""kernels/tuning.csv, made of records.

    python3 -m unittest discover -s tests/gpu_check
"""
import csv
import io
import unittest

import fakes
from fakes import timed

from gpu_check.tuning import COLUMNS, best, rows, table

SHAPE = ("f32", "nt", 128, 512, 784)
HEADER = ",".join(COLUMNS) + "\n"


def record(*figures: dict, card: str = "NVIDIA H100", date: str = "2026-11-27", checks=None, tuning: tuple = ()) -> dict:
    """Of these times; each variant is right, unless `checks` say otherwise."""
    if checks is None:
        checks = [{"check": "gemm_f32", "variant": line["variant"], "status": "ok"} for line in figures]
    return {
        "card": card, "date": date, "kit": {"tuning": list(tuning)},
        "stages": {"tune": {"figures": list(figures)}, "variants": {"checks": checks}},
    }


def row(variant: str, card: str = "NVIDIA H100", m: int = 128) -> dict:
    cells = [card, "f32", "nt", m, 512, 784, variant, 2]
    return dict(zip(COLUMNS, map(str, cells)))


class Choices(unittest.TestCase):
    def test_the_fastest_median_is_taken(self) -> None:
        found = record(timed("today", 10e-6, chosen_now=True), timed("fast", 8e-6, splits=4), timed("slow", 9e-6))
        self.assertEqual(rows(found), {SHAPE: ("fast", 4)})
        self.assertEqual(table([found]), HEADER + "NVIDIA H100,f32,nt,128,512,784,fast,4\n")

    def test_todays_choice_stays_within_the_larger_spread(self) -> None:
        for spreads, stays in (((0.02, 0.02), False), ((0.26, 0.02), True), ((0.02, 0.26), True), ((0.24, 0.24), False)):
            today = timed("today", 10e-6, chosen_now=True, spread=spreads[0])
            found = record(today, timed("fast", 8e-6, spread=spreads[1]))
            self.assertEqual(rows(found), {SHAPE: ("today" if stays else "fast", 1)}, spreads)

    def test_a_choice_that_came_from_a_row_keeps_it(self) -> None:
        embedded = (row("today"), row("other", card="NVIDIA L4"), row("unmeasured", m=7))
        found = record(timed("today", 10e-6, chosen_now=True, splits=2), timed("worse", 11e-6), tuning=embedded)
        self.assertEqual(rows(found), {SHAPE: ("today", 2), ("f32", "nt", 7, 512, 784): ("unmeasured", 2)})
        changed = record(timed("today", 10e-6, chosen_now=True, splits=2), timed("better", 8e-6), tuning=embedded)
        self.assertEqual(rows(changed)[SHAPE], ("better", 1))

    def test_a_variant_that_is_not_proven_right_takes_nobodys_place(self) -> None:
        figures = (timed("today", 10e-6, chosen_now=True), timed("fast", 8e-6), timed("faster", 7e-6))
        ok, wrong = ({"check": "gemm", "variant": "faster", "status": status} for status in ("ok", "7 is 8"))
        fast = {"check": "gemm", "variant": "fast", "status": "ok"}
        self.assertEqual(rows(record(*figures, checks=[ok, fast])), {SHAPE: ("faster", 1)})
        self.assertEqual(rows(record(*figures, checks=[wrong, fast])), {SHAPE: ("fast", 1)})
        self.assertEqual(rows(record(*figures, checks=[wrong, ok, fast])), {SHAPE: ("fast", 1)}, "wrong in one kernel")
        self.assertEqual(rows(record(*figures, checks=[])), {SHAPE: ("today", 1)}, "unchecked")

    def test_a_choice_that_is_wrong_does_not_stay(self) -> None:
        figures = (timed("today", 10e-6, chosen_now=True), timed("slow", 20e-6))
        checks = [{"check": "gemm", "variant": "today", "status": "wrong"}, {"check": "gemm", "variant": "slow", "status": "ok"}]
        self.assertEqual(rows(record(*figures, checks=checks)), {SHAPE: ("slow", 1)})

    def test_where_operands_are_in_the_cache_they_decide(self) -> None:
        today = [timed("today", 10e-6, chosen_now=True), timed("today", 10e-6, chosen_now=True, cache="cold")]
        cold = timed("cold", 1e-6, cache="cold")
        self.assertEqual(rows(record(*today, timed("warm", 8e-6), cold)), {SHAPE: ("warm", 1)})
        self.assertEqual(rows(record(today[1], cold)), {SHAPE: ("cold", 1)})

    def test_without_todays_choice_the_fastest_is_taken(self) -> None:
        lines = [timed("a", 2.0), timed("b", 1.0, spread=None)]
        self.assertEqual(best(lines)["variant"], "b")


class Tables(unittest.TestCase):
    def test_the_newest_measured_record_of_each_card_wins(self) -> None:
        def figures(variant: str) -> tuple[dict, ...]:
            return timed("today", 10e-6, chosen_now=True), timed(variant, 8e-6)

        records = [
            record(*figures("new"), date="2026-12-02"), record(*figures("old"), date="2026-12-01"),
            record(date="2026-12-03"), {"card": "NVIDIA H100", "date": "2027", "stages": {}},
            record(*figures("small"), card="NVIDIA L4, small", date="2026-11-01"),
        ]
        found = list(csv.DictReader(io.StringIO(table(records))))
        choices = [(line["card"], line["variant"]) for line in found]
        self.assertEqual(choices, [("NVIDIA H100", "new"), ("NVIDIA L4, small", "small")])

    def test_without_any_there_is_a_header_only(self) -> None:
        self.assertEqual(table([]), HEADER)
        self.assertEqual(table([record()]), HEADER)

    def test_the_table_in_the_repository_has_these_columns(self) -> None:
        first = (fakes.ROOT / "kernels/tuning.csv").read_text().splitlines()[0]
        self.assertEqual(first, ",".join(COLUMNS))


if __name__ == "__main__":
    unittest.main()
