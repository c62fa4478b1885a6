"""`scatter demo` and `scatter gas` as a person meets them: refusals, tables."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scatter.demo.cast import DemoOptions
from scatter.demo.folder import MARK, FolderTaken, claim_folder
from scatter.demo.play import LEAST_CHALLENGE_SECONDS, challenge_seconds
from scatter.mechanism.errors import BadInput

ROOT = Path(__file__).parents[2]
SCATTER = [sys.executable, "-c", "from scatter.cli import main; main()"]


def start(*arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "SCATTER_ANVIL": ""}
    return subprocess.Popen(
        [*SCATTER, *map(str, arguments)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


class TestFolder:
    def test_is_made_and_marked(self, tmp_path: Path) -> None:
        with claim_folder(tmp_path / "new" / "out"):
            assert (tmp_path / "new" / "out" / MARK).exists()

    def test_is_emptied_of_what_a_demo_left(self, tmp_path: Path) -> None:
        with claim_folder(tmp_path):
            (tmp_path / "nodes").mkdir()
            (tmp_path / "report.json").touch()

        with claim_folder(tmp_path):
            assert [entry.name for entry in tmp_path.iterdir()] == [MARK]

    @pytest.mark.parametrize("name", ["thesis.tex", "nodes"])
    def test_that_no_demo_made_is_left_alone(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()

        with pytest.raises(FolderTaken, match=name), claim_folder(tmp_path):
            pass
        assert [entry.name for entry in tmp_path.iterdir()] == [name]

    def test_with_a_strange_file_among_a_demo_s_is_left_alone(self, tmp_path: Path) -> None:
        with claim_folder(tmp_path):
            (tmp_path / "nodes").mkdir()
        (tmp_path / "thesis.tex").touch()

        with pytest.raises(FolderTaken, match=r"thesis\.tex"), claim_folder(tmp_path):
            pass
        assert (tmp_path / "nodes").exists()

    def test_in_which_another_demo_runs_is_refused(self, tmp_path: Path) -> None:
        with (tmp_path / MARK).open("a") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX)

            with pytest.raises(FolderTaken, match="Another demo"), claim_folder(tmp_path):
                pass

    def test_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "out").touch()

        with pytest.raises(FolderTaken, match="folder"), claim_folder(tmp_path / "out"):
            pass


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "word"),
        [
            ({"trainers": 65}, "--trainers"),
            ({"validators": 0}, "--validators"),
            ({"challengers": 33}, "--challengers"),
            ({"malicious": {"requester": 1}}, "requester"),
            ({"malicious": {"validator": 4}}, "validator=4"),
            ({"trainers": 1, "malicious": {"trainer": 1}}, "honest"),
            ({"jobs": 0}, "--jobs"),
            ({"seed": -1}, "--seed"),
        ],
    )
    def test_out_of_bounds_are_refused_by_name(self, options: dict[str, int], word: str) -> None:
        with pytest.raises(BadInput, match=word):
            DemoOptions(**options)  # type: ignore[arg-type]


class TestWindow:
    def test_is_the_least_on_a_usual_machine(self) -> None:
        assert challenge_seconds(0.8, 2, 2) == LEAST_CHALLENGE_SECONDS

    def test_grows_with_the_time_of_an_evaluation(self) -> None:
        assert challenge_seconds(5.0, 2, 2) == 54

    def test_grows_with_the_challengers_that_share_a_core(self) -> None:
        assert challenge_seconds(1.0, 32, 2) == 164


def test_a_strange_folder_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    demo = start("demo", "--out", tmp_path)

    _, said = demo.communicate(timeout=60)

    assert demo.returncode == 1
    assert "thesis.tex" in said
    assert said.count("\n") == 1
