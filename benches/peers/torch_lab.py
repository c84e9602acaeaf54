"""How PyTorch's times are taken on a GPU: cold and warm as ours are, from replays of CUDA graphs. For torch_cuda.py."""

import gc
import math
import time
from collections.abc import Callable

import torch

EAGER_CALLS = 3  # before anything is recorded or timed: libraries choose their kernels, memory is taken
SAMPLE = 0.01  # seconds that a sample takes at least

# As in benches/cuda/rota.rs, which says why.
MOST_LAUNCHES = 1024
WARM_LAUNCHES = 256
WORTH_A_REPLAY = 2**30
FLUSHES = 24

Work = Callable[[], object]
Mark = "float | torch.cuda.Event"


class Lab:
    """A card, or the CPU, where everything is cut to tiny sizes."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.is_card = device == "cuda"
        self.cache = torch.cuda.get_device_properties(0).L2_cache_size if self.is_card else 2**12
        self.flushed: list[torch.Tensor] = []
        self.trainings: dict[tuple, object] = {}  # what torch_training keeps from case to case

    def extent(self, extent: int, tiny: int = 37) -> int:
        return extent if self.is_card else min(extent, tiny)

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.randn(*shape, device=self.device).to(dtype)

    def mark(self) -> Mark:
        """A point in the device's work."""
        if not self.is_card:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds_between(self, start: Mark, end: Mark) -> float:
        """Waits for the device to reach `end`."""
        if not self.is_card:
            return end - start
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def recorded(self, work: Work) -> Work:
        """The device's work in `work` as a CUDA graph, after some calls without one; on the CPU, `work` itself."""
        if not self.is_card:
            return work
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(EAGER_CALLS):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return graph.replay

    def flush(self) -> None:
        """Drives all else out of the cache, for so long that what the host puts behind it is there in time."""
        if not self.flushed:
            self.flushed = [self.normal(self.cache // 4) for _ in range(2)]
        for _ in range(FLUSHES if self.is_card else 1):
            self.flushed[1].copy_(self.flushed[0])

    def empty(self) -> None:
        gc.collect()
        if self.is_card:
            torch.cuda.empty_cache()


def rota(cache: str, cache_bytes: int, set_bytes: int) -> tuple[int, int, bool]:
    """Sets of operands, launches of one graph, and whether the cache is flushed before each replay."""
    if cache == "warm":
        return 1, WARM_LAUNCHES, False
    wanted = 2 * cache_bytes // set_bytes + 1
    sets = min(wanted, MOST_LAUNCHES)
    if wanted > sets:
        return sets, sets, True
    turns = max(1, min(math.ceil(WORTH_A_REPLAY / (sets * set_bytes)), MOST_LAUNCHES // sets))
    return sets, sets * turns, False


class Calls:
    """One operation on some sets of operands, its calls replayed together."""

    def __init__(self, lab: Lab, cache: str, set_bytes: int, make: Callable[[], Work]) -> None:
        sets, self.launches, self.flushes = rota(cache, lab.cache, set_bytes)
        if not lab.is_card:
            sets, self.launches = min(sets, 2), 2
        calls = [make() for _ in range(sets)]
        self.lab, self.calls = lab, calls  # a graph does not keep what it works on

        def all_calls() -> None:
            results: list[object] = [None] * sets
            for i in range(self.launches):
                results[i % sets] = None  # so that each set's result takes the place of its last
                results[i % sets] = calls[i % sets]()

        self.replay = lab.recorded(all_calls)
        self.replays = 1
        self.replays = math.ceil(SAMPLE / (self.sample() * self.launches)) if lab.is_card else 1

    def sample(self) -> float:
        """Mean seconds of a call."""
        lab, spans = self.lab, []
        if self.flushes:
            for _ in range(self.replays):
                lab.flush()
                start = lab.mark()
                self.replay()
                spans.append((start, lab.mark()))
        else:
            self.replay()  # operands are where they are to be, and the device is busy while the host goes on
            start = lab.mark()
            for _ in range(self.replays):
                self.replay()
            spans.append((start, lab.mark()))
        return sum(lab.seconds_between(*span) for span in spans) / (self.replays * self.launches)
