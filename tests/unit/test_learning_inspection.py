"""A job is looked at without running anything of it: what is odd is found, with its line."""

import os
from pathlib import Path

import pytest

from scatter.cli.scaffold import write_job
from scatter.learning.examples import find_examples
from scatter.learning.inspection import (
    MOST_FILES,
    MOST_SOURCE_BYTES,
    MOST_SUSPICIONS,
    inspect_folder,
)
from scatter.learning.suspicions import Concern, look_at_source

JOB = 'name="x"\nkind="train"\ntopic="x"\nruntime="torch"\n[model]\nw={dtype="float32",shape=[1]}\n'

TOO_MANY = "has more than 1000 files, or folders in folders"


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "job.toml").write_text(JOB)
    (tmp_path / "train.py").write_text("def train(data, base, settings): ...\n")
    return tmp_path


def seen_in(source: str) -> list[tuple[int, str, str]]:
    found, _ = look_at_source("train.py", source.encode())
    return [(one.line, one.concern, one.what) for one in found]


@pytest.mark.parametrize(
    ("code", "concern", "what"),
    [
        ("import socket", "network", "import socket"),
        ("from urllib import request", "network", "import urllib"),
        ("import torch.distributed as d", "network", "import torch.distributed"),
        ("send('http://example.org/x')", "network", 'the address in "http://example.org/x"'),
        ("send(b'192.0.2.1')", "network", 'the address in "192.0.2.1"'),
        ("import os as o; o.system('ls')", "processes", "os.system"),
        ("from os import fork as f; f()", "processes", "import os.fork"),
        ("import os; getattr(os, 'fork')()", "processes", "os.fork"),
        ("import subprocess", "processes", "import subprocess"),
        ("import ctypes.util", "native code", "import ctypes"),
        ("import numpy as np; np.ctypeslib.load_library('x')", "native code", "numpy.ctypeslib"),
        ("__import__('ctypes')", "native code", "import ctypes"),
        ("eval('1')", "dynamic code", "eval"),
        ("run = exec", "dynamic code", "exec"),
        ("𝐞𝐯𝐚𝐥('1')", "dynamic code", "eval"),
        ("import pickle", "dynamic code", "import pickle"),
        ("import torch; torch.load('x')", "dynamic code", "torch.load"),
        ("import numpy as np; np.load('x', allow_pickle=flag)", "dynamic code", "allow_pickle"),
        ("().__class__.__bases__[0]", "dynamic code", ".__bases__"),
        ("pick('__subclasses__')", "dynamic code", '"__subclasses__"'),
        ("getattr(x, 'sys' + 'tem')", "dynamic code", "getattr with a computed name"),
        ("exec(decode(x))", "hidden code", "exec of a text that it decodes"),
        ("exec(x + y)", "hidden code", "exec of a text that it computes"),
        ("x = '" + "QUJD" * 40 + "'", "hidden code", "160 characters that look encoded"),
        ("x = ('" + "00" * 40 + "'\n'" + "11" * 40 + "')", "hidden code", "160 characters that"),
        (f"x = {bytes(range(256))!r}", "hidden code", "256 bytes that are no text"),
        (f"x = bytes({list(range(64))})", "hidden code", "64 bytes as numbers"),
        ("x = 1" + " " * 1000 + "; y = 2", "hidden code", "a line of 1012 characters"),
        ("x = 1  # \u202e", "hidden code", "a character that is not seen: RIGHT-TO-LEFT OVERRIDE"),
        ("оs = 1", "hidden code", "a name in other letters: оs"),
        ("import base64", "hidden code", "import base64"),
        ("import os; os.environ", "the machine", "os.environ"),
        ("open('/etc/passwd')", "the machine", 'the path "/etc/passwd"'),
        ("x = (", "unreadable", "is not Python that can be read here: SyntaxError"),
    ],
)
def test_finds_with_its_line(code, concern, what):
    found = seen_in(f"# a line before\n{code}\n")

    assert 2 in [one[0] for one in found if one[1] == concern and one[2].startswith(what)]


@pytest.mark.parametrize(
    "code",
    [
        "import numpy as np\nfrom pathlib import Path\nfrom scatter_job import Trained",
        "import re; re.compile('x'); model.compile(); self.eval()",
        "np.load(data / 'x.npz', allow_pickle=False)",
        "getattr(settings, 'rate', 0.1)",
        "from . import own",
        '"""A docstring of some length, that says what the job is for, at 0.5 of the rate."""',
        "print('loss', 1.5, '/', 'a/b', 'out of 10.0')",
    ],
)
def test_finds_nothing_in_what_jobs_do(code):
    assert seen_in(code) == []


def test_finds_nothing_in_the_jobs_that_come_with_it(tmp_path):
    digits = find_examples() / "digits"
    written = write_job(tmp_path / "new", "my-topic", 2)
    for folder in (digits / "digits-train", digits / "digits-eval", *list(written.values())[:2]):
        seen = inspect_folder(folder)

        assert seen.suspicions == ()
        assert seen.description is not None
        assert {"numpy"} <= set(seen.imports)


def test_runs_nothing(folder):
    (folder / "train.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")

    inspect_folder(folder)

    assert not (folder / "ran").exists()


def test_says_what_the_job_asks_for_whatever_its_runtime(folder):
    seen = inspect_folder(folder)

    assert seen.description is not None
    assert (seen.description.runtime, seen.description.limits.memory_mb) == ("torch", 1024)
    assert [(one.name, one.size) for one in seen.files] == [
        ("job.toml", len(JOB)),
        ("train.py", 37),
    ]


def test_says_why_there_is_no_description(folder):
    (folder / "job.toml").write_text("name = ")

    assert inspect_folder(folder).problem.startswith("job.toml is not valid TOML")


@pytest.mark.parametrize(
    ("name", "content", "concern", "what"),
    [
        ("a.py", b"\xff\xfe", "unreadable", "is not Python that can be read here"),
        ("a.py", b"x = 1\0", "unreadable", "is not Python that can be read here"),
        ("a.py", b"-" * 200_000 + b"1", "unreadable", "is not Python that can be read here"),
        ("a.py", b"#" * (MOST_SOURCE_BYTES + 1), "unreadable", "has 262145 bytes"),
        ("tool", b"\x7fELF....", "native code", "begins like a program"),
        ("tool.txt", b"#!/bin/sh", "native code", "begins like a script"),
        ("w.json", b"\x80\x04x", "native code", "begins like a pickle"),
        ("more.so", b"x", "hidden code", "is of a kind that no job needs"),
        ("random.py", b"", "dynamic code", "takes the place of the module random"),
        ("numpy/__init__.py", b"", "dynamic code", "takes the place of the module numpy"),
    ],
)
def test_finds_odd_files(folder, name, content, concern, what):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)

    (found,) = inspect_folder(folder).suspicions

    assert (found.file, found.concern) == (name, concern)
    assert found.what.startswith(what)


def test_follows_no_link_and_opens_no_pipe(folder):
    (folder / "link.py").symlink_to("/etc/passwd")
    (folder / "out").symlink_to("/")
    os.mkfifo(folder / "pipe.py")

    found = inspect_folder(folder).suspicions

    assert [(one.file, one.what) for one in found] == [
        (name, "is a link, a pipe or a device") for name in ("link.py", "out", "pipe.py")
    ]


def test_a_strangers_names_are_fit_to_be_shown(folder):
    (folder / "\x1b[31m.py").write_text("open('/etc/\x1b[2J')\n")

    seen = inspect_folder(folder)

    assert "\N{REPLACEMENT CHARACTER}[31m.py" in [one.name for one in seen.files]
    assert all(one.what.isprintable() and len(one.what) <= 100 for one in seen.suspicions)


def test_what_it_says_is_bounded(folder):
    for number in range(1_200):
        (folder / f"{number}.txt").touch()

    seen = inspect_folder(folder)

    assert len(seen.files) == MOST_FILES
    assert [one.what for one in seen.suspicions] == [TOO_MANY]


def test_folders_in_folders_have_an_end(folder):
    deep = folder.joinpath(*"abcdefghijklmnopq")
    deep.mkdir(parents=True)
    (deep / "a.py").touch()

    assert [one.what for one in inspect_folder(folder).suspicions] == [TOO_MANY]


def test_a_thousand_places_are_counted_and_some_shown(folder):
    (folder / "train.py").write_text("import socket\n" * 1_000)

    seen = inspect_folder(folder)

    assert (len(seen.suspicions), seen.left_out) == (MOST_SUSPICIONS, 800)
    assert {one.concern for one in seen.suspicions} == {Concern.NETWORK}


def test_all_the_sources_together_are_bounded(folder):
    for number in range(6):
        (folder / f"{number}.py").write_text("#\n" * (MOST_SOURCE_BYTES // 2))

    unread = [one.file for one in inspect_folder(folder).suspicions]

    assert unread == ["4.py", "5.py", "train.py"]
