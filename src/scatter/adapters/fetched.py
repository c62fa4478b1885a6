"""Folders of others in bounded space: each a store of its own, the least recently used goes first.

What is still arriving counts too, and goes last: room is made before a block is written, so the
bound holds at every moment. The disk is never filled either: the node's databases need it. One's
own published folders lie elsewhere, and are never touched.
"""

import os
import shutil
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from scatter.adapters.blockstore import BlockStore
from scatter.ports.content import ContentNotFound
from scatter.unixfs.cid import Cid

LEFT_FREE: Final = 1 << 30
"""Bytes of the disk that content of others leaves to everything else."""


class NoRoom(ContentNotFound):
    """Content of others fills what this node gives to it. Raise content.quota_gigabytes."""


class FetchedFolders:
    """Whole folders in `fetched`, unfinished ones in `partial`, at most `most_bytes` together."""

    def __init__(
        self, folder: Path, most_bytes: int, free: Callable[[], int] | None = None
    ) -> None:
        """`free` tells how many bytes the disk has left; of the folder's own if it is not given."""
        self.most_bytes = most_bytes
        self._free = free or (lambda: shutil.disk_usage(folder).free)
        self._places = {True: folder / "fetched", False: folder / "partial"}
        self._stores: dict[str, BlockStore] = {}
        """The whole ones."""
        self._sizes: dict[str, int] = {}
        """Of all, the least recently used first."""
        self._arriving: dict[str, BlockStore] = {}
        self._lock = threading.Lock()
        for place in self._places.values():
            place.mkdir(parents=True, exist_ok=True)
        found = [path for place in self._places.values() for path in place.iterdir()]
        for path in sorted(found, key=lambda path: path.stat().st_mtime):
            store = BlockStore(path)
            self._sizes[path.name] = store.size()
            if path.parent == self._places[True]:
                self._stores[path.name] = store
        with self._lock:
            self._remove_while(lambda: self._above_quota(0), ())

    def get(self, cid: Cid) -> bytes | None:
        """The block, from any whole folder."""
        for store in tuple(self._stores.values()):
            block = store.get(cid)
            if block is not None:
                return block
        return None

    def has(self, cid: Cid) -> bool:
        """Whether the block is in any whole folder."""
        return any(store.has(cid) for store in tuple(self._stores.values()))

    def use(self, name: str) -> None:
        """Notes that a folder was asked for; the longest unused is the first to go."""
        with self._lock:
            if name in self._stores:
                self._sizes[name] = self._sizes.pop(name)
                os.utime(self._places[True] / name)

    def begin(self, name: str) -> BlockStore:
        """The store in which a folder arrives, with what an earlier attempt left."""
        with self._lock:
            if self._stores.pop(name, None) is not None:
                # It has lost a block.
                (self._places[True] / name).rename(self._places[False] / name)
            self._arriving[name] = BlockStore(self._places[False] / name)
            self._sizes[name] = self._sizes.pop(name, 0)
            return self._arriving[name]

    def put(self, name: str, cid: Cid, block: bytes | memoryview) -> None:
        """Keeps a verified block of an arriving folder. Raises NoRoom.

        A folder that has arrived is written out, so the disk needs twice its size.
        """
        more = len(block)
        with self._lock:
            self._make_room(more, 2 * more + self._sizes[name], self._arriving)
            self._sizes[name] += more
        self._arriving[name].put(cid, block)

    def make_room_to_write(self, name: str) -> None:
        """Makes room on the disk for a copy of a whole folder. Raises NoRoom."""
        with self._lock:
            self._make_room(0, self._sizes.get(name, 0), {name, *self._arriving})

    def stop(self, name: str) -> None:
        """The folder does not arrive any more for now; what is there serves another attempt."""
        self._arriving.pop(name, None)

    def drop(self, name: str) -> None:
        """Removes what has arrived."""
        with self._lock:
            self._arriving.pop(name).remove()
            del self._sizes[name]

    def finish(self, name: str) -> None:
        """The folder is whole: from now on its blocks are served."""
        with self._lock:
            del self._arriving[name]
            whole = self._places[True] / name
            (self._places[False] / name).rename(whole)
            self._stores[name] = BlockStore(whole)
            self._sizes[name] = self._stores[name].size()

    def _make_room(self, more: int, on_disk: int, needed: Collection[str]) -> None:
        """For `more` bytes of blocks, and `on_disk` with what else is about to be written."""
        if not self._remove_while(lambda: self._above_quota(more), needed):
            raise NoRoom
        if not self._remove_while(lambda: self._free() - on_disk < LEFT_FREE, needed):
            raise NoRoom(
                f"The disk has {self._free() >> 20:,} MiB left, of which content of others leaves "
                f"{LEFT_FREE >> 20:,} MiB free; make room on it."
            )

    def _above_quota(self, more: int) -> bool:
        return sum(self._sizes.values()) + more > self.most_bytes

    def _remove_while(self, condition: Callable[[], bool], needed: Collection[str]) -> bool:
        """Removes whole folders while there is a reason to; whether there is none any more."""
        removable = [name for name in self._sizes if name not in needed]
        while condition():
            if not removable:
                return False
            name = removable.pop(0)
            store = self._stores.pop(name, None) or BlockStore(self._places[False] / name)
            store.remove()
            del self._sizes[name]
        return True
