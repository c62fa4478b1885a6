"""Sealing and opening a model, beside the plainest AES-256-GCM in chunks of the same size.

Both read a file and write a file that has reached the disk. Memory is measured at two sizes.
"""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.figures import Row, megabytes, rates, ratio_at_least, ratio_at_most
from benchmarks.processes import run_apart
from benchmarks.running import run_alone
from benchmarks.timing import take_turns
from scatter.mechanism.units import Address, JobId
from scatter.sealing import context, key_commitment, new_key, open_sealed, seal
from scatter.sealing.files import CHUNK_BYTES, TAG_BYTES

SIZE = 256 * 10**6
SMALL, LARGE = 32 * 10**6, 512 * 10**6
NOBODY = Address("0x" + "11" * 20)
PLAIN = "AES-256-GCM, 1 MiB chunks"


def measure(folder: Path) -> list[Row]:
    model, sealed, opened = (folder / name for name in ("model", "sealed", "opened"))
    write_noise(model, SIZE)
    key, whose = new_key(), context(1, NOBODY, JobId(1), NOBODY)
    fixed, cipher = key_commitment(key, whose), AESGCM(key)
    plain_sealed, plain_opened = folder / "plain sealed", folder / "plain opened"
    sealing, plain_sealing = take_turns(
        lambda: seal(model, sealed, key, whose),
        lambda: rewrite(model, plain_sealed, CHUNK_BYTES, cipher.encrypt),
    )
    opening, plain_opening = take_turns(
        lambda: open_sealed(sealed, opened, key, whose, fixed, most_bytes=SIZE),
        lambda: rewrite(plain_sealed, plain_opened, CHUNK_BYTES + TAG_BYTES, cipher.decrypt),
    )
    mb, target = SIZE / 1e6, ratio_at_least(0.8)
    return [
        Row("sealing", "MB/s", rates(mb, sealing), PLAIN, rates(mb, plain_sealing), target),
        Row("opening", "MB/s", rates(mb, opening), PLAIN, rates(mb, plain_opening), target),
        _memory(folder),
    ]


def write_noise(path: Path, size: int) -> None:
    """A file of random bytes: one piece over and over, for speed.

    Its length is no multiple of a block's, so that no two blocks are equal.
    """
    piece = os.urandom(10**6)
    with path.open("wb") as file:
        for start in range(0, size, len(piece)):
            file.write(piece[: size - start])


def rewrite(
    source: Path, target: Path, length: int, turn: Callable[[bytes, bytes, None], bytes]
) -> None:
    """Puts a file through a cipher, chunk by chunk, with nonces that count."""
    with source.open("rb") as reader, target.open("wb") as writer:
        number = 0
        while chunk := reader.read(length):
            writer.write(turn(number.to_bytes(12, "big"), chunk, None))
            number += 1
        writer.flush()
        os.fsync(writer.fileno())


def _memory(folder: Path) -> Row:
    peaks = {}
    for size in (SMALL, LARGE):
        _, peaks[size] = run_apart(seal_and_open, folder, size)
    return Row(
        f"memory to seal and open {LARGE // 10**6} MB",
        "MB",
        megabytes([peaks[LARGE]]),
        f"the same for {SMALL // 10**6} MB",
        megabytes([peaks[SMALL]]),
        ratio_at_most(1.1),
    )


def seal_and_open(folder: Path, size: int) -> None:
    """Both once, for a process of its own."""
    model, sealed, opened = (folder / f"{name} {size}" for name in ("model", "sealed", "opened"))
    write_noise(model, size)
    key, whose = new_key(), context(1, NOBODY, JobId(1), NOBODY)
    seal(model, sealed, key, whose)
    open_sealed(sealed, opened, key, whose, key_commitment(key, whose), most_bytes=size)
    for path in (model, sealed, opened):
        path.unlink()


if __name__ == "__main__":
    run_alone(measure)
