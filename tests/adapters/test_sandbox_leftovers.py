"""What runs leave when nobody tidies up after them, and what the kernel keeps for a run."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from tests.sandboxes import OPENERS, open_for_test

from scatter.adapters.sandbox import control_group
from scatter.adapters.sandbox.control_group import Allowance, ControlGroup, sweep
from scatter.adapters.sandbox.docker_engine import Frames
from scatter.adapters.sandbox.layer import digest_layer
from scatter.adapters.sandbox.walls import owner_of

ALLOWANCE = Allowance(memory_bytes=64 << 20, processes=16, cpus=1)

NODE = """
import asyncio, sys
from pathlib import Path
from scatter.ports.sandbox import Task
from tests.sandboxes import OPENERS

here = Path(sys.argv[1])
sandbox = OPENERS[sys.argv[2]](here / "state")
print("opened", flush=True)
asyncio.run(sandbox.run(Task("train", here / "job", here / "data", here / "out")))
"""

JOB = 'name="x"\nkind="train"\ntopic="x"\nruntime="numpy"\n[model]\nw={dtype="float32",shape=[1]}\n'


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        pytest.param("gvisor", marks=pytest.mark.needs_gvisor),
        pytest.param("docker-gvisor", marks=[pytest.mark.needs_gvisor, pytest.mark.needs_docker]),
    ],
)
def test_a_node_that_starts_again_removes_what_it_left_when_it_was_killed(name, tmp_path):
    open_for_test(name)
    for folder in ("job", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "job" / "job.toml").write_text(JOB)
    (tmp_path / "job" / "train.py").write_text("import time\ntime.sleep(9999)\n")
    state = tmp_path / "state"
    command = [sys.executable, "-c", NODE, str(tmp_path), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd()) as node:
        assert node.stdout is not None
        assert node.stdout.readline() == b"opened\n"
        wait_until(lambda: traces(name, state))
        node.send_signal(signal.SIGKILL)
    assert traces(name, state)
    if name in {"plain", "gvisor"}:
        wait_until(lambda: not is_named_by_a_process(tmp_path))

    OPENERS[name](state)

    assert traces(name, state) == []


def traces(name: str, state: Path) -> list[str]:
    if name == "plain":
        runs = Path(tempfile.gettempdir()).glob(f"scatter-run-{owner_of(state)}-*")
        return [path.name for path in runs]
    if name == "gvisor":
        return [path.name for path in state.glob("scatter-run-*/state/*")] if state.exists() else []
    import docker

    client = docker.from_env()
    try:
        label = f"scatter.owner={owner_of(state)}"
        return [found.id for found in client.containers.list(all=True, filters={"label": label})]
    finally:
        client.close()


def is_named_by_a_process(path: Path) -> bool:
    words = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            words.add(bytes(path) in entry.read_bytes())
    return True in words


def wait_until(condition) -> None:
    for _ in range(600):
        if condition():
            return
        subprocess.run(["sleep", "0.1"], check=True)
    pytest.fail("it did not come to be within a minute")


@pytest.fixture
def group(tmp_path) -> ControlGroup:
    owner = owner_of(tmp_path)
    made = ControlGroup.make(owner, ALLOWANCE)
    if made is None:
        pytest.skip("no control group can be made here; only root may, in most places")
    return made


def test_a_group_holds_all_that_it_started_and_ends_it(group):
    script = "import os\nif os.fork() == 0: os.setsid()\nimport time; time.sleep(600)"
    with subprocess.Popen(group.entering([sys.executable, "-S", "-c", script])) as process:
        wait_until(lambda: len(members(group)) == 2)
        group.remove()
        assert process.wait(10) == -signal.SIGKILL
    assert members(group) == set()


def test_a_group_bounds_memory_and_knows_that_it_did(group):
    code = "x = bytearray(b'x') * (200 << 20)"
    done = subprocess.run(group.entering([sys.executable, "-S", "-c", code]), check=False)

    assert done.returncode == -signal.SIGKILL
    assert group.out_of_memory
    group.remove()


def test_groups_of_one_owner_are_swept_and_no_others(tmp_path):
    mine, other = owner_of(tmp_path), owner_of(tmp_path / "other")
    made = [ControlGroup.make(owner, ALLOWANCE) for owner in (mine, mine, other)]
    if None in made:
        pytest.skip("no control group can be made here; only root may, in most places")

    assert (sweep(mine), sweep(mine), sweep(other)) == (2, 0, 1)


def members(group: ControlGroup) -> set[str]:
    found = set()
    for folder in group._folders:
        if folder.exists():
            found |= set((folder / "cgroup.procs").read_text().split())
    return found


def test_in_version_2_one_folder_has_every_limit(tmp_path, monkeypatch):
    (tmp_path / "cgroup.controllers").touch()
    monkeypatch.setattr(control_group, "_MOUNT", tmp_path)

    made = ControlGroup.make("node", ALLOWANCE)

    assert made is not None
    (folder,) = (tmp_path / "scatter").glob("scatter-node-*")
    assert (tmp_path / "scatter" / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "memory.max": str(64 << 20),
        "memory.oom.group": "1",
        "pids.max": "16",
        "cpu.max": "100000 100000",
    }
    (folder / "memory.events").write_text("oom 1\noom_kill 1\n")
    assert made.out_of_memory


@pytest.mark.parametrize("step", [1, 7, 8, 9, 4096])
def test_frames_are_taken_apart_however_they_are_cut(step):
    output, log = bytearray(), bytearray()
    frames = Frames(output.extend, log.extend)
    stream = b"".join(
        bytes([kind, 0, 0, 0]) + len(words).to_bytes(4) + words
        for kind, words in [(1, b"one"), (2, b"said"), (1, b""), (7, b"odd"), (1, b"two" * 99)]
    )

    for start in range(0, len(stream), step):
        frames.feed(stream[start : start + step])

    assert (bytes(output), bytes(log)) == (b"one" + b"two" * 99, b"said")


def test_a_layer_depends_on_contents_alone(tmp_path):
    for name in ("first", "second"):
        root = tmp_path / name
        (root / "bin").mkdir(parents=True)
        (root / "bin" / "tool").write_text("x")
        (root / "lib").symlink_to("usr/lib")
    os.utime(tmp_path / "second" / "bin", (1, 1))
    first = digest_layer(tmp_path / "first")

    assert digest_layer(tmp_path / "second") == first
    (tmp_path / "second" / "bin" / "tool").chmod(0o755)
    assert digest_layer(tmp_path / "second") != first
