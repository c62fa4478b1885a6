"""Builds a runtime's root file system, so that building it again gives the same bytes.

Without an image registry it is made of what this machine has: the interpreter that runs this, its
standard library, the shared libraries that these need, and packages by pip, as pinned by the
runtime's recipe. Nothing else of the machine is in it. With a registry, the recipe's Dockerfile
makes one, which is taken in as a tar file.

A root has `usr`, `lib`, `lib64` and `site`; `site` holds the packages, and a place for the harness.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import scatter
from scatter.mechanism.errors import BadInput, ScatterError

SITE: Final = "site"
HARNESS: Final = "scatter_job"
"""Shown by the node that runs a job, so that it is the node's own, whatever the root's age."""
REQUIREMENTS: Final = "requirements.txt"

_LEFT_OUT: Final = re.compile(
    r"(?:site|dist)-packages|__pycache__|test|tests|idle_test|idlelib|tkinter|turtledemo|ensurepip|"
    r"lib2to3|pydoc_data|config-.*|.*\.pyc|sitecustomize\.py|_tkinter.*|_test.*|_ctypes_test.*|_xx.*"
)
"""Of the standard library: what a job has no use for, and what is this machine's own."""
_LIBRARY = re.compile(r"(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)")
_FROM_TAR: Final = ("usr", "lib", "lib64", SITE, "etc/ld.so.cache")
_PIP_SECONDS: Final = 1_800


class BuildFailed(ScatterError):
    """A runtime cannot be built here; the message says what is missing."""


def find_recipe(name: str) -> Path:
    """The folder with a runtime's Dockerfile and requirements. Raises BadInput."""
    package = Path(scatter.__file__).resolve().parent
    for folder in (package / "runtimes", package.parents[1] / "runtimes"):
        if folder.is_dir():
            known = sorted(
                path.name for path in folder.iterdir() if (path / REQUIREMENTS).is_file()
            )
            if name not in known:
                raise BadInput(f"there is no recipe for {name!r}; there are: {', '.join(known)}")
            return folder / name
    raise BadInput(f"{package} has no recipes beside it; install Scatter again")


def build_root(recipe: Path, root: Path) -> None:
    """Makes the root of this recipe at `root`, which must not exist. Raises BuildFailed."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = root / "usr" / "bin" / "python3"
    program.parent.mkdir(parents=True)
    base = Path(sys.base_prefix, "bin", version)
    shutil.copyfile(base if base.exists() else Path(sys.executable).resolve(), program)
    program.chmod(0o755)
    library = root / "usr" / "lib" / version
    shutil.copytree(
        sysconfig.get_path("stdlib"), library, ignore=_ignored, ignore_dangling_symlinks=True
    )
    (root / SITE / HARNESS).mkdir(parents=True)
    _install(recipe / REQUIREMENTS, root / SITE)
    _copy_libraries(root)
    _compile(root, [library, root / SITE])


def take_root(archive: Path, root: Path) -> None:
    """Takes the root from the tar file of a container, as `docker export` writes it."""
    root.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            wanted = (member for member in tar if _is_wanted(member.name))
            tar.extractall(root, wanted, filter="tar")
    except (OSError, tarfile.TarError) as error:
        raise BuildFailed(f"{archive} cannot be taken as a root: {error}") from error
    (root / SITE / HARNESS).mkdir(parents=True, exist_ok=True)


def find_python(root: Path) -> str:
    """Where a root's interpreter is, as it is called inside. Raises BadInput."""
    for place in ("usr/local/bin/python3", "usr/bin/python3"):
        if (root / place).is_symlink() or (root / place).is_file():
            return f"/{place}"
    raise BadInput(f"{root} has no usr/bin/python3; build the runtime again")


def _is_wanted(name: str) -> bool:
    plain = name.removeprefix("./")
    return any(plain == top or plain.startswith(f"{top}/") for top in _FROM_TAR)


def _ignored(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if _LEFT_OUT.fullmatch(name)]


def _install(requirements: Path, site: Path) -> None:
    arguments = ["--no-compile", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "-q", *arguments, "--target", str(site)]
    done = subprocess.run(
        [*command, "-r", str(requirements)],
        capture_output=True,
        text=True,
        timeout=_PIP_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BuildFailed(f"pip could not install {requirements}: {why}")
    # Programs, and records of where they were installed from: the only traces of this machine.
    shutil.rmtree(site / "bin", ignore_errors=True)
    for pattern in ("*.dist-info/RECORD", "*.dist-info/direct_url.json", "*.pth"):
        for path in site.glob(pattern):
            path.unlink()


def _copy_libraries(root: Path) -> None:
    """Copies the shared libraries that programs and libraries of the root need, and the linker.

    All go to the folder of the C library, in which the linker looks without being told to.
    """
    known: dict[str, Path] = {}
    for name, path in _needed(_programs(root)):
        if not path.is_relative_to(root):
            known.setdefault(name, path)
    if "libc.so.6" not in known:
        raise BuildFailed("ldd does not name a libc.so.6; runtimes are built on Linux with glibc")
    folder = root / str(known["libc.so.6"].parent).lstrip("/")
    for name, path in known.items():
        # The linker itself is named by its full path in every program.
        target = root / str(path).lstrip("/") if "/" in name else folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755)


def _programs(root: Path) -> list[Path]:
    found = [root / "usr" / "bin" / "python3"]
    for folder in (root / "usr" / "lib", root / SITE):
        found += [path for path in folder.rglob("*.so*") if path.is_file()]
    return sorted(found)


def _needed(programs: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Shared libraries by the names they are asked for; the linker by its path."""
    command = ["ldd", *map(str, programs)]
    try:
        # Some plug-ins want what is loaded beside them; that is no fault.
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except FileNotFoundError:
        raise BuildFailed("ldd is not here; runtimes are built on Linux with glibc") from None
    for name, path in _LIBRARY.findall(done.stdout):
        yield name or path, Path(path)


def _compile(root: Path, folders: Iterable[Path]) -> None:
    """Compiles all modules, by content and not by time: a job cannot keep what it compiles."""
    command = [
        sys.executable,
        "-I",
        "-m",
        "compileall",
        "-q",
        "-j",
        "1",
        "-s",
        str(root),
        "-p",
        "/",
    ]
    options = ["--invalidation-mode", "unchecked-hash"]
    subprocess.run(
        [*command, *options, *map(str, folders)],
        capture_output=True,
        timeout=_PIP_SECONDS,
        check=False,  # Some packages bring templates that are no Python.
    )
