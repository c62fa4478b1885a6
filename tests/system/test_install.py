"""The wheel and the source archive install where there is only Python, and what is installed runs
what docs/first-network.md tells to paste. `make nightly`.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly

ROOT = Path(__file__).parents[2]
FIRST_NETWORK = ROOT / "docs" / "first-network.md"
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


@dataclass(frozen=True)
class Installed:
    """An environment with what the two lines of docs/install.md put there."""

    environment: Empty
    after_one_line: subprocess.CompletedProcess[str]
    """What the program says when the second line was forgotten."""


@pytest.fixture(scope="module", params=["3.11", "3.12", "3.13"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, built: Path
) -> Installed:
    empty = Empty(find_python(request.param), tmp_path_factory.mktemp("installed"))
    (wheel,) = built.glob("*.whl")
    empty.install(wheel)
    early = empty.run("scatter", "--version")
    empty.install("--require-hashes", "-r", empty.home / "share/scatter/requirements.txt")
    return Installed(empty, early)


def test_the_two_lines_of_the_page_install_what_runs_a_demo(installed: Installed) -> None:
    empty, early = installed.environment, installed.after_one_line

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


def test_the_first_network_ends_with_a_job_that_was_trained_scored_and_paid(
    installed: Installed, tmp_path: Path
) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", FIRST_NETWORK.read_text(), re.M | re.S)
    shell = subprocess.Popen(
        ["bash", "-c", "".join(blocks)],
        cwd=tmp_path,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("SCATTER_", "PYTHON"))},
            "PATH": f"{installed.environment.home / 'bin'}:/usr/bin:/bin",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=MOST_SECONDS)
    finally:
        # Chain and nodes have ended by now, unless the page went wrong.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)

    assert "scatter:" not in said, said
    assert "Traceback" not in said, said
    assert re.search(r"^verdict +normal$", said, re.M), said
    balances = [float(b.replace(",", "")) for b in re.findall(r"^balance +([\d,.]+)", said, re.M)]
    requester, first, second, validator = balances
    assert requester == 99_000
    assert first > second > 100_000
    assert validator == 75_200
    assert first + second == pytest.approx(200_700)


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
