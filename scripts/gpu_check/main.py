"""Checks and measures a build on a real GPU, and writes what was found into one record.

    scripts/gpu-check KIT OUT [--budget 560] [--rehearse]

KIT is the folder that scripts/gpu-kit makes. The machine needs an NVIDIA driver; compute-sanitizer, Nsight Compute and
Python with PyTorch and NumPy as far as they are there; no Rust, no network. OUT is made, or is an empty folder.

The experiments run one after the other, most valuable first, each a process of its own with a limit of its own, all
together within --budget seconds: what fails, hangs or is missing costs only itself. `machine` (card, driver, toolkit,
`cotangent doctor`), then beside all the others a log of clocks, power and temperature; `variants` (every kernel variant
against the reference kernel), `tests` (the kernels and what runs on them), `sanitizer` (the kernels' tests under the
four tools of compute-sanitizer, the newest kernels first), `tune` (the fastest variant of each shape), `latency`,
`step` (the training step), `ncu` (hardware counters), `mnist` (a run for each optimizer and recipe), `benches` (our
kernels and training beside PyTorch's, in pairs). gpu_check/experiments.py is the table of them.

OUT/record.json is replaced after each experiment; it names what is owed: what did not fit, was cut off or failed, and
why. At the end OUT holds four files at most: record.json, clocks.csv (the log of the card), tuning.csv (if this visit
found faster variants than today's) and logs.tar.xz, with all that each stage's programs printed and wrote. Until then
that is in OUT/work, and stays there if it cannot be packed. The record names the commit of the build and the git tree
ids of what was built, by which scripts/gpu-record finds what was measured.

--rehearse runs the same queue at tiny sizes where there is no card but an emulated driver (tests/emulator); its record
says so, and scripts/gpu-record refuses it.

Exit status: 0 if every variant is right, the tests passed, compute-sanitizer found nothing and each optimizer reached
98%; 1 if not; 2 if there is no card, or an emulated card, whose times say nothing.
"""
import argparse
import datetime
import json
import re
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import clocks, record, tables
from .experiments import MACHINE, TABLE, Experiment, Refused, Visit
from .packing import SECONDS_TO_PACK, pack
from .programs import CUT_OFF, Ended, run_program
from .queue import BUDGET, OUT_OF_TIME, Budget, granted
from .rehearsal import KEPT, Rehearsal


@dataclass
class Queue:
    """One visit's experiments, one after the other."""

    visit: Visit
    budget: Budget
    scratch: Path
    base: dict
    log: clocks.Log | None = None
    ending: bool = False

    def run_all(self) -> None:
        self.visit.work.mkdir()
        self.save()
        try:
            for experiment in MACHINE:
                self.perform(experiment)
            asked = self.visit.results["machine/clocks"].get("clock_fields") or clocks.fields("")
            self.log = clocks.Log(self.visit.out / "clocks.csv", asked)
            for experiment in TABLE[len(MACHINE) :]:
                self.log.keep()
                self.perform(experiment)
        finally:
            self.finish()

    def end(self, *_) -> None:
        """Upon SIGTERM: no program is left running, and what was found is kept."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.ending = True
        sys.exit(128 + signal.SIGTERM)

    def finish(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.log:
            self.log.close()
        self.save(indent=2)
        try:
            pack(self.visit.work, self.visit.out / "logs.tar.xz")
        except Exception as error:  # the record matters more
            print(f"gpu-check: the logs are left in {self.visit.work}: {error!r}", file=sys.stderr)

    def perform(self, experiment: Experiment) -> None:
        """Does one experiment in the time that is left, and records how it went."""
        self.visit.results[experiment.name] = {"status": CUT_OFF}
        if status := self.obstacle(experiment):
            result = {"status": status}
        else:
            result = self.tried(experiment)
        self.visit.results[experiment.name] = result
        try:
            self.save()
        except Exception as error:  # what the reading let through; a record without it is better than none
            self.visit.results[experiment.name] = {"status": f"its results cannot be recorded: {error!r}"}
            self.save()
        if self.ending:
            sys.exit(128 + signal.SIGTERM)

    def obstacle(self, experiment: Experiment) -> str | None:
        try:
            return experiment.obstacle(self.visit)
        except Refused:
            raise
        except Exception as error:  # whatever earlier programs wrote
            return f"cannot be decided: {error!r}"

    def tried(self, experiment: Experiment) -> dict:
        seconds = granted(experiment.times, self.budget.left())
        if seconds is None:
            return {"status": OUT_OF_TIME}
        times = {"granted": round(seconds, 3)}
        try:
            end = self.budget.clock() + seconds
            ended = self.run(experiment, seconds)
            left = 0 if self.ending else end - self.budget.clock()
            if left >= experiment.times.least and experiment.again(self.visit, ended):
                ended = self.run(experiment, left)
            times |= {"seconds": ended.seconds, "began": ended.began, "ended": ended.ended}
            return {"status": ended.status, **times, **experiment.read(self.visit, ended)}
        except Refused:
            raise
        except Exception as error:  # whatever a program wrote, or our reading of it: the others go on
            return {"status": f"its results cannot be read: {error!r}", **times}

    def run(self, experiment: Experiment, seconds: float) -> Ended:
        command = experiment.command(self.visit, seconds)
        log = self.visit.work / f"{experiment.name.split('/')[0]}.log"
        kept = KEPT if self.visit.rehearsal else []
        return run_program(command.words, log, seconds, self.scratch, command.variables, kept)

    def save(self, indent: int | None = None) -> None:
        self.record = record.made(self.base, self.visit.results, self.log)
        record.save(self.record, self.visit.out, indent)


def kept_as(found: dict) -> str:
    """The record's place in the repository."""
    card = re.sub(r"[^a-z0-9]+", "-", (found["card"] or "unknown card").lower()).strip("-")
    return f"docs/gpu/{card}-{found['date'][:10]}-{found['commit'][:7]}.json"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kit", type=Path, metavar="KIT", help="the folder that scripts/gpu-kit made")
    parser.add_argument("out", type=Path, metavar="OUT", help="where the record and the logs go: four files at most")
    parser.add_argument("--budget", type=float, default=BUDGET, metavar="SECONDS", help="for everything")
    parser.add_argument("--rehearse", action="store_true", help="try the queue out on the emulated driver, at tiny sizes")
    arguments = parser.parse_args()
    if not (arguments.kit / "kit.json").is_file():
        parser.error(f"{arguments.kit} has no kit.json: name the folder that scripts/gpu-kit made")
    if arguments.out.exists() and (not arguments.out.is_dir() or any(arguments.out.iterdir())):
        parser.error(f"{arguments.out} is no empty folder: name another, so that no record is mixed with an older one")
    return arguments


def begun(arguments: argparse.Namespace, scratch: Path) -> Queue:
    made = json.loads((arguments.kit / "kit.json").read_text())
    visit = Visit(arguments.kit.resolve(), arguments.out.resolve(), made, Rehearsal(scratch) if arguments.rehearse else None)
    base = {
        "commit": made["commit"], "trees": made["trees"],
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "rehearsal": arguments.rehearse, "budget": arguments.budget,
        "card": None, "driver": None, "toolkit": made["nvcc"], "torch": None, "kit": made,
    }
    return Queue(visit, Budget(arguments.budget - SECONDS_TO_PACK), scratch, base)


def main() -> None:
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        queue = begun(arguments, Path(scratch))
        signal.signal(signal.SIGTERM, queue.end)
        try:
            queue.run_all()
        except Refused as refusal:
            (arguments.out / "record.json").unlink(missing_ok=True)
            print(f"gpu-check: {refusal}", file=sys.stderr)
            sys.exit(2)
    print(tables.summary(queue.record))
    where = arguments.out / "record.json"
    if arguments.rehearse:
        print(f"The rehearsal's record is {where}: no figure in it means anything, and no page is made of it")
    else:
        print(f"The record is {where}; keep it as {kept_as(queue.record)}, then run scripts/gpu-record")
    if wrong := queue.record["faults"]:
        print("NOT PASSED: " + "\n            ".join(wrong))
        sys.exit(1)
    print("PASSED")
