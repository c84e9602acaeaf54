"""Hardware counters of single kernels, by Nsight Compute: why a kernel is as fast as it is.

Each case is a process of its own, `ncu ... bench-cuda --profile NAME`, which launches it once; ncu repeats that
launch until it has read all counters. The clocks are left as they are: locked ones would be another card's figures.
"""
import csv
import re

from .results import finite

# At most 15: what large products, memory and latency each look like.
CASES = [
    "gemm_f32/square/4096",
    "gemm_f32/forward/784-512",
    "gemm_f32/weight_gradient/784-512",
    "gemm_f32/weight_gradient/512-256",
    "gemm_bf16/square/4096",
    "gemm_bf16/square/8192",
    "gemm_bf16/forward/784-512",
    "gemm_bf16/weight_gradient/784-512",
    "transpose/8192x8192",
    "gather/shifted/8192x784",
    "softmax_cross_entropy/8192x50257",
    "softmax_cross_entropy/8192x1024",
    "adam/535818",
    "sum/columns/8192x8192",
    "convert/f32_to_bf16/67108864",
]

STALLS = [
    "barrier", "branch_resolve", "dispatch_stall", "drain", "gmma", "imc_miss", "lg_throttle", "long_scoreboard",
    "math_pipe_throttle", "membar", "mio_throttle", "no_instruction", "not_selected", "selected", "short_scoreboard",
    "sleeping", "tex_throttle", "wait",
]
DURATION = "gpu__time_duration.sum"
ISSUE = "sm__inst_issued.avg.pct_of_peak_sustained_active"
OCCUPANCY = "sm__warps_active.avg.pct_of_peak_sustained_active"
TENSOR = "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active"
TENSOR_ISSUED = "sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active"
FMA = "sm__pipe_fma_cycles_active.avg.pct_of_peak_sustained_active"
DRAM = ("dram__bytes_read.sum", "dram__bytes_write.sum")
DRAM_SHARE = "dram__throughput.avg.pct_of_peak_sustained_elapsed"
SHARED = "l1tex__data_pipe_lsu_wavefronts_mem_shared.sum"
CONFLICTS = tuple(f"l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_{way}.sum" for way in ("ld", "st"))
SECTORS = tuple(f"l1tex__average_t_sectors_per_request_pipe_lsu_mem_global_op_{way}.ratio" for way in ("ld", "st"))
REGISTERS = "launch__registers_per_thread"


def stall(reason: str) -> str:
    """Warps that wait for this reason, on average, whenever an instruction is issued."""
    return f"smsp__average_warps_issue_stalled_{reason}_per_issue_active.ratio"


METRICS = [
    DURATION, ISSUE, OCCUPANCY, TENSOR, TENSOR_ISSUED, FMA, *DRAM, DRAM_SHARE, SHARED,
    "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum", "l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st.sum",
    *CONFLICTS, *SECTORS, "lts__t_sector_hit_rate.pct", "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "sm__cycles_elapsed.avg.per_second", REGISTERS, "launch__shared_mem_per_block", *map(stall, STALLS),
]

NAMES_A_CASE = ["ID", "Kernel Name", "Block Size", "Grid Size"]


def known(metrics: list[str], listing: str) -> list[str]:
    """Those of the metrics that this card has, by what `ncu --query-metrics` printed.

    It lists names without the part after the point; those of launches it does not list, and always has.
    """
    names = set(re.findall(r"^(\w+__\w+)", listing, re.MULTILINE))
    if not names:
        return metrics
    return [metric for metric in metrics if metric.startswith("launch__") or metric.split(".")[0] in names]


def refused(output: str, metrics: list[str]) -> list[str]:
    """The metrics that ncu's complaints name."""
    complaints = "\n".join(complaint(output))
    return [metric for metric in metrics if re.search(rf"{re.escape(metric)}(?![\w.])", complaints)]


def complaint(output: str) -> list[str]:
    """What ncu itself said that was wrong."""
    said = re.findall(r"^==(?:ERROR|WARNING)== *(.*)", output, re.MULTILINE)
    return list(dict.fromkeys(said))[:5]


def value(text: str) -> float | str | None:
    """A number as ncu prints it (1,234.5), or a word; nothing for n/a."""
    text = text.strip()
    if text.lower() in ("", "n/a", "nan", "inf", "-nan", "-inf"):
        return None
    try:
        return finite(text.replace(",", ""))
    except ValueError:
        return text


def parse(output: str) -> list[dict]:
    """The kernels in what `ncu --csv --page raw` printed among the program's own lines, each with its metrics.

    The table has a row of names, a row of units, then a row a kernel.
    """
    lines = output.splitlines()
    begin = next((i for i, line in enumerate(lines) if line.startswith('"ID",')), None)
    if begin is None:
        return []
    table = list(csv.reader(line for line in lines[begin:] if line.startswith('"')))
    names, units = table[0], (table[1] if len(table) > 1 else [])
    kernels = []
    for row in table[2:]:
        if len(row) != len(names):
            continue  # a program's own line, or one that was cut off
        cells = dict(zip(names, row))
        metrics = {
            name: {"value": found, "unit": unit}
            for name, unit, cell in zip(names, units, row) if "__" in name and (found := value(cell)) is not None
        }
        kernels.append({key.lower().replace(" ", "_"): cells.get(key) for key in NAMES_A_CASE} | {"metrics": metrics})
    return kernels


def denied(output: str) -> bool:
    """Whether the driver keeps the counters from this user."""
    return "ERR_NVGPUCTRPERM" in output
