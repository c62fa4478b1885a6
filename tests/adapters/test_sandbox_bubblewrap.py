"""What a hostile job finds behind bubblewrap's walls: nothing of the host.

The probes run inside, in one run each, and print what they could do.
"""

import asyncio
import os
import socket
from pathlib import Path

import numpy as np
import pytest

import scatter
from scatter.adapters.sandbox import Bubblewrap
from scatter.ports.sandbox import Limits, Task

pytestmark = pytest.mark.needs_bubblewrap

JOB = 'name="x"\nkind="train"\ntopic="x"\nruntime="numpy"\n[model]\nw={dtype="float32",shape=[1]}\n'

HEAD = """
import ctypes, os, socket, sys
from pathlib import Path
libc = ctypes.CDLL(None, use_errno=True)

def attempt(name, action):
    try:
        result = action()
    except Exception as error:
        print(name, "refused", type(error).__name__)
    else:
        print(name, "DONE", result)

def call(*arguments):
    if libc.syscall(*arguments) == -1:
        raise OSError(ctypes.get_errno(), "")
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SCATTER_SECRET", "of-the-node")
    (tmp_path / "job").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "job" / "job.toml").write_text(JOB)

    def probe(code: str, limits: Limits | None = None) -> list[str]:
        (tmp_path / "job" / "train.py").write_text(f"{HEAD}\n{code}\nos._exit(3)\n")
        task = Task("train", tmp_path / "job", tmp_path / "data", tmp_path / "out")
        if limits:
            task = Task("train", task.job, task.data, task.output, limits=limits)
        outcome = asyncio.run(Bubblewrap.open().run(task))
        return outcome.log.splitlines()

    return probe


def test_shows_nothing_of_the_host(probe, tmp_path):
    hidden = [str(tmp_path), __file__, str(Path.cwd())]
    hidden += [str(Path(np.__file__).parent), str(Path(scatter.__file__).parent)]
    hidden += ["/etc/passwd", "/etc/hostname", "/proc", "/sys", "/var", "/usr/bin", "/home"]
    lines = probe(
        "print('SCATTER_SECRET' in os.environ)\n"
        "print(os.getuid(), socket.gethostname(), sorted(os.listdir('/tmp')))\n"
        "print(sorted(n for n in os.listdir('/site') if n != 'numpy.libs'))\n"
        f"for path in {hidden}:\n"
        "    attempt(path, lambda: os.stat(path))\n"
    )

    assert lines[:2] == ["False", "65534 job []"]
    assert lines[2] == "['numpy', 'safetensors', 'scatter_job']"
    assert [line for line in lines[3:] if "refused FileNotFoundError" not in line] == []
    assert len(lines) == 3 + len(hidden)


def test_reaches_no_network_and_no_service_of_the_host(probe, tmp_path):
    name = f"scatter-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(f"\0{name}")
        service.listen()
        lines = probe(
            "attempt('inet', lambda: socket.socket(socket.AF_INET))\n"
            "attempt('netlink', lambda: socket.socket(socket.AF_NETLINK))\n"
            "attempt('dns', lambda: socket.getaddrinfo('localhost.example', 80))\n"
            "local = socket.socket(socket.AF_UNIX)\n"
            f"attempt('abstract', lambda: local.connect('\\0{name}'))\n"
        )

    assert [line.split()[1] for line in lines] == ["refused"] * 4
    assert lines[3] == "abstract refused ConnectionRefusedError"


def test_writes_nowhere_but_in_its_sized_folders(probe):
    lines = probe(
        "def fill(place, number):\n"
        "    with open(f'{place}/{number}', 'wb') as file: file.write(bytes(900_000))\n"
        "for place in ('/', '/job', '/data', '/site', '/dev', '/etc', sys.base_prefix + '/lib'):\n"
        "    attempt(place, lambda: open(f'{place}/x', 'w'))\n"
        "for place in ('/tmp', '/out', '/dev/shm'):\n"
        "    attempt(place, lambda: open(f'{place}/small', 'w'))\n"
        "    attempt(place, lambda: [fill(place, number) for number in range(4)])\n",
        Limits(scratch_bytes=1 << 20, output_bytes=2 << 20),
    )

    assert [line.split()[1] for line in lines] == ["refused"] * 7 + ["DONE", "refused"] * 3


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers below are of x86_64")
def test_refuses_dangerous_system_calls(probe):
    calls = {
        "unshare(NEWUSER)": (272, 0x10000000),
        "mount": (165, 0, 0, 0, 0, 0),
        "ptrace": (101, 0, 0, 0, 0),
        "bpf": (321, 0, 0, 0),
        "io_uring": (425, 1, 0),
        "keyctl": (250, 0, 0),
        "userfaultfd": (323, 0),
        "perf": (298, 0, 0, 0, 0, 0),
        "setns": (308, 0, 0),
        "clone3": (435, 0, 0),
        "clone(NEWUSER)": (56, 0x10000011, 0, 0, 0, 0),
        "x32 getpid": (0x40000000 + 39,),
    }
    lines = probe(
        "".join(f"attempt({name!r}, lambda: call(*{call}))\n" for name, call in calls.items())
        + "attempt('getpid', lambda: call(39))\n"
    )

    assert len(lines) == len(calls) + 1
    assert [line for line in lines if "refused" not in line] == ["getpid DONE None"]


def test_limits_cannot_be_raised_again(probe):
    lines = probe(
        "import resource\n"
        "for kind in (resource.RLIMIT_DATA, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE):\n"
        "    attempt(kind, lambda: resource.setrlimit(kind, (1 << 40, 1 << 40)))\n"
    )

    assert [line.split()[1] for line in lines] == ["refused"] * 3
