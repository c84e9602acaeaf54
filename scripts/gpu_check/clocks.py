"""A log of the card beside everything that is measured on it: clocks, power, temperature, what holds the clocks back.

A figure without its clock says little: a card that is hot, or at its limit of power, is another card. nvidia-smi
writes a line every STEP; each figure gets what the lines between its beginning and its end say. Nothing here
changes a setting of the card.
"""
import contextlib
import os
import re
import subprocess
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from .programs import kill_group, limit_files, read_from

STEP = 0.2  # seconds
GAP = 5 * STEP  # without a line for so long, the log has a gap
STARTS = 4  # of a log that keeps ending

NUMBERS = ["clocks.sm", "clocks.mem", "power.draw", "temperature.gpu", "utilization.gpu"]
REASON_FIELDS = ["clocks_event_reasons.active", "clocks_throttle_reasons.active"]  # the newer drivers' name first
# NVML's nvmlClocksEventReason constants.
REASONS = {
    0x1: "gpu_idle",
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
}


@dataclass
class Sample:
    """The card at one moment (unix time); what a driver does not say is none."""

    time: float
    sm: float | None
    memory: float | None
    watts: float | None
    celsius: float | None
    utilization: float | None
    reasons: tuple[str, ...]


def fields(help_text: str) -> list[str]:
    """What to ask nvidia-smi for, by what its --help-query-gpu says that it knows."""
    def known(names: list[str]) -> list[str]:
        return [name for name in names if re.search(rf'"{re.escape(name)}"', help_text)]

    power = next(iter(known(["power.draw.instant"])), "power.draw")
    numbers = [power if name == "power.draw" else name for name in NUMBERS]
    return ["timestamp", *numbers, *known(REASON_FIELDS)[:1]]


def reasons(mask: str) -> tuple[str, ...]:
    """The names of a mask's bits; of one that is not known, its number."""
    bits = int(mask, 16)
    return tuple(REASONS.get(1 << i, f"{1 << i:#x}") for i in range(bits.bit_length()) if bits >> i & 1)


def number(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        return float(text)
    return None  # [N/A], [Not Supported]


def parse(line: str) -> Sample | None:
    """One line of the log; none if it is not one."""
    moment, *cells = [cell.strip() for cell in line.split(",")]
    if not len(NUMBERS) <= len(cells) <= len(NUMBERS) + 1:
        return None
    try:
        when = datetime.strptime(moment, "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=timezone.utc).timestamp()
        mask = cells[len(NUMBERS) :]
        why = reasons(mask[0]) if mask and mask[0].startswith("0x") else ()
    except ValueError:
        return None
    return Sample(when, *map(number, cells[: len(NUMBERS)]), why)


def moment_of(sample: Sample) -> float:
    return sample.time


def over(samples: list[Sample], began: float, ended: float) -> dict | None:
    """The card between two moments; if no sample lies there, at the one nearest to them. None if that is too far off.

    Clocks in MHz, power in W, temperature in °C, utilisation in percent.
    """
    first = bisect_left(samples, began, key=moment_of)
    within = samples[first : bisect_right(samples, ended, key=moment_of)]
    away = 0.0
    if not within:
        def distance(sample: Sample) -> float:
            return max(began - sample.time, sample.time - ended)

        nearest = min(samples[max(first - 1, 0) : first + 1], key=distance, default=None)
        if nearest is None or (away := distance(nearest)) > GAP:
            return None
        within = [nearest]

    def told(name: str, choose) -> float | None:
        values = [value for sample in within if (value := getattr(sample, name)) is not None]
        return choose(values) if values else None

    state = {
        "sm_mhz": told("sm", median),
        "sm_mhz_lowest": told("sm", min),
        "memory_mhz": told("memory", median),
        "watts": told("watts", median),
        "celsius_highest": told("celsius", max),
        "utilization": told("utilization", median),
        "reasons": sorted({reason for sample in within for reason in sample.reasons}),
        "samples": len(within),
    }
    moments = [began, *(sample.time for sample in within), ended]
    longest = max(later - earlier for earlier, later in zip(moments, moments[1:]))
    if away:
        state["seconds_away"] = round(away, 3)
    elif longest > GAP:
        state["gap_seconds"] = round(longest, 3)
    return state


def gaps(samples: list[Sample]) -> list[dict]:
    """Where the log says nothing for long, by unix time."""
    pairs = zip(samples, samples[1:])
    return [
        {"began": earlier.time, "seconds": round(later.time - earlier.time, 3)}
        for earlier, later in pairs if later.time - earlier.time > GAP
    ]


class Log:
    """nvidia-smi in the background, which writes into a file until this is closed."""

    def __init__(self, file: Path, asked: list[str]) -> None:
        self.file, self.asked = file, asked
        self.process: subprocess.Popen | None = None
        self.starts, self.problem = 0, None

    def keep(self) -> None:
        """Starts the log, again if it has ended."""
        if self.starts >= STARTS or (self.process is not None and self.process.poll() is None):
            return
        self.starts += 1
        query = f"--query-gpu={','.join(self.asked)}"
        step = str(round(STEP * 1000))
        command = ["nvidia-smi", "-i", "0", query, "--format=csv,noheader,nounits", "-lms", step]
        with self.file.open("ab", buffering=0) as opened:
            try:
                # nvidia-smi writes local time, and says no zone.
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=opened, stderr=opened, env=os.environ | {"TZ": "UTC0"},
                    start_new_session=True, preexec_fn=limit_files,
                )
            except OSError as error:
                self.problem = f"cannot be started: {error}"

    def close(self) -> None:
        if self.process is not None:
            kill_group(self.process)

    def samples(self) -> list[Sample]:
        text = read_from(self.file, 0) if self.file.exists() else ""
        found = [sample for line in text.splitlines() if (sample := parse(line))]
        return sorted(found, key=moment_of)

    def account(self, samples: list[Sample]) -> dict:
        """What the record says of the log itself."""
        status = "ok"
        if not samples:
            said = read_from(self.file, 0).splitlines() if self.file.exists() else []
            status = self.problem or f"no line can be read: {next(iter(said), 'it is empty')}"
        elif self.starts > 1:
            status = f"ended by itself {self.starts - 1} times"
        return {
            "status": status, "fields": self.asked, "step": STEP, "samples": len(samples), "gaps": gaps(samples),
            "all": over(samples, samples[0].time, samples[-1].time) if samples else None,
        }


