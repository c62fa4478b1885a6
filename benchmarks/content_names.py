"""The content identifier of a file, beside the plain sha256 of the same file."""

import hashlib
from pathlib import Path

from benchmarks.figures import Row, rates, ratio_at_least
from benchmarks.running import run_alone
from benchmarks.sealing import write_noise
from benchmarks.timing import take_turns
from scatter.unixfs.building import name_file

SIZE = 256 * 10**6


def measure(folder: Path) -> list[Row]:
    model = folder / "model"
    write_noise(model, SIZE)

    def name() -> None:
        with model.open("rb", buffering=0) as file:
            name_file(file)

    def digest() -> None:
        with model.open("rb", buffering=0) as file:
            hashlib.file_digest(file, "sha256")

    ours, plain = take_turns(name, digest)
    mb = SIZE / 1e6
    what = "content identifier of a file"
    return [Row(what, "MB/s", rates(mb, ours), "sha256", rates(mb, plain), ratio_at_least(0.9))]


if __name__ == "__main__":
    run_alone(measure)
