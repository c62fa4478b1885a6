"""What `scatter simulate` and `scatter sweep` print and write."""

import csv
import json
import os
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.test_economy import MIXED, run

from scatter.cli.application import run as run_command
from scatter.economy.series import Kind
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import UNIT
from scatter.simulation.figures import MOST_NAMED, UNNUMBERED, draw_figures
from scatter.simulation.paper import SCENARIOS
from scatter.simulation.processes import WorkerLost, open_pool
from scatter.simulation.records import COLUMNS, write_records
from scatter.simulation.runs import Ground, Task, play_all, read_ground

LIAR = replace(SCENARIOS["malicious-validators"], jobs=3)


@pytest.fixture
def scatter(capsys):
    """Runs one command; returns its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run_command([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


class TestRecords:
    def test_the_series_holds_every_curve_exactly(self, tmp_path):
        played = run(LIAR)
        write_records(tmp_path, played)

        with (tmp_path / "series.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == list(COLUMNS)
        for (kind, name), points in played.series.curves.items():
            written = [
                (int(row["block"]), int(Decimal(row["tokens"]) * UNIT))
                for row in rows
                if (row["kind"], row["name"]) == (kind.value, name)
            ]
            assert written == [(point.block, point.tokens) for point in points]

    def test_the_summary_is_the_end_of_the_series(self, tmp_path):
        played = run(LIAR)
        write_records(tmp_path, played)

        summary = json.loads((tmp_path / "summary.json").read_text())

        for node in summary["nodes"]:
            last = played.series.values(Kind.BALANCE, node["name"])[-1]
            assert Decimal(node["balance"]) * UNIT == last
        assert [fine["stake_left"] for fine in summary["penalties"]] == ["24800", "24400", "23600"]
        assert [win["name"] for win in summary["lottery_won"]] == ["challenger 1"] * 3
        assert summary["verdicts"] == {"normal": 3}


class TestFigures:
    def test_every_node_has_its_line_and_the_axes_are_the_papers(self, tmp_path):
        played = run(LIAR)
        draw_figures(tmp_path, played, ("supplies", "stakes", "lottery"))

        supplies = (tmp_path / "supplies.svg").read_text()
        for node in played.outcome.nodes:
            assert node.name in supplies
        assert "validator 3 (malicious)" in supplies
        for axis in ("Time (block number)", "Scatter token supply", "initial supply"):
            assert axis in supplies
        assert "Validator stake" in (tmp_path / "stakes.svg").read_text()
        assert "Lottery supply" in (tmp_path / "lottery.svg").read_text()

    def test_the_same_run_gives_the_same_bytes(self, tmp_path):
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            draw_figures(tmp_path / folder, run(LIAR), UNNUMBERED)

        files = sorted(path.name for path in (tmp_path / "one").iterdir())
        assert len(files) == 6
        for name in files:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()

    def test_of_many_nodes_only_the_kinds_are_named(self, tmp_path):
        played = run(MIXED)
        assert len(played.outcome.of("trainer")) > MOST_NAMED
        draw_figures(tmp_path, played, ("supplies", "", ""))

        picture = (tmp_path / "supplies.svg").read_text()

        assert "trainer 1" not in picture
        assert ">honest<" in picture
        assert ">malicious<" in picture

    def test_an_empty_name_leaves_a_picture_out(self, tmp_path):
        draw_figures(tmp_path, run(LIAR), ("", "", "lottery"))

        assert sorted(path.name for path in tmp_path.iterdir()) == ["lottery.png", "lottery.svg"]


class TestRuns:
    def test_several_at_once_are_what_each_is_alone(self):
        scenarios = [LIAR, replace(MIXED, jobs=3)]
        told: list[tuple[str, int]] = []

        runs = play_all(
            [Task(scenario, Ground.SPECIFICATION) for scenario in scenarios],
            lambda name, job: told.append((name, job)),
        )

        assert [played.outcome for played in runs] == [run(one).outcome for one in scenarios]
        assert set(told) == {(one.name, job) for one in scenarios for job in (1, 2, 3)}

    def test_a_process_that_dies_is_told_in_a_sentence(self):
        with pytest.raises(WorkerLost, match="was ended from outside"), open_pool(1) as pool:
            pool.submit(os._exit, 1).result()

    def test_only_two_grounds_are_known(self):
        with pytest.raises(BadInput, match="--on is 'paper'"):
            read_ground("paper")


class TestCommands:
    def test_simulate_prints_who_gained_and_which_claims_are_kept(self, scatter):
        code, out, _ = scatter("simulate", "malicious-validators", "--on", "specification")

        assert code == 0
        assert "validator, malicious" in out
        assert "9 of 9 claims are kept." in out
        assert "BROKEN" not in out

    def test_simulate_prints_json_alone(self, scatter):
        code, out, _ = scatter("simulate", "benevolent", "--on", "specification", "--json")

        shown = json.loads(out)
        assert code == 0
        assert [scenario["scenario"] for scenario in shown["scenarios"]] == ["benevolent"]
        assert {claim["kept"] for claim in shown["claims"]} == {True}

    def test_a_scenario_of_ones_own_is_played_on_the_contracts(self, scatter, tmp_path):
        (tmp_path / "mine.toml").write_text("jobs = 1\n[trainers]\ncount = 1\n")

        code, out, _ = scatter("simulate", tmp_path / "mine.toml", "--out", tmp_path / "figures")

        assert code == 0
        assert "claims" not in out
        assert {path.name for path in (tmp_path / "figures" / "mine").iterdir()} == {
            *("series.csv", "summary.json"),
            *(f"{name}.{suffix}" for name in UNNUMBERED for suffix in ("png", "svg")),
        }

    def test_numbers_on_the_command_line_go_first(self, scatter):
        options = ("--on", "specification", "--json", "--jobs", "2", "--seed", "9")

        _, out, _ = scatter("simulate", "benevolent", *options)

        (summary,) = json.loads(out)["scenarios"]
        assert (summary["jobs"], summary["seed"]) == (2, 9)

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("simulate", "benign"), "There is no scenario 'benign'"),
            (("simulate", "absent.toml"), "absent.toml cannot be read"),
            (("simulate", "benevolent", "benevolent"), "Two scenarios are called benevolent"),
            (("simulate", "--on", "paper"), "--on is 'paper'"),
            (("simulate", "--jobs", "0"), "jobs must be from 1"),
            (("simulate", "--out", __file__), "cannot be made: File exists"),
            (("sweep", "jobs=1", "--out", __file__), "cannot be made: File exists"),
            (("sweep", "jobs"), "write it as KEY=VALUE"),
            (("sweep", "jobs=1", "seed=1", "seed=2"), "one or two can be varied at once"),
            (("sweep", "malice=0:1"), "there is no key malice"),
            (("sweep", "jobs=1", "--scenario", "absent.toml"), "absent.toml cannot be read"),
        ],
    )
    def test_a_mistake_is_one_sentence(self, scatter, words, sentence):
        code, out, err = scatter(*words)

        assert (code, out) == (1, "")
        assert sentence in err
        assert err.count("\n") == 1

    @pytest.mark.parametrize("words", [("simulate", "benevolent"), ("sweep", "jobs=1,2")])
    def test_without_matplotlib_pictures_are_refused_before_anything_is_played(
        self, scatter, monkeypatch, tmp_path, words
    ):
        monkeypatch.setitem(sys.modules, "matplotlib", None)

        code, out, err = scatter(*words, "--out", tmp_path / "out")

        assert (code, out) == (1, "")
        assert "make .venv/.sim" in err
        assert not (tmp_path / "out").exists()

    def test_sweep_prints_a_table_or_json(self, scatter, tmp_path):
        (tmp_path / "s.toml").write_text("[validators]\ncount = 3\n")
        words = ("sweep", "validators.malicious=0,1", "--scenario", tmp_path / "s.toml")
        short = ("--jobs", "2", "--seeds", "1")

        code, table, _ = scatter(*words, *short)
        _, out, _ = scatter(*words, *short, "--json", "--out", tmp_path / "out")

        assert code == 0
        assert "4 jobs on the specification." in table
        assert "validators by validators.malicious: cheating never pays as much" in table
        assert {point["validators.malicious"] for point in json.loads(out)["points"]} == {"0", "1"}
        assert (tmp_path / "out" / "break-even.png").exists()

    @pytest.mark.nightly
    def test_the_page_shows_what_the_sweep_in_it_says(self, scatter):
        page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()

        _, out, _ = scatter("sweep", "malicious=0:0.9:0.1")

        lines = [line for line in out.splitlines() if " by malicious: " in line]
        assert len(lines) == 3
        assert [line for line in lines if line not in page] == []
