"""Tables of a record: those that gpu-check prints, and of which scripts/gpu-record fills the documents.

A record may be older than what a table shows: then it has fewer rows or columns, and no row is made up.
"""
from . import counters
from .record import sanitizer_verdict, tests_verdict, variants_verdict

Rows = list[list[str]]


def shown(seconds: float | None) -> str:
    """Three digits, in the unit that suits."""
    if seconds is None:
        return "–"
    units = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"))
    scale, unit = next(((s, u) for s, u in units if seconds >= s), (1e-9, "ns"))
    return f"{seconds / scale:.3g} {unit}"


def aligned(rows: Rows) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def rate_of(figure: dict) -> str:
    return "" if figure.get("rate") is None else f"{figure['rate']:.4g} {figure.get('unit') or ''}".strip()


def share(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.0%}"


def spread_of(spread: float | None) -> str:
    return "–" if spread is None else f"{spread:.0%}"


def ratio_of(figure: dict) -> str:
    return "" if figure["ratio"] is None else f"{figure['ratio']:.2f}"


# ---- What is right

def sanitizer_rows(record: dict) -> Rows:
    return [[tool, sanitizer_verdict(result)] for tool, result in record["stages"].get("sanitizer", {}).items()]


def verdict_rows(record: dict) -> Rows:
    found = record["stages"]
    rows = [["machine", found["machine"]["status"]]]
    if "variants" in found:
        rows.append(["variants", variants_verdict(found["variants"])])
    rows += [["tests", tests_verdict(found["tests"])], *sanitizer_rows(record)]
    return rows


def clocks_line(record: dict) -> str | None:
    """How the card was while everything was measured; none where no log says it."""
    log = record.get("clocks", {})
    state = log.get("all")
    if not state:
        return None
    held = [reason for reason in state["reasons"] if reason != "gpu_idle"]
    parts = [
        ("SM clock {} MHz in the middle, {} at the lowest", "sm_mhz", "sm_mhz_lowest"),
        ("memory {} MHz", "memory_mhz"),
        ("power {} W in the middle", "watts"),
        ("at most {} °C", "celsius_highest"),
    ]
    told = [
        text.format(*(f"{state[key]:.4g}" for key in keys)) for text, *keys in parts
        if all(state[key] is not None for key in keys)
    ]
    gaps = log["gaps"]
    told.append(f"clocks held back by {', '.join(held)}" if held else "nothing held the clocks back")
    told.append(f"{log['samples']} samples" + (f", {len(gaps)} gaps" if gaps else ""))
    return "; ".join(told)


# ---- Training

def mnist_rows(record: dict) -> Rows:
    rows = [["mnist", "test accuracy", "epoch", "to 98%", "training", "process"]]
    for name, result in record["stages"].get("mnist", {}).items():
        if "test_accuracy" not in result:
            rows.append([name, result["status"], "", "", "", ""])
            continue
        process = result.get("process_seconds", result.get("seconds"))  # an older record's name first
        times = [*(result[key] for key in ("epoch_seconds", "seconds_to_98", "train_seconds")), process]
        rows.append([name, f"{result['test_accuracy']:.2%}", *map(shown, times)])
    for line in record["stages"].get("peers", {}).get("figures", []):
        if "test_accuracy" in line:
            rows.append([line["peer"], f"{line['test_accuracy']:.2%}", shown(line["seconds"]), "", "", ""])
    return rows


# ---- Kernels

def figure_rows(record: dict) -> Rows:
    """Figures with a peer; the others are in the record."""
    figures = [figure for figure in record["figures"] if figure["peer"] is not None]
    cached = any(figure.get("cache") for figure in figures)
    rows = [["figure", *(["cache"] if cached else []), "ours", "peer's", "ratio", "rate", "of ceiling", "peer"]]
    for figure in figures:
        cache = [figure.get("cache") or ""] if cached else []
        times = map(shown, (figure["ours_seconds"], figure["peer_seconds"]))
        rows.append([
            figure["name"], *cache, *times, ratio_of(figure), rate_of(figure), share(figure["fraction"]), figure["peer"],
        ])
    return rows


def pair_rows(record: dict) -> Rows:
    """Kernels beside a peer with operands in the cache and not: our time, the ratio, and how far samples spread."""
    rows = [["kernel", "peer", "warm", "ratio", "cold", "ratio", "of ceiling", "spread, ours and peer's"]]
    pairs: dict[tuple, dict[str, dict]] = {}
    for figure in record["figures"]:
        if figure["peer"] is not None and figure.get("cache"):
            key = (figure["name"], figure.get("variant"), figure["peer"])
            pairs.setdefault(key, {})[figure["cache"]] = figure
    for (name, _, peer), found in pairs.items():
        row = [name, peer]
        for cache in ("warm", "cold"):
            figure = found.get(cache)
            row += [shown(figure["ours_seconds"]), ratio_of(figure)] if figure else ["", ""]
        last = found.get("cold") or found["warm"]
        spreads = [last.get(key) for key in ("spread", "peer_spread")]
        row += [share(last["fraction"]), ", ".join(map(spread_of, spreads))]
        rows.append(row)
    return rows


def latency_rows(record: dict) -> Rows:
    """What a design must reckon with, each line a median; what the card cannot do says so."""
    rows = [["latency", "time", "rate", "spread", "samples"]]
    stage = record["stages"].get("latency", {})
    for line in stage.get("figures", []):
        spread = "" if line.get("spread") is None else f"{line['spread']:.0%}"
        name = line["name"].removeprefix("latency/")
        rows.append([name, shown(line["seconds"]), rate_of(line), spread, str(line.get("samples") or "")])
    for line in stage.get("problems", []):
        rows.append([str(line.get("name", "")).removeprefix("latency/"), line["problem"], "", "", ""])
    return rows


def tune_rows(record: dict) -> Rows:
    """At each shape the fastest variant beside the one that the build takes."""
    rows = [["product", "m×n×k", "cache", "today's", "time", "fastest", "time", "tried"]]
    shapes: dict[tuple, list[dict]] = {}
    for line in record["stages"].get("tune", {}).get("figures", []):
        key = (line["tune"], line["transposes"], line["m"], line["n"], line["k"], line.get("cache"))
        shapes.setdefault(key, []).append(line)
    for (precision, transposes, m, n, k, cache), lines in shapes.items():
        fastest = min(lines, key=lambda line: line["seconds"])
        today = next((line for line in lines if line.get("chosen_now")), None)
        cells = [[variant_of(line), shown(line["seconds"])] if line else ["–", "–"] for line in (today, fastest)]
        rows.append([f"{precision} {transposes}", f"{m}×{n}×{k}", cache or "", *cells[0], *cells[1], str(len(lines))])
    return rows


def variant_of(line: dict) -> str:
    return line["variant"] + (f", k in {line['splits']}" if line["splits"] != 1 else "")


def tuned_rows(record: dict) -> Rows:
    """Training steps with the choices of today, and with those that the same visit found to be the fastest.

    Two processes measured them, one after the other: what the ratio is worth, the spreads say.
    """
    rows = [["step", "today's choices", "spread", "this visit's", "spread", "ratio of two processes, no pairs"]]
    stages = record["stages"]

    def steps(result: dict) -> dict[tuple, dict]:
        figures = result.get("figures", [])
        return {(line["name"], line.get("precision"), line.get("variant")): line for line in figures}

    before = steps(stages.get("step", {}))
    for key, line in steps(stages.get("tuned", {}).get("step", {})).items():
        if key in before:
            cells = [cell for one in (before[key], line) for cell in (shown(one["seconds"]), spread_of(one.get("spread")))]
            ratio = line["seconds"] / before[key]["seconds"]
            rows.append([" ".join(filter(None, (key[0], key[2]))), *cells, f"{ratio:.2f}"])
    return rows


def counter_rows(record: dict) -> Rows:
    """Of each profiled case's longest kernel: how busy what is, and what most warps wait for."""
    head = ["kernel", "time", "issue slots", "tensor pipe", "DRAM", "of its rate", "shared wavefronts, conflicts"]
    rows = [[*head, "sectors a request", "registers", "warps", "most wait for"]]
    for name, result in record["stages"].get("ncu", {}).items():
        kernels = [kernel for kernel in result.get("kernels", []) if kernel["metrics"]]
        if not kernels:
            continue
        kernel = max(kernels, key=lambda kernel: value(kernel, counters.DURATION) or 0)
        rows.append([name, *counter_cells(kernel)])
    return rows


def value(kernel: dict, metric: str) -> float | None:
    found = kernel["metrics"].get(metric, {}).get("value")
    return found if isinstance(found, (int, float)) else None


def counter_cells(kernel: dict) -> list[str]:
    def told(metric: str, form: str) -> str:
        number = value(kernel, metric)
        return "–" if number is None else form.format(number)

    def total(metrics: tuple[str, ...]) -> float | None:
        numbers = [value(kernel, metric) for metric in metrics]
        return None if None in numbers else sum(numbers)

    duration, dram, conflicts = value(kernel, counters.DURATION), total(counters.DRAM), total(counters.CONFLICTS)
    unit = kernel["metrics"].get(counters.DURATION, {}).get("unit")
    scale = {"ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "s": 1, "second": 1}.get(unit, 1e-9)
    waits = {reason: value(kernel, counters.stall(reason)) or 0 for reason in counters.STALLS if reason != "selected"}
    most = sorted(waits, key=waits.get, reverse=True)[:2]
    return [
        "–" if duration is None else shown(duration * scale),
        told(counters.ISSUE, "{:.0f}%"),
        told(counters.TENSOR, "{:.0f}%"),
        "–" if dram is None else f"{dram / 1e6:.3g} MB",
        told(counters.DRAM_SHARE, "{:.0f}%"),
        told(counters.SHARED, "{:.3g}") + ("" if conflicts is None else f", {conflicts:.3g}"),
        ", ".join(told(metric, "{:.1f}") for metric in counters.SECTORS),
        told(counters.REGISTERS, "{:.0f}"),
        told(counters.OCCUPANCY, "{:.0f}%"),
        ", ".join(f"{reason} {waits[reason]:.1f}" for reason in most if waits[reason]),
    ]


# ---- What is missing, and all of it

def owed_rows(record: dict) -> Rows:
    """One row a reason: the experiments that it kept."""
    kept: dict[str, list[str]] = {}
    for missing in record.get("owed", []):
        kept.setdefault(missing["reason"], []).append(missing["experiment"])
    return [["owed", "why"], *([", ".join(dict.fromkeys(names)), reason] for reason, names in kept.items())]


def summary(record: dict) -> str:
    head = "{card}, driver {driver}, toolkit {toolkit}, torch {torch}, commit {commit}".format(**record)
    without = sum(figure["peer"] is None for figure in record["figures"])
    parts = [[head] + ([line] if (line := clocks_line(record)) else []), aligned(verdict_rows(record))]
    tables = (tune_rows, tuned_rows, latency_rows, counter_rows, mnist_rows, figure_rows, owed_rows)
    parts += [aligned(rows) for table in tables if len(rows := table(record)) > 1]
    parts.append([f"ratio = ours / peer's; {without} figures without a peer are in the record", ""])
    return "\n\n".join("\n".join(part) for part in parts)
