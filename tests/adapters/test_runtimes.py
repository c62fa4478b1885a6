"""A built runtime is the same whenever it is built, holds nothing else of the machine, and runs."""

import asyncio
import io
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
from tests.sandboxes import OPENERS, WALLED, open_for_test, state_folder

from scatter.adapters.sandbox import open_sandbox
from scatter.adapters.sandbox.built_runtime import (
    BuiltRuntime,
    PinnedRuntime,
    keep_built,
    list_built,
    open_built,
    read_built,
    read_pin,
    verify,
)
from scatter.adapters.sandbox.root_build import BuildFailed, build_root, find_recipe, take_root
from scatter.learning.scores import read_scores
from scatter.mechanism.errors import BadInput
from scatter.ports.sandbox import Isolation, Limits, SandboxUnavailable, Task

TORCH_JOBS = Path(__file__).parent / "torch_jobs"
LOOKING = """
import os, platform, sys, numpy
from scatter_job import Trained
assert numpy.__file__.startswith("/site/numpy/"), numpy.__file__
assert sys.executable == "/usr/bin/python3", sys.executable
print(sorted(os.listdir("/usr")), sorted(os.listdir("/usr/lib")), sorted(os.listdir("/lib64")))
def train(data, base, settings): return Trained({"w": numpy.ones(1, "f")}, 1)
"""
JOB = 'name="x"\nkind="train"\ntopic="x"\nruntime="numpy"\n[model]\nw={dtype="float32",shape=[1]}\n'


def build(name: str, folder: Path) -> BuiltRuntime:
    def make(root: Path) -> None:
        build_root(find_recipe(name), root)

    return keep_built(folder / name, make)


@pytest.fixture(scope="module")
def numpy_runtime(tmp_path_factory) -> PinnedRuntime:
    folder = tmp_path_factory.mktemp("runtimes")
    return PinnedRuntime(folder / "numpy", build("numpy", folder).digest)


@pytest.fixture(scope="module")
def torch_runtime(tmp_path_factory) -> PinnedRuntime:
    folder = tmp_path_factory.mktemp("runtimes")
    return PinnedRuntime(folder / "torch", build("torch", folder).digest)


@pytest.fixture
def small(tmp_path) -> PinnedRuntime:
    """A root with little in it, which nothing can run."""

    def make(root: Path) -> None:
        (root / "usr" / "bin").mkdir(parents=True)
        (root / "usr" / "bin" / "python3").write_text("no program")
        (root / "site" / "tool-1.0.dist-info").mkdir(parents=True)

    return PinnedRuntime(tmp_path / "small", keep_built(tmp_path / "small", make).digest)


def open_with(name: str, pinned: PinnedRuntime):
    open_for_test(name)
    return OPENERS[name](state_folder(name), open_built([pinned]))


def test_built_twice_it_is_the_same_to_the_last_byte(numpy_runtime, tmp_path):
    again = build("numpy", tmp_path)

    assert again.digest == numpy_runtime.digest
    verify(numpy_runtime)


def test_it_names_no_folder_of_this_machine(numpy_runtime):
    strange = [sys.base_prefix, sys.prefix, str(numpy_runtime.folder)]
    if any(len(place) < 6 for place in strange):
        strange = [str(numpy_runtime.folder)]
    for path in (numpy_runtime.folder / "root" / "site").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert [place for place in strange if place.encode() in content] == [], path


@pytest.mark.parametrize("name", WALLED)
def test_a_job_runs_in_it_and_sees_it_alone(numpy_runtime, name, tmp_path):
    for folder in ("job", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "job" / "job.toml").write_text(JOB)
    (tmp_path / "job" / "train.py").write_text(LOOKING)
    sandbox = open_with(name, numpy_runtime)
    version = f"python3.{sys.version_info.minor}"

    outcome = asyncio.run(
        sandbox.run(Task("train", tmp_path / "job", tmp_path / "data", tmp_path / "out"))
    )

    assert outcome.ok, outcome.log
    assert outcome.log.startswith(f"['bin', 'lib'] ['{version}'] ['ld-linux"), outcome.log


@pytest.mark.nightly
@pytest.mark.parametrize("name", WALLED)
def test_a_torch_job_trains_and_is_scored(torch_runtime, name, tmp_path):
    sandbox = open_with(name, torch_runtime)
    (tmp_path / "data").mkdir()
    limits = Limits(memory_bytes=2 << 30)

    async def train_and_score() -> int:
        trained, scored = tmp_path / "trained", tmp_path / "scored"
        task = Task("train", TORCH_JOBS / "train", tmp_path / "data", trained, limits=limits)
        outcome = await sandbox.run(task_in_torch(task))
        assert outcome.ok, outcome.log
        assert " 1 thread" in outcome.log
        models = {"model": trained / "model.safetensors"}
        task = Task("evaluate", TORCH_JOBS / "eval", tmp_path / "data", scored, models, limits)
        outcome = await sandbox.run(task_in_torch(task))
        assert outcome.ok, outcome.log
        return read_scores(scored / "scores.json", models)["model"]

    assert 8_500 < asyncio.run(train_and_score()) < 10_000


def task_in_torch(task: Task) -> Task:
    return Task(**{**vars(task), "runtime": "torch"})


@pytest.mark.needs_bubblewrap
def test_what_is_not_built_is_no_runtime(tmp_path):
    sandbox = open_for_test("bubblewrap")
    (tmp_path / "x").mkdir()
    task = Task("train", tmp_path / "x", tmp_path / "x", tmp_path / "out", runtime="torch")

    assert sandbox.runtimes == {"numpy"}
    with pytest.raises(BadInput, match="The runtime 'torch' is not installed here"):
        asyncio.run(sandbox.run(task))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "usr" / "bin" / "python3").write_text("No program"),
        lambda root: (root / "usr" / "more").touch(),
        lambda root: (root / "usr" / "bin" / "python3").chmod(0o755),
        lambda root: (root / "lib").symlink_to("/etc"),
        lambda root: shutil.rmtree(root / "site"),
    ],
)
def test_whatever_changes_in_it_is_seen(small, change):
    verify(small)

    change(small.folder / "root")

    with pytest.raises(BadInput, match=r"has the digest sha256:.*, not sha256:.*; build it again"):
        open_built([small])


def test_a_root_that_is_a_link_shows_nothing_of_the_machine(tmp_path):
    def make(root: Path) -> None:
        (root / "usr" / "bin").mkdir(parents=True)
        (root / "usr" / "bin" / "python3").touch()
        (root / "site").mkdir()
        (root / "lib").symlink_to("/etc")
        (root / "etc").symlink_to("/etc")

    built = keep_built(tmp_path / "sly", make)
    runtime = open_built([PinnedRuntime(tmp_path / "sly", built.digest)])["sly"]

    assert runtime.links == {"/lib": "/etc"}
    assert runtime.shown.keys() == {"/usr", "/site", "/site/scatter_job"}


def test_it_can_be_listed(small):
    (built,) = list_built(small.folder.parent)

    assert built == read_built(small.folder)
    assert (built.name, built.packages) == ("small", ("tool-1.0",))


def test_nothing_is_built_over_what_is_there_and_nothing_half_stays(small, tmp_path):
    with pytest.raises(BadInput, match="exists already"):
        keep_built(small.folder, lambda root: None)
    with pytest.raises(BadInput, match="has no usr/bin/python3"):
        keep_built(tmp_path / "empty", lambda root: root.mkdir())

    assert [path.name for path in tmp_path.iterdir()] == ["small"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("runtimes/torch", "is not FOLDER@sha256:DIGEST"),
        ("runtimes/torch@sha256:abc", "is not FOLDER@sha256:DIGEST"),
        (f"@sha256:{'0' * 64}", "is not FOLDER@sha256:DIGEST"),
        (f"runtimes/Torch 2@sha256:{'0' * 64}", "'Torch 2' cannot name a runtime"),
    ],
)
def test_a_pin_that_cannot_be_meant_is_refused(text, sentence):
    with pytest.raises(BadInput, match=sentence):
        read_pin(text, Path("/node"))


def test_a_runtime_without_a_recipe_is_a_sentence():
    with pytest.raises(BadInput, match="there is no recipe for 'jax'; there are: numpy, torch"):
        find_recipe("jax")


def test_a_package_that_cannot_be_had_is_a_sentence(tmp_path):
    (tmp_path / "requirements.txt").write_text("numpy==0.0.0.1\n")

    with pytest.raises(BuildFailed, match=r"pip could not install .*numpy==0.0.0.1"):
        build_root(tmp_path, tmp_path / "root")


class TestATarFile:
    """As `docker export` writes it, or somebody who pretends to be it."""

    @pytest.fixture
    def archive(self, tmp_path):
        def write(*entries: tuple[str, bytes | str]) -> Path:
            with tarfile.open(tmp_path / "root.tar", "w") as tar:
                for name, content in entries:
                    entry = tarfile.TarInfo(name)
                    if isinstance(content, str):
                        entry.type, entry.linkname = tarfile.SYMTYPE, content
                        tar.addfile(entry)
                    else:
                        entry.size, entry.mode = len(content), 0o6755
                        tar.addfile(entry, io.BytesIO(content))
            return tmp_path / "root.tar"

        return write

    def test_gives_its_libraries_and_packages_and_no_more(self, archive, tmp_path):
        file = archive(
            ("bin", "usr/bin"),
            ("lib", "usr/lib"),
            ("usr/local/bin/python3.11", b"python"),
            ("usr/local/bin/python3", "python3.11"),
            ("etc/passwd", b"root"),
            ("etc/ld.so.cache", b"cache"),
            ("root/.ssh/key", b"key"),
            ("site/numpy/__init__.py", b""),
        )

        built = keep_built(tmp_path / "numpy", lambda root: take_root(file, root))

        root = tmp_path / "numpy" / "root"
        assert sorted(path.name for path in root.iterdir()) == ["etc", "lib", "site", "usr"]
        assert [path.name for path in (root / "etc").iterdir()] == ["ld.so.cache"]
        assert (root / "usr/local/bin/python3.11").stat().st_mode & 0o7777 == 0o755
        runtime = open_built([PinnedRuntime(tmp_path / "numpy", built.digest)])["numpy"]
        assert runtime.python[0] == "/usr/local/bin/python3"
        assert runtime.links == {"/lib": "usr/lib"}

    @pytest.mark.parametrize(
        "entries",
        [
            [("usr/../../escaped", b"x")],
            [("usr/up", "../../.."), ("usr/up/escaped", b"x")],
            [("usr/up", "/tmp"), ("usr/up/escaped", b"x")],
        ],
    )
    def test_cannot_write_elsewhere(self, archive, tmp_path, entries):
        with pytest.raises(BuildFailed, match="cannot be taken as a root"):
            take_root(archive(*entries), tmp_path / "made" / "root")

        assert [*tmp_path.rglob("escaped")] == []
        assert not Path("/tmp/escaped").exists()

    def test_that_is_none_is_a_sentence(self, tmp_path):
        (tmp_path / "root.tar").write_text("no archive")

        with pytest.raises(BuildFailed, match="cannot be taken as a root"):
            take_root(tmp_path / "root.tar", tmp_path / "root")


class TestGpus:
    def test_are_passed_on_by_docker_alone(self, monkeypatch):
        with pytest.raises(SandboxUnavailable, match="bubblewrap: passes no GPU on"):
            open_sandbox(Isolation.NONE, prefer="bubblewrap", gpus=True)

    @pytest.mark.needs_docker
    @pytest.mark.skipif(bool(shutil.which("nvidia-smi")), reason="this machine may have one")
    def test_are_asked_of_the_engine_which_says_that_it_has_none(self):
        open_for_test("docker-runc")

        with pytest.raises(SandboxUnavailable, match="could not select device driver"):
            open_sandbox(Isolation.NONE, prefer="docker-runc", gpus=True)


def test_the_recipes_are_there_with_a_dockerfile():
    for name in ("numpy", "torch"):
        recipe = find_recipe(name)
        assert (recipe / "Dockerfile").read_text().count("\nFROM ") == 1
