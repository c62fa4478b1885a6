"""One fault at a time, in a copy of the sources: compile it, run the tests until one fails.

Each trial runs in a fork of a process that has the libraries loaded already, so it starts in no
time and cannot harm the next one.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import boa
import docker
import hypothesis
import pytest
from tools.compile_contracts import CONTRACTS, ROOT, compile_contract, hash_sources
from vyper.exceptions import VyperException, VyperInternalException

from mutation.mutants import Mutant
from mutation.outcomes import INVALID

LIBRARIES = (boa, docker, hypothesis)
WANTED_BY_ALL: Final = (
    "scatter.adapters.contracts",
    "scatter.adapters.sandbox.docker_engine",
    "scatter.devnet.anvil",
    "scatter.lifecycle.ledger",
)
"""Loaded once, before the first fork; the latter from the copy."""

PLAIN_JOB: Final = "tests/contracts/test_agreement.py::test_ends_as_worked_out_by_hand[normal]"
"""Tried first: it takes a second, and notices more than half of all faults."""

TESTS: Final = (
    "tests/contracts/test_token.py",
    "tests/attacks/test_money.py",
    "tests/attacks/test_committee.py",
    "tests/contracts/test_front_door.py",
    "tests/attacks/test_accusations.py",
    "tests/contracts/test_refusals.py",
    "tests/contracts/test_bounds.py",
    "tests/contracts/test_agreement.py",
    "tests/contracts/test_scoring.py",
    "tests/contracts/test_roster.py",
    "tests/contracts/test_fines.py",
    "tests/contracts/test_titles.py",
    "tests/contracts/test_standards.py",
    "tests/contracts/test_deployment.py",
    "tests/contracts/test_draw.py",
    "tests/contracts/test_words.py",
    "tests/contracts/test_two_thirds.py",
    "tests/contracts/test_root.py",
)
"""What may notice a fault, the cheapest and deadliest first. Left out: what reads the sources or
measures gas, which would notice any change, harmless or not."""

CALLS: Final = ("tests/contracts/test_refusals.py", "tests/contracts/test_bounds.py")
JOBS: Final = ("tests/contracts/test_agreement.py", "tests/contracts/test_scoring.py")
TITLES: Final = ("tests/contracts/test_titles.py", "tests/contracts/test_standards.py")
NEAREST: Final[Mapping[str, Sequence[str]]] = {
    "rules.vy": ("tests/contracts/test_deployment.py",),
    "words.vy": ("tests/contracts/test_words.py",),
    "refusals.vy": CALLS,
    "topics.vy": CALLS,
    "erc20.vy": ("tests/contracts/test_token.py", "tests/contracts/test_standards.py"),
    "bonds.vy": ("tests/contracts/test_roster.py", "tests/contracts/test_fines.py"),
    **dict.fromkeys(("titles.vy", "ModelToken.vy"), TITLES),
    **dict.fromkeys(("TrainingJobToken.vy", "EvaluationJobToken.vy"), TITLES),
}
"""By the file that is changed; JOBS for any other."""

MACHINE: Final = "tests/contracts/test_machine.py"
"""Notices much, and takes a minute."""

SECONDS: Final = 900
"""Past it a trial has an endless loop in it, and counts as noticed."""


class Tree:
    """A copy of the sources that a worker may spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("contracts", "src", "tests", "tools", "benchmarks"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "pyproject.toml", folder)
        self.artefacts = folder / "src" / "scatter" / "adapters" / "artefacts"
        self.sound = {path: path.read_text() for path in self.artefacts.glob("*.json")}

    def load(self) -> None:
        """Imports what every trial wants, so that its forks have it already."""
        self._enter()
        for module in WANTED_BY_ALL:
            import_module(module)

    def try_out(self, mutant: Mutant | None, tests: Sequence[str]) -> str:
        """The test that noticed the fault; "" if none did. None: the sources as they are."""
        context = get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self._trial, args=(mutant, tests, theirs))
        process.start()
        theirs.close()
        try:
            if not ours.poll(SECONDS):
                process.kill()
                return "out of time"
            return str(ours.recv())
        except EOFError:
            return "the process ended"
        finally:
            process.join()

    def _trial(self, mutant: Mutant | None, tests: Sequence[str], told: Connection) -> None:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        try:
            if mutant is not None:
                self._compile(mutant)
            self._enter()
            told.send(killer_of([PLAIN_JOB]) or killer_of(tests))
        except (VyperException, VyperInternalException):
            told.send(INVALID)
        told.close()
        os._exit(0)

    def _enter(self) -> None:
        os.chdir(self.folder)
        sys.path[:0] = [str(self.folder / "src"), str(self.folder)]

    def _compile(self, mutant: Mutant) -> None:
        sources = self.folder / "contracts"
        for path in (ROOT / "contracts").glob("*.vy"):
            shutil.copy(path, sources)
        spoilt = sources / mutant.file
        spoilt.write_text(mutant.apply(spoilt.read_text()))
        hashes = hash_sources(sources)
        for name in CONTRACTS:
            path = self.artefacts / f"{name}.json"
            artefact = json.loads(self.sound[path])
            if mutant.file in files_of(sources, name):
                artefact = compile_contract(sources, name)
            path.write_text(json.dumps(artefact | {"sources": hashes}))


def files_of(sources: Path, contract: str) -> set[str]:
    """The sources of one contract; of the other six it has the interface alone."""
    found, todo = set[str](), [contract]
    while todo:
        name = todo.pop()
        found.add(f"{name}.vy")
        text = (sources / f"{name}.vy").read_text()
        imported = re.findall(r"^import (\w+)$", text, re.MULTILINE)
        todo += [m for m in imported if m not in CONTRACTS and f"{m}.vy" not in found]
    return found


def nearest_first(tests: Sequence[str], mutant: Mutant) -> list[str]:
    """What is most likely to notice the fault, then the rest."""
    nearest = list(NEAREST.get(mutant.file, JOBS))
    if "front_door._only" in mutant.before:
        nearest = ["tests/contracts/test_front_door.py"]
    elif "refusals." in mutant.change:
        nearest = [*CALLS, *nearest]
    nearest = list(dict.fromkeys(nearest))
    return [*nearest, *(test for test in tests if test not in nearest)]


def killer_of(tests: Sequence[str]) -> str:
    """Runs the tests until one fails, and names it."""
    watch = _Watch()
    # The libraries are loaded before pytest could rewrite their assertions; ours it rewrites.
    early = "-Wignore::pytest.PytestAssertRewriteWarning"
    code = pytest.main(
        ["-x", "-q", early, "-p", "no:cacheprovider", "--hypothesis-seed=1", *tests],
        plugins=[watch],
    )
    if watch.killer or code == pytest.ExitCode.OK:
        return watch.killer
    return f"pytest ended with {code}"


class _Watch:
    killer = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.killer = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.killer = report.nodeid
