"""The embedded chain's memory on disk: an append-only text file, one line per block.

An empty block is the number of seconds since its parent, most often the line `1`; any other entry
is a JSON object. A day of empty blocks takes 170 kB. A line counts once its line feed is there:
a torn last line, as `kill -9` or a lost power supply leaves it, is cut off at the next start.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from scatter.mechanism.errors import BadInput

FORMAT = "scatter local chain 1"
MOST_LINE_BYTES = 64 << 20


class BlockLog:
    """A file that only grows. Each entry has reached the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file. Raises BadInput while another process has it open."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise BadInput(
                f"{path} belongs to a local chain that is running. Stop that one first."
            ) from error
        self._cut_torn_line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def entries(self) -> Iterator[dict[str, Any] | int]:
        """What was appended, in order. Raises BadInput at a line that nobody wrote."""
        self._file.seek(0)
        for number, line in enumerate(iter(lambda: self._file.readline(MOST_LINE_BYTES), b""), 1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict) and type(entry) is not int:
                raise self.damaged(number)
            yield entry

    def append(self, entry: dict[str, Any] | int) -> None:
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def damaged(self, line: int) -> BadInput:
        """The error to raise about a line that cannot be replayed."""
        return BadInput(
            f"{self._path}, line {line}: not an entry of a local chain's log, or one of another "
            "version. Move the file away to start a new chain."
        )

    def _cut_torn_line(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        start = max(0, size - MOST_LINE_BYTES)
        self._file.seek(start)
        end = self._file.read().rfind(b"\n") + 1
        self._file.truncate(start + end if end or start == 0 else size)
        self._file.seek(0, os.SEEK_END)
