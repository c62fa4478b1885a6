"""Published folders in memory, in a world that several nodes share.

A node finds its own folders at home; those of another at that node's address, as through a gateway.
Names and bounds are the real ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Digest
from scatter.ports.content import ContentNotFound, ContentRefused
from scatter.unixfs.building import Named, name_directory, name_file
from scatter.unixfs.cid import folder_text
from scatter.unixfs.nodes import MOST_ENTRIES
from scatter.unixfs.walking import MOST_LEVELS, MOST_PATH_BYTES

Files = dict[Path, bytes | None]
"""Contents by path within a folder, parents first; None stands for a folder."""


@dataclass
class World:
    """Who publishes what: the address of a node, and its folders."""

    published: dict[str, dict[Digest, Files]] = field(default_factory=dict)


class FakeContent:
    """The `Content` port of one node of a world; `address` is what others pass as a source."""

    def __init__(self, world: World, address: str, *, most_bytes: int = 64 << 20) -> None:
        self.address = address
        self._world = world
        self._home = world.published.setdefault(address, {})
        self._most_bytes = most_bytes

    async def add(self, folder: Path) -> Digest:
        digest, files = self._cut(folder)
        self._home[digest] = files
        return digest

    async def name(self, folder: Path) -> Digest:
        return self._cut(folder)[0]

    def _cut(self, folder: Path) -> tuple[Digest, Files]:
        if not folder.is_dir():
            raise BadInput(f"{folder} is not a folder; publish a folder.")
        files: Files = {}
        digest = _read(folder, folder, files, 1).cid.digest
        if _size(files) > self._most_bytes:
            raise BadInput(f"The files hold more than {self._most_bytes} bytes; publish less.")
        return digest, files

    async def fetch(
        self, digest: Digest, into: Path, *, most_bytes: int, sources: Sequence[str] = ()
    ) -> None:
        if into.exists():  # noqa: ASYNC240 - a fake may block
            raise BadInput(f"{into} exists already; name a new folder.")
        for published in (self._home, *(self._world.published.get(s, {}) for s in sources)):
            if digest in published:
                self._write(published[digest], into, most_bytes)
                self._home[digest] = published[digest]
                return
        raise ContentNotFound(f"Nobody serves {folder_text(digest)}.")

    def _write(self, files: Files, into: Path, most_bytes: int) -> None:
        if _size(files) > most_bytes:
            raise ContentRefused(f"The files hold more than the {most_bytes} bytes allowed.")
        into.mkdir()
        for path, content in files.items():
            if content is None:
                (into / path).mkdir()
            else:
                (into / path).write_bytes(content)


def _size(files: Files) -> int:
    return sum(len(content) for content in files.values() if content is not None)


def _read(root: Path, folder: Path, files: Files, level: int) -> Named:
    """Copies a folder into `files`, and names it."""
    if level > MOST_LEVELS:
        raise BadInput(f"{folder} lies more than {MOST_LEVELS} folders deep; flatten it.")
    named = {}
    for path in sorted(folder.iterdir()):
        if len(files) == MOST_ENTRIES:
            raise BadInput(f"More than {MOST_ENTRIES} files and folders; publish an archive.")
        if len(bytes(path.relative_to(root))) > MOST_PATH_BYTES:
            raise BadInput(f"{path} is too long a path; at most {MOST_PATH_BYTES} bytes.")
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise BadInput(f"{path} is a link or a device; publish regular files only.")
        if path.is_dir():
            files[path.relative_to(root)] = None
            named[path.name] = _read(root, path, files, level + 1)
        else:
            content = path.read_bytes()
            files[path.relative_to(root)] = content
            named[path.name] = name_file(BytesIO(content))
    return name_directory(named)
