"""Blocks on disk, one file each, and folders made of them.

A block appears under its name whole or not at all, and is verified each time it is read, so a block
torn by a power loss is as good as absent. A sync per block would make 100 MB take seconds; so
nothing is synced while blocks arrive, `settle` syncs all at once before somebody relies on them,
and blocks of others are not synced at all: they can be fetched again.
"""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import structlog

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Digest
from scatter.unixfs.building import Keep, Named, name_directory, name_file
from scatter.unixfs.cid import Cid
from scatter.unixfs.nodes import MOST_BLOCK_BYTES, MOST_ENTRIES, NodeRefused
from scatter.unixfs.walking import MOST_LEVELS, MOST_PATH_BYTES

_INCOMING: Final = "incoming"
_ABANDONED_SECONDS: Final = 3_600
"""A file that arrives for longer was left by a process that died."""

log = structlog.get_logger()


class BlockStore:
    """A folder of blocks, spread over 1,024 subfolders by the end of their names.

    The beginning of a name is the same for all; the very last character carries three bits only,
    so the two before it are taken, as kubo does.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / _INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        for left in self._incoming.iterdir():
            if left.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                left.unlink(missing_ok=True)

    def put(self, cid: Cid, block: bytes | memoryview) -> None:
        """Keeps a block that was verified. Twice is as good as once."""
        path = self._path(cid)
        if self._holds(path, block):
            return
        arriving = self._incoming / secrets.token_hex(8)
        arriving.write_bytes(block)
        try:
            arriving.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True)
            arriving.replace(path)

    def get(self, cid: Cid) -> bytes | None:
        """The block, verified; None when it is not here. A damaged one is removed."""
        path = self._path(cid)
        try:
            with path.open("rb") as file:
                block = file.read(MOST_BLOCK_BYTES + 1)
        except FileNotFoundError:
            return None
        if cid.names(block):
            return block
        log.warning("a damaged block was removed", block=str(cid), path=str(path))
        path.unlink(missing_ok=True)
        return None

    def has(self, cid: Cid) -> bool:
        """Whether a block of this name is here, perhaps damaged."""
        return self._path(cid).is_file()

    def settle(self, cids: Iterable[Cid]) -> None:
        """Returns when these blocks will survive a power loss."""
        paths = {self._path(cid) for cid in cids}
        for path in paths:
            sync(path)
        for shard in {path.parent for path in paths}:
            sync(shard)
        sync(self._folder)

    def size(self) -> int:
        """Bytes of all blocks."""
        return sum(path.stat().st_size for shard in self._shards() for path in shard.iterdir())

    def remove(self) -> None:
        """Removes the store and all that is in it."""
        shutil.rmtree(self._folder)

    def _path(self, cid: Cid) -> Path:
        name = str(cid)
        return self._folder / name[-3:-1] / name

    def _shards(self) -> Iterator[Path]:
        return (path for path in self._folder.iterdir() if path.name != _INCOMING)

    def _holds(self, path: Path, block: bytes | memoryview) -> bool:
        try:
            return path.stat().st_size == len(block) and path.read_bytes() == block
        except FileNotFoundError:
            return False


def sync(path: Path) -> None:
    """Returns when the file, or the list of names in the folder, has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# From folders to blocks


def cut_folder(folder: Path, keep: Keep, most_bytes: int) -> Digest:
    """Cuts a folder of regular files into blocks, and returns the digest of its root.

    Raises BadInput for anything but readable regular files and folders, and for too many of them,
    too deep, or too large.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder; publish a folder.")
    return _Cutter(folder, keep, most_bytes).cut(folder, 1).cid.digest


class _Cutter:
    def __init__(self, root: Path, keep: Keep, most_bytes: int) -> None:
        self.most_path = len(os.fsencode(root)) + 1 + MOST_PATH_BYTES
        self.keep = keep
        self.most_bytes = most_bytes
        self.bytes_left = most_bytes
        self.entries_left = MOST_ENTRIES

    def cut(self, folder: Path, level: int) -> Named:
        if level > MOST_LEVELS:
            raise BadInput(f"{folder} lies more than {MOST_LEVELS} folders deep; flatten it.")
        named = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    named[entry.name] = self._cut_entry(entry, level)
        except OSError as error:
            raise BadInput(
                f"{error.filename or folder} cannot be read: {error.strerror}."
            ) from error
        return name_directory(named, self.keep)

    def _cut_entry(self, entry: os.DirEntry[str], level: int) -> Named:
        self.entries_left -= 1
        if self.entries_left < 0:
            raise BadInput(f"More than {MOST_ENTRIES} files and folders; publish an archive.")
        if len(os.fsencode(entry.path)) > self.most_path:
            raise BadInput(f"{entry.path} is too long a path; at most {MOST_PATH_BYTES} bytes.")
        if entry.is_dir(follow_symlinks=False):
            return self.cut(Path(entry.path), level + 1)
        if not entry.is_file(follow_symlinks=False):
            raise BadInput(f"{entry.path} is a link or a device; publish regular files only.")
        self.bytes_left -= entry.stat(follow_symlinks=False).st_size
        if self.bytes_left < 0:
            raise BadInput(f"The files hold more than {self.most_bytes} bytes; publish less.")
        # Between the check and here the file may have become a link or a pipe.
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            return name_file(file, self.keep)


# From blocks to folders


def write_folder(items: Iterable[tuple[PurePosixPath, Iterator[bytes] | None]], into: Path) -> None:
    """Writes what `read_folder` yields. `into` appears at the end, complete and synced.

    When `items` raises, nothing is left behind. Raises NodeRefused when the disk takes two of the
    names for one.
    """
    growing = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    try:
        written = [growing]
        for path, content in items:
            target = growing / path
            if content is None:
                target.mkdir()
            else:
                with target.open("xb", buffering=0) as file:
                    for piece in content:
                        file.write(piece)
            written.append(target)
        for target in written:
            sync(target)
        growing.chmod(0o755)
        growing.rename(into)
        sync(into.parent)
    except FileExistsError as error:
        raise NodeRefused("Two names in the folder are the same on this disk.") from error
    finally:
        if growing.exists():
            shutil.rmtree(growing)
