"""Runtimes that the operator built: each a folder with a root file system, pinned by its digest.

The digest is that of the root as one layer (`scatter.adapters.sandbox.layer`). A node compares it
at its start with the one in its configuration, so that every run meets what the operator allowed.
"""

import json
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from scatter.adapters.sandbox.layer import digest_layer
from scatter.adapters.sandbox.root_build import HARNESS, SITE, find_python
from scatter.adapters.sandbox.runtime import OPTIONS, PACKAGES, Runtime, find_package
from scatter.mechanism.errors import BadInput

ROOT: Final = "root"
FACTS: Final = "runtime.json"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_SHOWN: Final = ("usr", "lib", "lib64")
_LINKER_CACHE: Final = "etc/ld.so.cache"
_MOST_FACTS_BYTES: Final = 64 << 10


@dataclass(frozen=True)
class BuiltRuntime:
    """What was built."""

    name: str
    digest: str
    machine: str
    packages: tuple[str, ...]
    """With their versions."""
    bytes: int


@dataclass(frozen=True)
class PinnedRuntime:
    """A runtime that an operator allows: where it lies, and the digest that it must have."""

    folder: Path
    digest: str

    @property
    def name(self) -> str:
        return self.folder.name


def read_pin(text: str, here: Path) -> PinnedRuntime:
    """`FOLDER@sha256:...`, the folder relative to `here`. Raises BadInput."""
    folder, _, digest = text.rpartition("@")
    if not folder or not DIGEST.fullmatch(digest):
        raise BadInput(
            f"{text!r} is not FOLDER@sha256:DIGEST, as `scatter runtime build` prints it"
        )
    path = here / Path(folder).expanduser()
    if not _NAME.fullmatch(path.name):
        raise BadInput(f"{path.name!r} cannot name a runtime; use lower-case letters and hyphens")
    return PinnedRuntime(path, digest)


def keep_built(folder: Path, make: Callable[[Path], None]) -> BuiltRuntime:
    """Makes a root with `make` and puts it at `folder`, complete or not at all. Raises BadInput."""
    if not _NAME.fullmatch(folder.name):
        raise BadInput(f"{folder.name!r} cannot name a runtime; use lower-case letters and hyphens")
    if folder.exists():
        raise BadInput(f"{folder} exists already; remove it, or build to another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        root = draft / ROOT
        make(root)
        find_python(root)
        built = BuiltRuntime(
            name=folder.name,
            digest=digest_layer(root),
            machine=platform.machine(),
            packages=tuple(sorted(path.stem for path in (root / SITE).glob("*.dist-info"))),
            bytes=sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir()),
        )
        (draft / FACTS).write_text(json.dumps(asdict(built), indent=2) + "\n")
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return built


def read_built(folder: Path) -> BuiltRuntime:
    """What was noted when it was built; the root itself is not looked at. Raises BadInput."""
    try:
        with (folder / FACTS).open("rb") as file:
            facts = json.loads(file.read(_MOST_FACTS_BYTES))
        return BuiltRuntime(**{**facts, "packages": tuple(facts["packages"])})
    except (OSError, ValueError, TypeError, KeyError):
        raise BadInput(f"{folder} is no runtime; build one with `scatter runtime build`") from None


def list_built(folder: Path) -> list[BuiltRuntime]:
    """All runtimes in this folder, by name."""
    return [read_built(path.parent) for path in sorted(folder.glob(f"*/{FACTS}"))]


def verify(pinned: PinnedRuntime) -> None:
    """Raises BadInput unless the root is, to the last byte, the one that was pinned."""
    root = pinned.folder / ROOT
    if not root.is_dir():
        raise BadInput(f"{pinned.folder} is no runtime; build one with `scatter runtime build`")
    found = digest_layer(root)
    if found != pinned.digest:
        raise BadInput(
            f"the runtime in {pinned.folder} has the digest {found}, not {pinned.digest}; build it "
            "again, or allow this one if you know why it changed"
        )


def open_built(pinned: Iterable[PinnedRuntime]) -> Mapping[str, Runtime]:
    """The runtimes that the operator allows, verified, by name. Raises BadInput."""
    found = {}
    for one in pinned:
        verify(one)
        found[one.name] = _runtime(one.name, one.folder / ROOT)
    return found


def _runtime(name: str, root: Path) -> Runtime:
    shown, links = {}, {}
    for place in _SHOWN:
        path = root / place
        if path.is_symlink():
            links[f"/{place}"] = str(path.readlink())
        elif path.is_dir():
            shown[f"/{place}"] = path.resolve()
    cache = root / _LINKER_CACHE
    if cache.is_file() and not cache.is_symlink() and not cache.parent.is_symlink():
        shown[f"/{_LINKER_CACHE}"] = cache.resolve()
    shown[PACKAGES] = (root / SITE).resolve()
    shown[f"{PACKAGES}/{HARNESS}"] = find_package(HARNESS)
    return Runtime(name, (find_python(root), *OPTIONS), shown, links)
