"""The wheel and the source archive install where there is only Python. `make nightly`."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly

ROOT = Path(__file__).parents[2]
LEAST_DEMO = ("--trainers", "2", "--validators", "1", "--challengers", "0")
MOST_SECONDS = 900


def find_python(version: str) -> Path:
    """An interpreter of this version; the test is skipped when there is none."""
    found = shutil.which(f"python{version}")
    installed = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python3")
    for candidate in [*([Path(found)] if found else []), *sorted(installed)]:
        answer = subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False)
        if answer.returncode == 0:
            return candidate
    pytest.skip(f"there is no Python {version} here")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    return folder


class Empty:
    """A fresh environment; of all programs it can call only its own."""

    def __init__(self, python: Path, folder: Path) -> None:
        subprocess.run([python, "-m", "venv", folder / "env"], check=True)
        self.folder = folder
        self.home = folder / "env"

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or k == "HOME"}
        return subprocess.run(
            [self.home / "bin" / program, *map(str, arguments)],
            cwd=self.folder,
            env={**kept, "PATH": str(self.home / "bin"), "SCATTER_ANVIL": ""},
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )

    def install(self, *arguments: object) -> None:
        done = self.run("pip", "install", "-q", "--no-deps", *arguments)
        assert done.returncode == 0, done.stderr

    def has(self, module: str) -> bool:
        return self.run("python", "-c", f"import {module}").returncode == 0


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_two_lines_of_the_page_install_what_runs_a_demo(
    tmp_path: Path, built: Path, version: str
) -> None:
    empty = Empty(find_python(version), tmp_path)
    (wheel,) = built.glob("*.whl")

    empty.install(wheel)
    early = empty.run("scatter", "--version")
    empty.install("--require-hashes", "-r", empty.home / "share/scatter/requirements.txt")
    shown = empty.run("scatter", "--version")
    demo = empty.run("scatter", "demo", *LEAST_DEMO)

    assert early.returncode == 1
    assert "share/scatter/requirements.txt" in early.stderr
    assert "Traceback" not in early.stderr
    assert shown.stdout.startswith("scatter ")
    assert demo.returncode == 0, demo.stderr
    assert "supply   adds up to the last unit" in demo.stdout
    assert not any(map(empty.has, ("vyper", "torch", "boa")))
    programs = ("gcc", "cc", "vyper", "anvil")
    assert not any(shutil.which(name, path=str(empty.home / "bin")) for name in programs)


def test_the_source_archive_holds_what_makes_the_same_contracts(
    tmp_path: Path, built: Path
) -> None:
    empty = Empty(Path(sys.executable), tmp_path)
    (archive,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")

    empty.install(archive)

    (artefacts,) = empty.home.glob("lib/python3*/site-packages/scatter/adapters/artefacts")
    with zipfile.ZipFile(wheel) as packed:
        names = [n for n in packed.namelist() if "/artefacts/" in n]
        assert len(names) == 7
        for name in names:
            assert (artefacts / Path(name).name).read_bytes() == packed.read(name)
