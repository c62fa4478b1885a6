"""The benchmarks can be run, and their table says rightly what was met."""

import io
from pathlib import Path

import pytest
from benchmarks import __main__ as command
from benchmarks.figures import Figures, Row, at_least, at_most, one, rates, ratio_at_most
from benchmarks.table import Machine, as_json, as_table, show_number
from rich.console import Console

HERE = Path(command.__file__).parent
MACHINE = Machine(cores=2, load=0.1, python="3.11", system="Linux", files="/files")


@pytest.mark.parametrize("name", [*command.NAMES, *command.LONG])
def test_every_benchmark_can_be_run_by_its_name(name):
    assert callable(command.load(name))


def test_no_benchmark_is_left_out():
    measuring = {path.stem for path in HERE.glob("*.py") if "\ndef measure(" in path.read_text()}

    assert measuring == {*command.NAMES, *command.LONG}


def test_an_absolute_target_bounds_the_median():
    disturbed = Figures((1.0, 5.0, 6.0))

    assert Row("", "s", disturbed, target=at_most(5)).verdict == "met"
    assert Row("", "s", disturbed, target=at_most(4)).verdict == "missed"


def test_more_is_better_for_a_rate():
    rate = rates(100, [1.0, 2.0, 4.0])

    assert (rate.median, rate.best) == (50, 100)
    assert Row("", "MB/s", rate, target=at_least(51)).verdict == "missed"


def test_a_ratio_compares_the_best_of_both():
    row = Row("", "s", Figures((1, 9)), "peer", Figures((10, 20)), ratio_at_most(0.1))

    assert (row.ratio, row.verdict) == (0.1, "met")


def test_without_the_peer_nobody_knows():
    assert Row("", "s", one(1), "peer absent", target=ratio_at_most(0.1)).verdict == "unknown"
    assert Row("", "s", None, target=at_most(1)).verdict == "unknown"
    assert Row("", "s", one(1)).verdict == ""


def test_the_table_shows_figures_units_and_verdict():
    rows = [
        Row("averaging", "s", Figures((0.1, 0.3)), "Flower", one(2), ratio_at_most(0.15)),
        Row("deployment", "gas", one(10_433_996), target=at_most(8_000_000)),
    ]
    console = Console(file=io.StringIO(), width=120)
    console.print(as_table(rows))
    _, first, second = console.file.getvalue().splitlines()

    assert " ".join(first.split()) == "averaging s 0.2 0.1 Flower 2 0.05 ratio <= 0.15 met"
    assert " ".join(second.split()) == "deployment gas 10,433,996 <= 8,000,000 missed"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (0.12345, "0.123"), (12.34, "12.3"), (123.4, "123"), (12_345.6, "12,346")],
)
def test_numbers_have_the_digits_that_count(value, shown):
    assert show_number(value) == shown


def test_json_holds_every_single_value():
    found = as_json(MACHINE, [Row("x", "s", Figures((1, 2)), target=at_most(2))], ["y failed"])

    assert found["rows"][0]["ours"]["values"] == (1, 2)
    assert found["rows"][0]["verdict"] == "met"
    assert (found["machine"]["cores"], found["failures"]) == (2, ["y failed"])
