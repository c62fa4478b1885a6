"""A root file system as one layer of an image: a tar stream that depends on contents alone.

Names in order, no times, no owners. So a layer built twice has the same digest, and what lies
unpacked on disk can be held against the digest that it was pinned by. Docker calls the digest of
an unpacked layer its DiffID.
"""

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_CHUNK: Final = 1 << 20
_EXECUTABLE: Final = 0o111


class _Digest:
    """A file that only remembers the digest of what was written to it."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return len(data)


def digest_layer(root: Path) -> str:
    """The digest of the layer that `write_layer` makes of this folder: `sha256:...`."""
    digest = _Digest()
    write_layer(root, digest)  # type: ignore[arg-type]
    return f"sha256:{digest.sha256.hexdigest()}"


def write_layer(root: Path, target: BinaryIO) -> None:
    """Writes a root file system as a layer. Devices, sockets and pipes are left out."""
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in _walk(root):
            _add(archive, path, path.relative_to(root).as_posix())


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    facts = path.lstat()
    entry = tarfile.TarInfo(name)
    if stat.S_ISLNK(facts.st_mode):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        archive.addfile(entry)
    elif stat.S_ISDIR(facts.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(entry)
    elif stat.S_ISREG(facts.st_mode):
        # Nothing in a layer may be written to, or lend its owner's rights.
        entry.mode = 0o755 if facts.st_mode & _EXECUTABLE else 0o644
        entry.size = facts.st_size
        with path.open("rb") as file:
            archive.addfile(entry, file)
