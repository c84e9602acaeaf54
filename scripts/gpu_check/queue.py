"""Which experiment gets how much of the time there is.

The rule is short, so that a reader of a record can work out why something is missing from it: in their order, each
experiment gets its own limit or what is left, whichever is less, and is not started in less than it can use.
What one leaves over is there for the next.
"""
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

BUDGET = 560  # seconds for everything
OUT_OF_TIME = "skipped: out of time"
NOTHING = "nothing to do"  # begins the status of an experiment that this kit has no work for


def is_done(status: str) -> bool:
    return status == "ok" or status.startswith(NOTHING)


class Budget:
    """Seconds that run down by a clock."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.clock = seconds, clock
        self.end = clock() + seconds

    def left(self) -> float:
        return self.end - self.clock()


@dataclass(frozen=True)
class Times:
    """Of an experiment, in seconds: what it takes on a card of today, its limit, the least worth starting it in."""

    expected: float
    limit: float
    least: float = 1


def granted(times: Times, left: float) -> float | None:
    """The seconds that an experiment may take when `left` are left; none if it is not to be started."""
    seconds = min(times.limit, left)
    return seconds if seconds >= times.least else None


def expected(all_times: Iterable[Times]) -> float:
    return sum(times.expected for times in all_times)
