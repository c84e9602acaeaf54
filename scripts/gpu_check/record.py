"""The record: one JSON object made of the results so far, whole at any moment.

scripts/gpu-record, tests and people read it; docs/gpu/README.md says what is in it. Everything here is a function of
results, so that a record that is cut short is made by the same code as a complete one.
"""
import json
from pathlib import Path

from . import clocks
from .experiments import TABLE, TOOLS, Experiment
from .queue import is_done

GOAL = 0.98  # test accuracy
OPTIMIZERS = ["adagrad", "rmsprop", "adam"]  # which must reach the goal
NOT_BEGUN = "not begun: the visit ended before"
PARTS = ("newest", "rest")  # of a sanitizer's run


def stages(results: dict[str, dict]) -> dict[str, dict]:
    """Results by their place: `STAGE` or `STAGE/PART`; the parts of the machine are one, and so are a sanitizer's two."""
    found: dict[str, dict] = {}
    for name, result in results.items():
        stage, _, part = name.partition("/")
        if part:
            found.setdefault(stage, {})[part] = result
        else:
            found[stage] = result
    if machine := found.get("machine"):
        found["machine"] = as_one_machine(machine)
    if sanitizer := found.get("sanitizer"):
        found["sanitizer"] = {tool: as_one_run(sanitizer, tool) for tool in TOOLS if f"{tool}/newest" in sanitizer}
    return found


def as_one_machine(parts: dict[str, dict]) -> dict:
    """What is known of it, and the status of what matters most, the doctor's."""
    status = parts.get("doctor", {}).get("status", NOT_BEGUN)
    times = ("status", "granted", "seconds", "began", "ended")
    return {"status": status} | {key: value for part in parts.values() for key, value in part.items() if key not in times}


def as_one_run(parts: dict[str, dict], tool: str) -> dict:
    """A tool over the newest families and over the rest: both together, and each by itself."""
    runs = {part: parts.get(f"{tool}/{part}", {"status": NOT_BEGUN}) for part in PARTS}
    begun = {part: run for part, run in runs.items() if "passed" in run}
    wrong = [f"{part} {run['status']}" for part, run in runs.items() if not is_done(run["status"])]
    # A part with nothing to run has nothing to sum up, either: no family has tests, or the newest are all there are.
    tested = [run for run in begun.values() if run["passed"] or run["failed"] or run["status"] != "ok"]
    errors = [run["errors"] for run in tested]
    return {
        "status": "; ".join(wrong) or "ok",
        "seconds": round(sum(run["seconds"] for run in begun.values()), 3),
        "every": TOOLS[tool],
        "errors": sum(errors) if errors and None not in errors else None,
        "first": list(dict.fromkeys(message for run in begun.values() for message in run["first"])),
        **{key: sum(run[key] for run in begun.values()) for key in ("passed", "failed") if begun},
        "parts": runs,
    }


# ---- Figures

KEPT = ("shape", "precision", "variant", "cache", "samples", "spread", "rate", "unit", "fraction", "bound")
PEERS_OWN = ("samples", "spread")


def our_figures(results: dict[str, dict]) -> list[dict]:
    """The benches', and the epochs of whole runs of MNIST.

    A case that two processes measured (the ceilings, each; some steps, two) stands there once, with its peers.
    """
    found: dict[tuple, dict] = {}
    for name, result in results.items():
        if name == "step" or name.startswith("benches/"):
            for line in result.get("figures", []):
                key = (line["name"], line.get("cache"), line.get("variant"))
                if key not in found or (line.get("peers") and not found[key].get("peers")):
                    found[key] = line
    epochs = []
    for name, result in results.items():
        if name.startswith("mnist/") and "epoch_seconds" in result:
            machine = {"machine": result["machine"]} if "machine" in result else {}
            # Not the bench's `mnist_epoch`: a whole run shifts its images.
            epochs.append({"name": f"mnist_run/{name.removeprefix('mnist/')}", "seconds": result["epoch_seconds"]} | machine)
    return [*epochs, *found.values()]


def compare(ours: list[dict]) -> list[dict]:
    """Each of our figures beside each peer that was asked in turns with it.

    ratio = ours / peer's, in the same rounds, so less than 1 is faster.
    """
    return [compared(our, peer) for our in ours for peer in our.get("peers") or [{}]]


def compared(our: dict, peer: dict) -> dict:
    ours, theirs = peer.get("ours_seconds") or our["seconds"], peer.get("seconds")
    return {
        "name": our["name"],
        "ours_seconds": our["seconds"],
        "peer_seconds": theirs,
        "peer": peer.get("peer"),
        "ratio": ours / theirs if theirs else None,
        **{key: our.get(key) for key in KEPT},
        **{f"peer_{key}": peer.get(key) for key in PEERS_OWN},
        "machine": our.get("machine"),
    }


def with_machine(results: dict[str, dict], samples: list[clocks.Sample]) -> dict[str, dict]:
    """The results, each of which and each of whose figures says how the card was meanwhile.

    A figure that does not say when it was measured gets what its process met.
    """

    def joined(line: dict, otherwise: dict) -> dict:
        began, ended = (line.get(key, otherwise.get(key)) for key in ("began", "ended"))
        if not all(isinstance(moment, (int, float)) for moment in (began, ended)):
            return line
        return line | {"machine": clocks.over(samples, began, ended)}

    found = {}
    for name, result in results.items():
        if not samples or name.startswith("machine/"):
            found[name] = result
            continue
        result = joined(result, {})
        if "figures" in result:
            result["figures"] = [joined(line, result) for line in result["figures"]]
        found[name] = result
    return found


# ---- What is missing, and what is wrong

def owed(experiments: list[Experiment], results: dict[str, dict]) -> list[dict]:
    """What this visit was to find out and did not, with the reason."""
    missing = []
    for experiment in experiments:
        result = results.get(experiment.name, {"status": NOT_BEGUN})
        status = result["status"]
        if not is_done(status) and not (experiment.answers and status.startswith("exit status")):
            missing.append({"experiment": experiment.name, "reason": status})
        if left := result.get("left"):
            missing.append({"experiment": experiment.name, "reason": "its own time was over", "left": left})
        missing += [{"experiment": experiment.name, "reason": reason} for reason in told(result.get("problems", []))]
    return missing


def told(problems: list[dict]) -> list[str]:
    """A line for each kind of problem, with the names of what met it; a name within a problem is left out of it."""
    names: dict[str, list[str]] = {}
    for line in problems:
        who = f"{line['peer']}: " if line.get("peer") else ""
        name = str(line.get("name"))
        names.setdefault(who + line["problem"].replace(name, "…"), []).append(name)
    return [f"{problem} ({', '.join(dict.fromkeys(met))})" for problem, met in names.items()]


def faults(found: dict[str, dict], rehearsed: bool) -> list[str]:
    """Why the check is not passed, as far as it has come; `found` is by stages."""
    wrong = []
    none = {"status": NOT_BEGUN}
    variants = found.get("variants", none)
    if variants["status"] != "ok" or variants["wrong"] or not variants["checks"]:
        wrong.append(f"variants: {variants_verdict(variants)}")
    tests = found.get("tests", none)
    if tests["status"] != "ok" or not tests["passed"]:
        wrong.append(f"tests: {tests_verdict(tests)}")
    for tool in TOOLS:
        result = found.get("sanitizer", {}).get(tool, none)
        if result["status"] != "ok" or result["errors"] != 0 or not result.get("passed"):
            wrong.append(f"{tool}: {sanitizer_verdict(result)}")
    for name in OPTIMIZERS:
        result = found.get("mnist", {}).get(name, none)
        reached = rehearsed or result.get("test_accuracy", 0) >= GOAL
        if result["status"] != "ok" or not reached:
            wrong.append(f"mnist {name}: {result.get('test_accuracy', result['status'])}")
    return wrong


def tests_verdict(result: dict) -> str:
    counts = f"{result['passed']} passed, {result['failed']} failed" if "passed" in result else ""
    names = ", ".join(result.get("failures", []))
    status = "" if result["status"] == "ok" else result["status"]
    return "; ".join(filter(None, [counts, status, names]))


def sanitizer_verdict(result: dict) -> str:
    errors = "no summary" if result.get("errors") is None else f"{result['errors']} errors"
    first = next(iter(result.get("first", [])), "")
    return "; ".join(filter(None, [errors, tests_verdict(result), first]))


def variants_verdict(result: dict) -> str:
    checks = result.get("checks")
    count = "" if checks is None else f"{len(checks) - len(result['wrong'])} of {len(checks)} variants right"
    status = "" if result["status"] == "ok" else result["status"]
    return "; ".join(filter(None, [count, status, *result.get("wrong", [])]))


# ---- All of it

def made(base: dict, results: dict[str, dict], log: clocks.Log | None) -> dict:
    """The record of these results; `base` is what is known of the visit itself."""
    samples = log.samples() if log else []
    results = with_machine(results, samples)
    found = stages(results)
    machine = found.get("machine", {})
    keys = {"card": "card", "driver": "driver", "torch": "torch"}
    return base | {key: machine.get(name) for key, name in keys.items()} | {
        "clocks": log.account(samples) if log else {"status": NOT_BEGUN},
        "stages": found,
        "figures": compare(our_figures(results)),
        "owed": owed(TABLE, results),
        "faults": faults(found, base["rehearsal"]),
    }


def save(record: dict, folder: Path, indent: int | None = None) -> None:
    """Written beside itself, then put in place: what is there is a whole record at any moment.

    Without an indent it takes a tenth of the time, which is a card's.
    """
    unfinished = folder / "record.json.new"
    unfinished.write_text(json.dumps(record, indent=indent, allow_nan=False) + "\n")
    unfinished.replace(folder / "record.json")


