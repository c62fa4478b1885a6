"""Ctrl-C or SIGTERM ends `scatter demo` at whatever moment it comes, with all its processes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

import pytest

ROOT = Path(__file__).parents[2]
SCATTER = [sys.executable, "-c", "from scatter.cli import main; main()"]
IGNORING = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
"""Starts a program as a shell starts it with `&`: with SIGINT ignored."""
FEW = ["--trainers", "2", "--challengers", "0"]
MOST_SECONDS_TO_END = 5.0
MOST_SECONDS = 240.0
"""Until a moment that a test waits for must have come."""


class Demo:
    """A demo whose processes are known by a mark in their environment."""

    def __init__(self, folder: Path) -> None:
        self.mark = f"SCATTER_TEST_MARK={uuid4()}"
        name, _, value = self.mark.partition("=")
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "SCATTER_ANVIL": ""}
        self.errors = folder / "errors"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*IGNORING, *SCATTER, "demo", *FEW, "--out", str(folder / "out")],
                text=True,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**environment, name: value},
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.output: IO[str] = self.process.stdout

    def others(self) -> dict[int, str]:
        """The commands of all its processes but the first, by their numbers."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self.mark.encode() in (place / "environ").read_bytes().split(b"\0"):
                    found[int(place.name)] = (place / "cmdline").read_text()
        found.pop(self.process.pid, None)
        return found

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it: to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)
        self._ends(130)

    def terminate(self) -> None:
        """SIGTERM, as a supervisor sends it: to the one process that it started."""
        self.process.terminate()
        self._ends(143)

    def _ends(self, code: int) -> None:
        """Nothing may be left in time."""
        deadline = time.monotonic() + MOST_SECONDS_TO_END
        assert self.process.wait(MOST_SECONDS_TO_END) == code
        while left := self.others():
            assert time.monotonic() < deadline, left
        assert self.errors.read_text() == ""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    started = Demo(tmp_path)
    yield started
    with suppress(ProcessLookupError):
        os.killpg(started.process.pid, signal.SIGKILL)
    started.process.communicate()


def wait_until(demo: Demo, moment: Callable[[Demo], bool]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not moment(demo):
        assert time.monotonic() < deadline, "the moment never came"
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"the demo ended with {demo.process.wait(0.02)} before")


def listens(demo: Demo) -> bool:
    """Whether the program has taken SIGINT over from the interpreter that loads it."""
    status = Path(f"/proc/{demo.process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught & 1 << (signal.SIGINT - 1))


def imports_for_the_nodes(demo: Demo) -> bool:
    return any("forkserver" in command for command in demo.others().values())


def starts_the_chain(demo: Demo) -> bool:
    return any("scatter.devnet.server" in command for command in demo.others().values())


def has_begun_a_job(demo: Demo) -> bool:
    return "nodes" in demo.output.readline()


@pytest.mark.parametrize(
    "moment", [listens, starts_the_chain, imports_for_the_nodes, has_begun_a_job]
)
def test_ctrl_c_ends_everything_quickly_and_quietly(
    demo: Demo, moment: Callable[[Demo], bool]
) -> None:
    wait_until(demo, moment)

    demo.interrupt()


@pytest.mark.parametrize("moment", [listens, has_begun_a_job])
def test_sigterm_ends_everything_as_well(demo: Demo, moment: Callable[[Demo], bool]) -> None:
    wait_until(demo, moment)

    demo.terminate()


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Two programs that want a core each."""
    burn = [sys.executable, "-c", "while True: pass"]
    burners = [subprocess.Popen(burn), subprocess.Popen(burn)]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.usefixtures("busy_machine")
def test_ctrl_c_is_heard_at_any_moment_on_a_busy_machine(demo: Demo, seed: int) -> None:
    wait_until(demo, listens)
    with suppress(subprocess.TimeoutExpired):
        demo.process.wait(random.Random(seed).uniform(0, 40))

    demo.interrupt()
