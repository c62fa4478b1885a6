"""Strangers' code against every sandbox that is here: what it tries first works, then does not.

An attempt proves a wall only if it succeeds where there is none. So all of them are made by an
unprotected process first, which has the same machine before it.
"""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.attacks.sandbox_probes import PROBES, script
from tests.sandboxes import WALLED, containers_of, open_for_test, state_folder

from scatter.adapters.sandbox.control_group import sweep
from scatter.adapters.sandbox.walls import owner_of
from scatter.ports.sandbox import Isolation, Limits, Outcome, Task

pytestmark = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="the numbers of system calls are those of x86_64"
)

JOB = 'name="x"\nkind="train"\ntopic="x"\nruntime="numpy"\n[model]\nw={dtype="float32",shape=[1]}\n'
SECRET = "SECRET-ENVIRONMENT"
NEEDS_ROOT = {"packet socket", "raw socket", "a device file", "bpf", "userfaultfd", "priority"}
NEEDS_ROOT |= {"write into the root", "write into the library", "core pattern"}


@dataclass(frozen=True)
class Machine:
    """What there is to be attacked."""

    folder: Path
    facts: Mapping[str, object]
    victim: subprocess.Popen[bytes]
    """A process of the machine, that is not a job's."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    for name in ("job", "data", "other-job"):
        (folder / name).mkdir()
    (folder / "job" / "job.toml").write_text(JOB)
    (folder / "other-job" / "data.txt").write_text("theirs")
    (folder / "secret").write_text("secret")
    word = f"victim-{os.getpid()}"
    sleeper = [sys.executable, "-S", "-c", f"import time; time.sleep(600)  # {word}"]
    environment = {"HOME": "/", "TOKEN": SECRET}
    abstract = f"\0scatter-{os.getpid()}"
    with (
        subprocess.Popen(sleeper, env=environment) as victim,
        _service(socket.AF_INET, ("127.0.0.1", 0)) as tcp,
        _service(socket.AF_INET6, ("::1", 0)) as tcp6,
        _service(socket.AF_UNIX, abstract),
        _service(socket.AF_UNIX, str(folder / "socket")),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", 0))
        threading.Thread(target=_answer_datagrams, args=[udp], daemon=True).start()
        facts = {
            "TCP": tcp.getsockname()[1],
            "TCP6": tcp6.getsockname()[1],
            "UDP": udp.getsockname()[1],
            "ABSTRACT": abstract,
            "UNIX": str(folder / "socket"),
            "SECRET_FILE": str(folder / "secret"),
            "OTHER_JOB": str(folder / "other-job" / "data.txt"),
            "OUTSIDE": str(folder / "outside"),
            "KEPT": [str(folder / "outside")],
            "VICTIM": victim.pid,
            "VICTIM_WORD": word.encode(),
        }
        try:
            yield Machine(folder, facts, victim)
        finally:
            victim.kill()
            udp.sendto(b"", udp.getsockname())


class _service:  # noqa: N801  (reads like the function it is)
    """Listens, and says to whoever comes that this is the machine."""

    def __init__(self, family: int, address: object) -> None:
        self._socket = socket.socket(family)
        self._socket.bind(address)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"machine")

    def __enter__(self) -> socket.socket:
        self._thread.start()
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def _answer_datagrams(udp: socket.socket) -> None:
    while True:
        try:
            question, sender = udp.recvfrom(8)
        except OSError:
            return
        if not question:
            return
        udp.sendto(b"machine", sender)


def attack(machine: Machine, doomed: int) -> str:
    return script({**machine.facts, "DOOMED": doomed})


def results(log: str) -> dict[str, str]:
    return dict(re.findall(r"^PROBE (.+?) (DONE|refused .*|gVisor|another)$", log, re.M))


@pytest.fixture(scope="module")
def unprotected(machine: Machine) -> dict[str, str]:
    """What the attempts come to where nothing stops them."""
    out = machine.folder / "unprotected"
    out.mkdir()
    with subprocess.Popen(["sleep", "600"]) as doomed:
        code = attack(machine, doomed.pid)
        arguments = ["--job", machine.folder / "job", "--data", machine.folder / "data"]
        done = subprocess.run(
            [sys.executable, "-S", "-c", code, *arguments, "--out", out],
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        doomed.kill()
    assert (machine.folder / "outside").exists(), done.stderr
    (machine.folder / "outside").unlink()
    return results(done.stdout)


@pytest.fixture(scope="module", params=WALLED)
def sandbox(request):
    return open_for_test(request.param)


@pytest.fixture(scope="module")
def attacked(machine: Machine, sandbox) -> dict[str, str]:
    """What the same attempts come to in the sandbox."""
    with subprocess.Popen(["sleep", "600"]) as doomed:
        outcome = run(sandbox, machine, attack(machine, doomed.pid))
        assert doomed.poll() is None
        doomed.kill()
    return results(outcome.log)


def run(sandbox, machine: Machine, code: str) -> Outcome:
    return run_together(sandbox, machine, {"attack": code}, Limits(wall_seconds=60))["attack"]


def run_together(
    sandbox, machine: Machine, codes: Mapping[str, str], limits: Limits
) -> dict[str, Outcome]:
    """Runs jobs with this code side by side."""
    tasks = [task_of(machine, name, code, limits) for name, code in codes.items()]

    async def run_all() -> list[Outcome]:
        return await asyncio.gather(*(sandbox.run(task) for task in tasks))

    return dict(zip(codes, asyncio.run(run_all()), strict=True))


def task_of(machine: Machine, name: str, code: str, limits: Limits) -> Task:
    """A job of its own; what it leaves is to go to a folder of its name."""
    job = machine.folder / "jobs" / name
    shutil.rmtree(job, ignore_errors=True)
    shutil.rmtree(machine.folder / "output" / name, ignore_errors=True)
    job.mkdir(parents=True)
    (job / "job.toml").write_text(JOB)
    (job / "train.py").write_text(code)
    return Task(
        "train", job, machine.folder / "data", machine.folder / "output" / name, limits=limits
    )


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_refuses(probe, unprotected, attacked, sandbox):
    if os.getuid() != 0 and probe.name in NEEDS_ROOT:
        pytest.skip("only root could do it without a sandbox")
    assert unprotected[probe.name] == "DONE"
    if probe.harmless_inside and sandbox.isolation is Isolation.GUEST_KERNEL:
        assert attacked["kernel"] == "gVisor"
    else:
        assert attacked[probe.name].startswith("refused")


def test_what_was_attacked_is_as_it_was(machine, attacked):
    assert attacked.keys() == {"kernel", *(probe.name for probe in PROBES)}
    assert machine.victim.poll() is None
    assert not (machine.folder / "outside").exists()
    assert [path.name for path in (machine.folder / "data").iterdir()] == []


FLOODS = {"floods its output", "floods the archive"}
"""Whose first words may be lost."""
ENDS = (
    r"^The run (took longer|used more|made more|had more)"
    r"|not an archive|goes on after|MemoryError|exit code (133|-5)"
)

ENDLESS = {
    "sleeps and hears nothing": """
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
time.sleep(9999)""",
    "forks for ever": """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try: os.fork()
    except OSError: pass""",
    "hides in other sessions and stops": """
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(9999)
        os._exit(0)
os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(9999)""",
    "is traced by its parent and waits": """
ctypes.CDLL(None).ptrace(0, 0, 0, 0)
os.kill(os.getpid(), signal.SIGTRAP)
time.sleep(9999)""",
    "floods its output": "while True: os.write(1, b'A' * 65536)",
    "floods the archive": """
while True:
    for number in range(3, 10):
        try: os.write(number, b'A' * 65536)
        except OSError: pass""",
    "makes files for ever": """
n = 0
while True:
    for place in ('/tmp', '/out', '/dev/shm'):
        try: open(f'{place}/{n}', 'w').close()
        except OSError: pass
    n += 1""",
    "fills every folder and its memory": """
held = []
for place in ('/tmp', '/out', '/dev/shm'):
    for n in range(200):
        try: open(f'{place}/{n}', 'wb').write(bytes(1 << 20))
        except OSError: break
while True: held.append(bytearray(b'x') * (1 << 20))""",
}


@pytest.fixture(scope="module")
def endings(machine: Machine, sandbox) -> dict[str, Outcome]:
    """How all the endless ones end, side by side."""
    head = "import ctypes, os, signal, time\nprint('begun')\n"
    small = Limits(
        wall_seconds=20,
        memory_bytes=256 << 20,
        scratch_bytes=8 << 20,
        output_bytes=8 << 20,
        processes=32,
    )
    codes = {name: head + code for name, code in ENDLESS.items()}
    return run_together(sandbox, machine, codes, small)


@pytest.mark.parametrize("name", ENDLESS)
def test_ends_for_certain_what(name, endings, machine):
    outcome = endings[name]

    assert not outcome.ok
    assert "begun" in outcome.log or name in FLOODS
    assert re.search(ENDS, outcome.reason), outcome.reason
    assert len(outcome.log) <= Limits().log_bytes
    assert outcome.seconds < 60
    assert not (machine.folder / "output" / name).exists()


def test_leaves_nothing_behind(endings, sandbox, machine):
    assert endings
    assert leftovers(sandbox, machine) == []


def leftovers(sandbox, machine: Machine) -> list[str]:
    """Processes, control groups, containers and bundles that are still there."""
    state = state_folder(sandbox.name)
    found = [path.name for path in state.iterdir()] if state.exists() else []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if bytes(state) in words or bytes(machine.folder / "jobs") in words:
            found.append(words.decode(errors="replace")[:200])
    found += containers_of(sandbox.name)
    return found + ["a control group"] * sweep(owner_of(state))


STRANGE = {
    "a sparse file": (
        "open('/out/a', 'wb').truncate(1 << 23)",
        r"larger than|No space left|File too",
    ),
    "a huge sparse file": ("open('/out/a', 'wb').truncate(1 << 45)", r"File too large|larger than"),
    "a link to a file": ("os.symlink('/etc/passwd', '/out/a')", "not a regular file"),
    "a link to a folder": ("os.symlink('/', '/out/a')", "not a regular file"),
    "a pipe": ("os.mkfifo('/out/a')", "not a regular file"),
    "a socket": (
        "import socket; socket.socket(socket.AF_UNIX).bind('/out/a')",
        "not a regular file",
    ),
    "a folder": ("os.mkdir('/out/a')", "not a regular file"),
    "many files": ("[open(f'/out/{n}', 'w').close() for n in range(99)]", "more than 64 files"),
}


@pytest.fixture(scope="module")
def strange(machine: Machine, sandbox) -> dict[str, Outcome]:
    codes = {name: f"import os\n{code}\n{TRAIN}" for name, (code, _) in STRANGE.items()}
    return run_together(sandbox, machine, codes, Limits(wall_seconds=60, output_bytes=8 << 20))


@pytest.mark.parametrize("name", STRANGE)
def test_takes_no_strange_output_such_as(name, strange, machine):
    assert not strange[name].ok
    assert re.search(STRANGE[name][1], strange[name].reason), strange[name].reason
    assert not (machine.folder / "output" / name).exists()


TRAIN = """
import numpy
from scatter_job import Trained
def train(data, base, settings): return Trained({'w': numpy.ones(1, 'f')}, 1)
"""


def test_takes_no_rights_with_the_output(machine, sandbox):
    code = "import os\nopen('/out/tool', 'w').close()\nos.chmod('/out/tool', 0o6777)\n"

    outcome = run(sandbox, machine, code + TRAIN)

    assert outcome.ok, outcome.reason
    assert (machine.folder / "output" / "attack" / "tool").stat().st_mode & 0o7133 == 0


@pytest.mark.parametrize("count", [pytest.param(50, marks=pytest.mark.nightly)])
def test_runs_many_jobs_at_once(count, machine, sandbox):
    codes = {f"job-{number}": TRAIN for number in range(count)}

    outcomes = run_together(sandbox, machine, codes, Limits())

    assert {outcome.reason for outcome in outcomes.values()} == {""}
    assert leftovers(sandbox, machine) == []
