"""Takes in what a run left: a stream of regular files, of which no byte is trusted.

The stream is a ustar archive (POSIX.1-1988) reduced to what a run needs: regular files with plain
names, no folders, links, devices or extensions. It is read as it arrives, in constant memory, and
refused at the first byte that breaks a bound.
"""

import re
from pathlib import Path
from typing import BinaryIO, Final

from scatter.mechanism.errors import ScatterError
from scatter.ports.sandbox import Limits

_BLOCK: Final = 512
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_REGULAR: Final = (b"0", b"\0")
_MOST_PADDING: Final = 20 * _BLOCK
"""Of zeros after the last file: archives are padded to whole records."""


class OutputRefused(ScatterError):
    """The run left something other than a few regular files within its limits."""


class Collector:
    """Writes the files of a stream into a folder, as the stream arrives."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._pending = bytearray()
        self._file: BinaryIO | None = None
        self._left = 0
        self._padding = 0
        self._bytes = 0
        self._names: set[str] = set()
        self._zeros = 0

    @property
    def is_complete(self) -> bool:
        """Whether the end of the archive was seen: two blocks of zeros."""
        return self._zeros >= 2 * _BLOCK

    def feed(self, chunk: bytes) -> None:
        """Takes the next part of the stream. Raises OutputRefused."""
        view = memoryview(chunk)
        while view:
            if self._left:
                view = self._write(view)
            elif self._padding:
                skipped = min(self._padding, len(view))
                self._padding -= skipped
                view = view[skipped:]
            else:
                wanted = _BLOCK - len(self._pending)
                self._pending += view[:wanted]
                view = view[wanted:]
                if len(self._pending) == _BLOCK:
                    self._begin(bytes(self._pending))
                    self._pending.clear()

    def close(self) -> None:
        """Closes a file that was cut short."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, view: memoryview) -> memoryview:
        part = view[: self._left]
        if self._file is None:
            raise OutputRefused("The output has contents without a file.")
        self._file.write(part)
        self._left -= len(part)
        if not self._left:
            self.close()
        return view[len(part) :]

    def _begin(self, header: bytes) -> None:
        if not any(header):
            self._zeros += _BLOCK
            if self._zeros > _MOST_PADDING:
                raise OutputRefused("The output goes on after its end.")
            return
        if self._zeros:
            raise OutputRefused("The output goes on after its end.")
        name, size = _read_header(header)
        self._bytes += size
        if self._bytes > self._limits.output_bytes:
            raise OutputRefused(f"The output is larger than {self._limits.output_bytes} bytes.")
        if len(self._names) == self._limits.output_files:
            raise OutputRefused(f"The output has more than {self._limits.output_files} files.")
        if name in self._names:
            raise OutputRefused(f"The output has two files named {name!r}.")
        self._names.add(name)
        self._left, self._padding = size, -size % _BLOCK
        self._file = (self._folder / name).open("xb")
        if not size:
            self.close()


def _read_header(header: bytes) -> tuple[str, int]:
    stated = header[148:156]
    checksum = sum(header) - sum(stated) + 8 * ord(" ")
    if _read_octal(stated) != checksum:
        raise OutputRefused("The output is not an archive.")
    if header[156:157] not in _REGULAR or any(header[157:257]) or any(header[345:500]):
        raise OutputRefused(
            "The output has something that is not a regular file with a plain name."
        )
    name = header[:100].rstrip(b"\0").decode("ascii", "replace")
    if not _NAME.fullmatch(name):
        raise OutputRefused(f"The output has a file with the name {name[:64]!r}.")
    return name, _read_octal(header[124:136])


def _read_octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits or not all(digit in b"01234567" for digit in digits):
        raise OutputRefused("The output is not an archive.")
    return int(digits, 8)
