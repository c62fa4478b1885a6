"""What a job must see to run: the node's own interpreter, and the few packages of a runtime.

A virtual environment is only a signpost: the interpreter and its library lie in the base
installation. So the base is shown, and of the environment's packages those that a runtime names.
"""

import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from scatter.ports.sandbox import SandboxUnavailable

PACKAGES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"numpy": ("numpy", "safetensors", "scatter_job")}
)
"""By runtime, the packages that its jobs may import beside the standard library."""

_SYSTEM_LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")

OPTIONS: Final = ("-B", "-s", "-S", "-P", "-u")
"""Writes no bytecode; imports neither site packages nor from the working folder; and what a job
printed before it was killed is in its log.
"""


@dataclass(frozen=True)
class Interpreter:
    """An interpreter with its libraries."""

    executable: Path
    folders: tuple[Path, ...]
    """To be seen at the same place inside."""
    links: tuple[tuple[str, str], ...]
    """Symbolic links of the system to make anew: where, and to what."""
    packages: Mapping[str, Path]
    """Folders to be importable, by name."""


def find_interpreter(runtime: str = "numpy") -> Interpreter:
    """The interpreter of this node. Raises SandboxUnavailable for a package not installed."""
    library = [Path(path) for path in _SYSTEM_LIBRARIES]
    own = [
        Path(sys.base_prefix, "lib"),
        Path(sysconfig.get_path("stdlib")),
        Path(sys.base_exec_prefix, "lib"),
    ]
    links = tuple((str(path), str(path.readlink())) for path in library if path.is_symlink())
    real = {path.resolve() for path in [*library, *own] if path.is_dir() and not path.is_symlink()}
    return Interpreter(
        executable=_find_executable(),
        folders=tuple(sorted(path for path in real if real.isdisjoint(path.parents))),
        links=links,
        packages=dict(_find_packages(PACKAGES[runtime])),
    )


def _find_executable() -> Path:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix, "bin", f"python{version}")
    return (base if base.exists() else Path(sys.executable)).resolve()


def _find_packages(names: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for name in names:
        found = importlib.util.find_spec(name)
        if found is None or not found.submodule_search_locations:
            raise SandboxUnavailable(f"Package {name} is not installed; install Scatter again.")
        folder = Path(found.submodule_search_locations[0]).resolve()
        yield name, folder
        # Wheels keep their shared libraries beside the package.
        libraries = folder.with_name(f"{name}.libs")
        if libraries.is_dir():
            yield libraries.name, libraries
