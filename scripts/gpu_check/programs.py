"""Running one program, so that whatever it does costs only itself."""
import contextlib
import os
import resource
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# A program that prints without end must not fill the disk; of what it printed, so much of the end is read.
LARGEST_FILE = 1 << 29
MOST_READ = 1 << 24
CUT_OFF = "cut off: the visit ended"
SECONDS_TO_DIE = 5  # a process that the driver holds cannot be killed, and is then left behind


@dataclass
class Ended:
    """A program's end: `ok` or what went wrong, seconds it ran, when (unix time), and what it printed to both streams."""

    status: str
    seconds: float
    began: float
    ended: float
    output: str


def how_it_ended(code: int) -> str:
    if code == 0:
        return "ok"
    return f"exit status {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"


def kill_group(process: subprocess.Popen) -> None:
    """Ends all that a program started, and itself: a peer that outlives it would hold the card."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_TO_DIE)


def wait(process: subprocess.Popen, limit: float) -> int:
    """Its exit status, as soon as there is one: Python's own wait looks every 50 ms, and a whole training takes a second."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or an old one
        return process.wait(limit)
    try:
        if not select.select([descriptor], [], [], limit)[0]:
            raise subprocess.TimeoutExpired(process.args, limit)
    finally:
        os.close(descriptor)
    return process.wait()


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def read_from(file: Path, begin: int) -> str:
    with file.open("rb") as opened:
        opened.seek(max(begin, file.stat().st_size - MOST_READ))
        return opened.read().decode(errors="replace")


def run_program(
    words: Sequence[str | Path], log: Path, limit: float, folder: Path, variables: Mapping[str, str],
    kept: Sequence[str] = (),
) -> Ended:
    """Runs a program in `folder` for `limit` seconds at most; what it prints is added to the log.

    It gets `variables`, and none of the caller's that tell our programs what to do, but for those that begin with
    one of `kept`.
    """
    words = [str(word) for word in words]
    environment = {
        key: value for key, value in os.environ.items()
        if not key.startswith("COTANGENT_") or key.startswith(tuple(kept))
    }
    # The tools' first card is to be the programs' first.
    environment |= {"LC_ALL": "C", "CUDA_DEVICE_ORDER": "PCI_BUS_ID", **variables}
    start, began = time.monotonic(), time.time()
    with log.open("ab", buffering=0) as file:
        assignments = [f"{key}={value}" for key, value in variables.items()]
        file.write(f"$ {shlex.join(assignments + words)}\n".encode())
        begin = file.tell()
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder, env=environment,
                start_new_session=True, preexec_fn=limit_files,
            )
        except OSError as error:
            return Ended(f"cannot be started: {error}", 0.0, began, began, "")
        try:
            status = how_it_ended(wait(process, limit))
        except subprocess.TimeoutExpired:
            status = f"timed out after {limit:.0f} s"
        except SystemExit:  # gpu-check is told to end: whoever called this records what was printed, and ends
            status = CUT_OFF
        finally:
            kill_group(process)
    seconds = round(time.monotonic() - start, 3)
    return Ended(status, seconds, began, time.time(), read_from(log, begin))
