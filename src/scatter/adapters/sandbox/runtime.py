"""What a job must see to run: an interpreter, its library, and the few packages of its runtime.

The runtime `numpy` is the node's own interpreter, unless the operator built another one
(`scatter.adapters.sandbox.built_runtime`). A virtual environment is only a signpost to it:
interpreter and library lie in the base installation, so the base is shown, and of the
environment's packages those that the runtime names. Everything is shown read-only.
"""

import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scatter.ports.sandbox import SandboxUnavailable

OPTIONS: Final = ("-B", "-s", "-S", "-P", "-u")
"""Writes no bytecode; imports neither site packages nor from the working folder; and what a job
printed before it was killed is in its log.
"""

OWN_RUNTIME: Final = "numpy"
"""Its name: a job that names it runs on every node."""

PACKAGES: Final = "/site"
"""Where a job finds packages that are shown one by one."""

_OWN_PACKAGES: Final = ("numpy", "safetensors", "scatter_job")
_SYSTEM_LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")
_LINKER_CACHE: Final = Path("/etc/ld.so.cache")


@dataclass(frozen=True)
class Runtime:
    """An interpreter with its libraries, as a sandbox is to show them."""

    name: str
    python: tuple[str, ...]
    """The command that starts the interpreter inside."""
    shown: Mapping[str, Path]
    """What is shown of this machine, by its place inside."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links to make anew: where, and to what."""

    @property
    def packages(self) -> Mapping[str, Path]:
        """The packages that are shown one by one, by name."""
        prefix = f"{PACKAGES}/"
        return {
            place.removeprefix(prefix): path
            for place, path in self.shown.items()
            if place.startswith(prefix)
        }


def find_own_runtime() -> Runtime:
    """The interpreter of this node. Raises SandboxUnavailable for a package not installed."""
    library = [Path(path) for path in _SYSTEM_LIBRARIES]
    own = [
        Path(sys.base_prefix, "lib"),
        Path(sysconfig.get_path("stdlib")),
        Path(sys.base_exec_prefix, "lib"),
    ]
    real = {path.resolve() for path in [*library, *own] if path.is_dir() and not path.is_symlink()}
    executable = _find_executable()
    shown = {str(path): path for path in sorted(real) if real.isdisjoint(path.parents)}
    shown[str(executable)] = executable
    shown |= dict(_find_packages(_OWN_PACKAGES))
    if _LINKER_CACHE.exists():
        shown[str(_LINKER_CACHE)] = _LINKER_CACHE
    return Runtime(
        name=OWN_RUNTIME,
        python=(str(executable), *OPTIONS),
        shown=shown,
        links={str(path): str(path.readlink()) for path in library if path.is_symlink()},
    )


def _find_executable() -> Path:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix, "bin", f"python{version}")
    return (base if base.exists() else Path(sys.executable)).resolve()


def find_package(name: str) -> Path:
    """The folder of one of this node's own packages. Raises SandboxUnavailable."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise SandboxUnavailable(f"Package {name} is not installed; install Scatter again.")
    return Path(found.submodule_search_locations[0]).resolve()


def _find_packages(names: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for name in names:
        folder = find_package(name)
        yield f"{PACKAGES}/{name}", folder
        # Wheels keep their shared libraries beside the package.
        libraries = folder.with_name(f"{name}.libs")
        if libraries.is_dir():
            yield f"{PACKAGES}/{libraries.name}", libraries
