"""The queue tried out where there is no card: on the emulated driver, at sizes that it manages in seconds.

Everything is run and read as on a card; a record made so says that it is a rehearsal, and scripts/gpu-record refuses it.
"""
import struct
from pathlib import Path

# Few tests: the others run in `cargo test`. A rehearsal is of the queue.
TESTS = ["kernels::convert::"]
TEST_VARIABLES = {"COTANGENT_TEST_EVERY": "7"}
# Of the emulated devices the newest, which does all that any does.
DEVICE = 2
# What makes the driver an emulated one, and says which.
KEPT = ["COTANGENT_CUDA_IMAGE", "COTANGENT_EMULATOR_"]

IMAGES = {"train": 256, "t10k": 64}
SIDE = 28


class Rehearsal:
    """A data set in `folder` that is learnt in a second."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        for part, count in IMAGES.items():
            labels = bytes(i % 10 for i in range(count))
            images = b"".join(bytes(25 * label for _ in range(SIDE * SIDE)) for label in labels)
            header = struct.pack(">4I", 0x0803, count, SIDE, SIDE)
            (self.data / f"{part}-images-idx3-ubyte").write_bytes(header + images)
            (self.data / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x0801, count) + labels)

    def mnist(self) -> list[str | Path]:
        return ["--hidden", "16", "--data", self.data]
