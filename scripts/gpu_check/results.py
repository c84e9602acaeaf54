"""Reading what programs printed, cut off or not.

Every reader takes text and gives plain data; where the text is not what it should be, it gives less, or raises, and the
queue goes on.
"""
import contextlib
import csv
import json
import math
import re
import statistics
from pathlib import Path

FINDINGS = re.compile(r"(?:ERROR SUMMARY: (\d+) errors?|RACECHECK SUMMARY: (\d+) hazards? displayed)")
FINDINGS_SHOWN = 5
NUMBERS = ("began", "ended", "samples", "spread", "rate", "fraction", "ours_seconds")
WORDS = ("cache", "variant", "unit", "shape", "precision", "bound", "peer")
MOST_LINES = 10_000  # of a program's JSON: more than any has to say, and so few that every save is quick


def finite(text: str) -> float | None:
    """A number; NaN and what is too large to be one are nothing, since the record's JSON has no word for them."""
    number = float(text)
    return number if math.isfinite(number) else None


def loads(text: str) -> object:
    return json.loads(text, parse_float=finite, parse_constant=lambda _: None)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_time(value: object) -> bool:
    return is_number(value) and value > 0


def json_lines(text: str) -> list[dict]:
    """The lines that are JSON objects, MOST_LINES at most; others, and a last one that was cut off, are left out."""
    found = []
    for line in text.splitlines():
        if line.startswith("{") and len(found) < MOST_LINES:
            with contextlib.suppress(ValueError, RecursionError):
                found.append(loads(line))
    return found


def whole_json(text: str) -> dict:
    """The JSON object in a program's output, warnings around it left out; empty if there is none."""
    with contextlib.suppress(ValueError, RecursionError):
        return loads(text[max(text.find("{"), 0) : text.rfind("}") + 1])
    return {}


def as_they_should_be(line: dict) -> dict:
    """A line whose fields are what they are said to be, or none: tables and comparisons rely on it."""
    wrong = {key for key in NUMBERS if not is_number(line.get(key))}
    wrong |= {key for key in WORDS if not isinstance(line.get(key), str)}
    found = {key: None if key in wrong else value for key, value in line.items()}
    if "peers" in line:
        peers = line["peers"] if isinstance(line["peers"], list) else []
        named = [peer for peer in peers if isinstance(peer, dict) and isinstance(peer.get("peer"), str)]
        found["peers"] = [as_they_should_be(peer) for peer in named if is_time(peer.get("seconds"))]
    return found


def measured(lines: list[dict]) -> list[dict]:
    """The figures among the lines: what has a name and a time in seconds."""
    figures = [line for line in lines if isinstance(line.get("name"), str) and is_time(line.get("seconds"))]
    return [as_they_should_be(line) for line in figures]


def problems(lines: list[dict]) -> list[dict]:
    """What could not be measured, by the program's own account."""
    return [as_they_should_be(line) for line in lines if isinstance(line.get("problem"), str)]


def count_tests(output: str) -> dict:
    """Passed and failed, and the names of failures, in what a Rust test program printed, if it was cut off too."""
    failures = re.findall(r"^test (\S+) \.\.\. FAILED", output, re.MULTILINE)
    if total := re.search(r"^test result: .*?(\d+) passed; (\d+) failed;", output, re.MULTILINE):
        passed, failed = int(total[1]), int(total[2])
    else:
        passed, failed = len(re.findall(r"^test \S+ \.\.\. ok", output, re.MULTILINE)), len(failures)
    return {"passed": passed, "failed": failed, "failures": failures}


def count_findings(output: str) -> dict:
    """How many errors compute-sanitizer counted (none if it did not come so far), and the first of them."""
    summary = FINDINGS.search(output)
    messages = re.findall(r"^========= (?!COMPUTE-SANITIZER|.*SUMMARY)(\S.*)", output, re.MULTILINE)
    errors = int(summary[1] or summary[2]) if summary else None
    return {"errors": errors, "first": list(dict.fromkeys(messages))[:FINDINGS_SHOWN]}


def read_variants(output: str) -> dict:
    """Each kernel variant against the reference kernel on the device, and the variants that are wrong."""
    checks = [line for line in json_lines(output) if all(isinstance(line.get(key), str) for key in ("check", "variant"))]
    wrong = [f"{line['check']} {line['variant']}: {line.get('status')}" for line in checks if line.get("status") != "ok"]
    return {"checks": checks, "wrong": wrong}


def is_tune(line: dict) -> bool:
    words = all(isinstance(line.get(key), str) for key in ("tune", "transposes", "variant"))
    return words and all(isinstance(line.get(key), int) for key in ("m", "n", "k", "splits")) and is_time(line.get("seconds"))


def read_tune(output: str) -> dict:
    """Times of each variant at each shape, the shapes that were not come to, and those that could not be timed."""
    lines = json_lines(output)
    figures = [as_they_should_be(line) for line in lines if is_tune(line)]
    left = next((line["left"] for line in reversed(lines) if "left" in line), None)
    # Those of older programs have no name.
    failed = [{"name": f"tune/{line.get('precision')}/{line.get('product')}"} | line for line in problems(lines)]
    return {"figures": figures, "left": left, "problems": failed}


def read_run(folder: Path) -> dict:
    """What a training run wrote: accuracies 0 to 1, times in seconds."""
    summary = loads((folder / "summary.json").read_text())
    with (folder / "metrics.csv").open() as file:
        epochs = [float(row["seconds"]) for row in csv.DictReader(file)]
    return {
        "device": summary["device"],
        "precision": summary["precision"],
        "test_accuracy": float(summary["test_accuracy"]),
        "first_epoch_seconds": epochs[0],
        "epoch_seconds": statistics.median(epochs),
        "train_seconds": summary["train_seconds"],
        "seconds_to_98": summary["seconds_to_98"],
    }
