"""One suite for every sandbox: what a run brings back, and how it ends when it must not go on."""

import asyncio
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.sandboxes import ALL, open_for_test

from scatter.adapters.sandbox import open_sandbox
from scatter.learning.job_file import JobLimits
from scatter.learning.scores import Failed, read_scores
from scatter.mechanism.errors import BadInput
from scatter.ports.sandbox import (
    Isolation,
    Limits,
    Outcome,
    SandboxUnavailable,
    Task,
    bound_limits,
)

JOB = """
name = "Job"
kind = "{kind}"
topic = "test"
runtime = "numpy"
[model]
w = {{ dtype = "float32", shape = [2] }}
"""

TRAINED = "    return Trained({'w': np.ones(2, 'f')}, 1)\n"

SMALL = Limits(wall_seconds=20, output_bytes=1 << 20, scratch_bytes=1 << 20, output_files=8)


@pytest.fixture(params=ALL)
def sandbox(request):
    return open_for_test(request.param)


@pytest.fixture
def train(tmp_path: Path, sandbox):
    """Runs the body of a training function."""

    def train(body: str, limits: Limits = SMALL, head: str = "") -> Outcome:
        return asyncio.run(sandbox.run(task_of(tmp_path, body, limits, head)))

    return train


def task_of(here: Path, body: str, limits: Limits = SMALL, head: str = "") -> Task:
    (here / "data").mkdir()
    (here / "job").mkdir()
    (here / "data" / "secret.txt").write_text("42")
    (here / "job" / "job.toml").write_text(JOB.format(kind="train"))
    code = f"import os, sys, time\nimport numpy as np\nfrom scatter_job import Trained\n{head}\n"
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    (here / "job" / "train.py").write_text(
        f"{code}def train(data, base, settings):\n    out = '/out'\n{indented}{TRAINED}"
    )
    return Task("train", here / "job", here / "data", here / "output", limits=limits)


def leftovers(here: Path) -> set[str]:
    return {path.name for path in here.iterdir()} - {"job", "data", "output"}


def test_brings_back_what_the_run_left(train, tmp_path, sandbox):
    outcome = train("print('reads', (data / 'secret.txt').read_text())")

    assert (outcome.ok, outcome.reason) == (True, "")
    assert (outcome.log, outcome.backend) == ("reads 42\n", sandbox.name)
    assert {path.name for path in (tmp_path / "output").iterdir()} == {
        "model.safetensors",
        "metrics.json",
    }
    assert leftovers(tmp_path) == set()


def test_says_why_the_job_failed(train, tmp_path):
    outcome = train("raise ValueError('no labels')")

    assert not outcome.ok
    assert outcome.reason == "The job failed (exit code 1): The job raised ValueError: no labels"
    assert "Traceback" in outcome.log
    assert not (tmp_path / "output").exists()
    assert leftovers(tmp_path) == set()


def test_says_that_the_job_crashed(train):
    assert "exit code" in train("os.abort()").reason


def test_stops_a_job_that_runs_for_ever_and_all_it_started(train):
    marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
    body = (
        "import signal, subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"code = 'import time; time.sleep(60)  # {marker}'\n"
        "subprocess.Popen([sys.executable, '-S', '-c', code])\n"
        "subprocess.Popen([sys.executable, '-S', '-c', code], start_new_session=True)\n"
        "while True: pass"
    )
    outcome = train(body, Limits(wall_seconds=1))

    assert outcome.reason == "The run took longer than 1 s."
    assert outcome.seconds < 10
    assert not any_process_with(marker)


def any_process_with(text: str) -> bool:
    return count_processes_with(text) > 0


def count_processes_with(text: str) -> int:
    count = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            count += text.encode() in entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return count


def test_cancelling_kills_the_run(tmp_path, sandbox):
    async def run_for_a_moment() -> None:
        await asyncio.wait_for(sandbox.run(task_of(tmp_path, "time.sleep(60)")), timeout=0.5)

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(run_for_a_moment())

    assert time.monotonic() - started < 10
    assert leftovers(tmp_path) == set()
    assert not any_process_with(str(tmp_path))


@pytest.mark.parametrize("processes", [1, 2], ids=["at its start", "while it scores a model"])
@pytest.mark.parametrize(
    "name", [pytest.param("bubblewrap", marks=pytest.mark.needs_bubblewrap), "plain"]
)
def test_no_run_outlives_a_killed_node(tmp_path, name, processes):
    """Where its processes are the machine's; `test_sandbox_leftovers.py` has the others."""
    sandbox = open_for_test(name)
    task = slow_evaluation(tmp_path)
    node = multiprocessing.get_context("spawn").Process(target=run_in, args=(sandbox, task))
    node.start()
    while count_processes_with(str(tmp_path)) < processes:
        assert node.exitcode is None

    node.kill()
    node.join()

    deadline = time.monotonic() + 5
    while any_process_with(str(tmp_path)):
        assert time.monotonic() < deadline


def run_in(sandbox, task):
    asyncio.run(sandbox.run(task))


def slow_evaluation(here: Path) -> Task:
    task = task_of(here, "")
    (task.job / "job.toml").write_text(JOB.format(kind="evaluate"))
    (task.job / "evaluate.py").write_text(
        "import time\ndef evaluate(weights, data, settings): time.sleep(60)\n"
    )
    save_file({"w": np.ones(2, "f")}, here / "model.safetensors")
    models = {"model": here / "model.safetensors"}
    return Task("evaluate", task.job, task.data, task.output, models, limits=Limits())


def test_keeps_the_end_of_a_flood_of_words(train):
    body = "for _ in range(4000): os.write(1, b'x' * 1000)\nprint('the end')"

    outcome = train(body, Limits(wall_seconds=30, log_bytes=1000))

    assert outcome.ok
    assert len(outcome.log) <= 1000
    assert outcome.log.endswith("xxxthe end\n")


def test_cleans_the_log_of_what_could_trick_a_terminal(train):
    outcome = train(r"os.write(2, b'\x1b[2Ja\x07\x1b]0;title\x07b\rc\xff\xe2\x80\xae\x9b1m\n')")

    assert outcome.log == "ab\nc\ufffd\ufffd1m\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("os.symlink('/etc/passwd', f'{out}/a')", "not a regular file"),
        ("os.mkfifo(f'{out}/a')", "not a regular file"),
        ("os.mkdir(f'{out}/a')", "not a regular file"),
        ("[open(f'{out}/{i}', 'w').close() for i in range(20)]", "more than 8 files"),
        ("open(f'{out}/a b', 'w').close()", "a file with the name 'a b'"),
        ("open(f'{out}/.hidden', 'w').close()", "a file with the name '.hidden'"),
        ("open(f'{out}/' + 'n' * 90, 'w').close()", "a file with the name"),
    ],
)
def test_refuses_odd_things_in_the_output(train, tmp_path, body, reason):
    outcome = train(f"out = sys.argv[sys.argv.index('--out') + 1]\n{body}")

    assert not outcome.ok
    assert reason in outcome.reason
    assert not (tmp_path / "output").exists()
    assert leftovers(tmp_path) == set()


def test_refuses_more_output_than_allowed(train):
    body = (
        "out = sys.argv[sys.argv.index('--out') + 1]\n"
        "for i in range(3): open(f'{out}/{i}', 'wb').write(bytes(600_000))"
    )

    reason = train(body).reason

    assert "larger than 1048576" in reason or "No space left" in reason


def test_refuses_a_stream_that_the_job_forged(train, tmp_path):
    body = (
        "import io, tarfile\n"
        "entry = tarfile.TarInfo('../../escaped')\n"
        "for descriptor in range(3, 10):\n"
        "    try: os.write(descriptor, entry.tobuf())\n"
        "    except OSError: pass\n"
        "os._exit(0)"
    )

    outcome = train(body)

    assert "a file with the name '../../escaped'" in outcome.reason
    assert not (tmp_path.parent / "escaped").exists()


def test_is_not_fooled_by_an_early_end(train):
    assert train("os._exit(0)").reason == "The output was cut short."


def test_bounds_the_memory_of_one_process(train, sandbox):
    outcome = train("x = np.ones(200 << 20, np.uint8)", Limits(memory_bytes=128 << 20))

    if sandbox.isolation is Isolation.GUEST_KERNEL:
        # gVisor's kernel refuses no memory to a process; the machine's ends it for them both.
        assert outcome.reason == f"The run used more than {128 << 20} bytes of memory."
    else:
        assert "MemoryError" in outcome.reason


def test_bounds_the_memory_of_all_processes_together(train):
    body = (
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        x = np.ones(100 << 20, np.uint8)\n"
        "        time.sleep(30)\n"
        "time.sleep(30)"
    )

    outcome = train(body, Limits(wall_seconds=15, memory_bytes=256 << 20))

    assert outcome.reason == f"The run used more than {256 << 20} bytes of memory."


def test_bounds_the_number_of_processes(train):
    body = (
        "for _ in range(40):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(30)\n"
        "        os._exit(0)\n"
        "time.sleep(30)"
    )

    outcome = train(body, Limits(wall_seconds=15, processes=10))

    assert (
        outcome.reason == "The run had more than 10 processes."
        or "BlockingIOError" in outcome.reason
    )


def test_bounds_open_files(train):
    body = "files = [open('/dev/null') for _ in range(300)]"

    assert "Too many open files" in train(body, Limits(open_files=64)).reason


def test_scores_several_models_in_one_start(sandbox, tmp_path):
    task = task_of(tmp_path, "")
    (task.job / "job.toml").write_text(JOB.format(kind="evaluate"))
    (task.job / "evaluate.py").write_text(
        "def evaluate(weights, data, settings): return float(weights['w'][0]) / 0.8\n"
    )
    models = {}
    for name, value in {"fair": 0.4, "vain": 1.0}.items():
        models[name] = tmp_path / "data" / name
        save_file({"w": np.full(2, value, np.float32)}, models[name])

    outcome = asyncio.run(
        sandbox.run(Task("evaluate", task.job, task.data, tmp_path / "output", models))
    )

    assert outcome.ok, outcome.reason
    scores = read_scores(tmp_path / "output" / "scores.json", models)
    assert scores["fair"] == 5_000
    assert isinstance(scores["vain"], Failed)


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "destroy"},
        {"job": Path("/nowhere")},
        {"models": {"../up": Path("/etc/passwd")}},
        {"models": {"gone": Path("/nowhere")}},
        {"output": Path("/tmp")},
    ],
)
def test_refuses_a_task_that_cannot_be_run(sandbox, tmp_path, change):
    fields = {**vars(task_of(tmp_path, "")), **change}

    with pytest.raises(BadInput):
        asyncio.run(sandbox.run(Task(**fields)))


def test_the_operator_caps_what_a_job_asks_for():
    asked = JobLimits(wall_seconds=50, memory_mb=1 << 20, output_mb=1)

    limits = bound_limits(asked, Limits(wall_seconds=100, memory_bytes=2 << 30, processes=7))

    assert (limits.wall_seconds, limits.memory_bytes) == (50, 2 << 30)
    assert (limits.output_bytes, limits.processes) == (1 << 20, 7)


class TestChoice:
    @pytest.mark.needs_gvisor
    @pytest.mark.needs_bubblewrap
    def test_takes_the_strongest(self):
        open_for_test("gvisor")
        open_for_test("bubblewrap")

        choice = open_sandbox(Isolation.NONE)

        assert choice.sandbox.isolation is Isolation.GUEST_KERNEL
        assert f"Using {choice.sandbox.name}: it is the strongest that runs here." in choice.why

    @pytest.mark.needs_bubblewrap
    def test_takes_the_one_asked_for(self):
        open_for_test("bubblewrap")

        choice = open_sandbox(Isolation.NAMESPACES, prefer="bubblewrap")

        assert choice.sandbox.name == "bubblewrap"
        assert choice.why == "Using bubblewrap: it was asked for."

    def test_never_goes_below_the_minimum(self):
        with pytest.raises(SandboxUnavailable, match=r"plain process \(unsafe\): weaker"):
            open_sandbox(Isolation.GUEST_KERNEL, prefer="plain process (unsafe)")

    def test_says_what_to_install(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")

        with pytest.raises(SandboxUnavailable) as refusal:
            open_sandbox(Isolation.NAMESPACES)

        assert "install gVisor" in str(refusal.value)
        assert "install the package bubblewrap" in str(refusal.value)

    def test_falls_back_when_that_is_allowed_and_says_why(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")

        choice = open_sandbox(Isolation.NONE)

        assert choice.sandbox.isolation is Isolation.NONE
        assert "runsc is not on PATH" in choice.why
        assert "bwrap is not on PATH" in choice.why

    def test_sees_no_engine_on_another_machine(self, monkeypatch):
        monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")

        with pytest.raises(SandboxUnavailable, match="names another machine"):
            open_sandbox(Isolation.GUEST_KERNEL, prefer="docker-gvisor")

    def test_knows_its_backends(self):
        with pytest.raises(BadInput, match="There is no sandbox 'chroot'"):
            open_sandbox(Isolation.NONE, prefer="chroot")
