"""A job is looked at in a process apart, which cannot take the node with it."""

import asyncio
from pathlib import Path

from scatter.adapters import inspection
from scatter.adapters.inspection import inspect_apart, inspect_apart_now
from scatter.learning.examples import find_examples
from scatter.learning.inspection import inspect_folder

DIGITS = find_examples() / "digits" / "digits-train"


def test_sees_what_is_seen_in_this_process(tmp_path: Path):
    (tmp_path / "train.py").write_text("import socket\n")

    for folder in (DIGITS, tmp_path):
        assert asyncio.run(inspect_apart(folder)) == inspect_folder(folder)


def test_a_folder_that_takes_too_long_is_unreadable():
    seen = inspect_apart_now(DIGITS, seconds=0.01)

    assert [one.concern for one in seen.suspicions] == ["unreadable"]
    assert seen.problem == "cannot be looked into within 0.01 s and 512 MB of memory"


def test_a_process_that_dies_or_says_nonsense_is_a_suspicion(monkeypatch):
    monkeypatch.setattr(inspection, "__name__", "json.tool")

    assert [one.concern for one in inspect_apart_now(DIGITS).suspicions] == ["unreadable"]
