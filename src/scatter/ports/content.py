"""Published folders, named by what they contain.

Everything published is a UnixFS directory; its name is the sha2-256 digest of its CIDv1 dag-pb
root. What comes from others is verified block by block on arrival, and bounded.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import Digest


class ContentNotFound(ScatterError):
    """Nobody who was asked serves this content. Check the identifier, or try again later."""


class ContentRefused(ScatterError):
    """The content is not what its name says, or breaks a bound; nothing of it was kept."""


class Content(Protocol):
    """A node's store of published folders, and the way to those of others."""

    async def add(self, folder: Path) -> Digest:
        """Publishes a folder of regular files; returns the digest of its root."""
        ...

    async def name(self, folder: Path) -> Digest:
        """The digest that `add` would return, without publishing anything."""
        ...

    async def fetch(
        self, digest: Digest, into: Path, *, most_bytes: int, sources: Sequence[str] = ()
    ) -> None:
        """Writes the folder `digest` at `into`, which must not exist yet.

        Looks at home first, then asks each of `sources`, the base addresses of trustless
        gateways. `into` appears complete or not at all.

        Raises ContentNotFound, or ContentRefused (hostile names, links, cycles, too large).
        """
        ...
