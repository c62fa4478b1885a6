"""The mutation test finds places for its faults, and hides neither a survivor nor an old excuse."""

from pathlib import Path

import pytest
from mutation import __main__ as command
from mutation.mutants import Mutant, find_mutants
from mutation.outcomes import INVALID, Outcome, append_outcome, key, read_outcomes

SOURCE = '''# pragma version 0.4.3
"""A small contract."""
LIMIT: constant(uint256) = 64
held: HashMap[address, uint256[3]]
event Moved:
    amount: uint256

@external
def move(to: address, amount: uint256):
    """
    @notice Moves.
    """
    assert amount > 0, "nothing"
    if amount == LIMIT and self.held[to][1] <= 7:
        return
    self.held[to][2] = amount + 1
    self._tell(amount, min(LIMIT, amount))
    log Moved(amount=amount)

@internal
def _tell(first: uint256, second: uint256) -> bool:
    return False
'''


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "Small.vy").write_text(SOURCE)
    monkeypatch.setattr(command, "CONTRACTS", folder)
    return folder


@pytest.fixture
def excused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "excused.toml"
    path.write_text("excused = []\n")
    monkeypatch.setattr(command, "EXCUSED", path)
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def changes(contracts: Path, operator: str) -> list[str]:
    """What each mutant of one operator makes of its place."""
    return [m.change.split(" => ")[1] for m in find_mutants(contracts) if m.operator == operator]


def end_all_but(survivors: list[Mutant], contracts: Path, results: Path) -> list[Mutant]:
    """Writes down that a test noticed every mutant but these."""
    mutants = find_mutants(contracts)
    for mutant in mutants:
        killer = "" if mutant in survivors else "test_small.py::test_moves"
        append_outcome(results, Outcome(key(mutant, contracts), killer, 1.0))
    return mutants


def test_a_check_and_an_early_return_are_dropped(contracts):
    assert changes(contracts, "drop a check") == ["pass", "pass"]


def test_either_half_of_a_condition_is_dropped(contracts):
    assert changes(contracts, "drop a condition") == [
        "if (self.held[to][1] <= 7):",
        "if (amount == LIMIT):",
    ]


def test_every_comparison_is_swapped(contracts):
    assert changes(contracts, "swap a comparison") == [
        'assert amount >= 0, "nothing"',
        "if amount != LIMIT and self.held[to][1] <= 7:",
        "if amount == LIMIT and self.held[to][1] < 7:",
    ]


def test_every_operator_is_swapped(contracts):
    assert changes(contracts, "swap an operator") == [
        "if amount == LIMIT or self.held[to][1] <= 7:",
        "self.held[to][2] = amount - 1",
        "self._tell(amount, max(LIMIT, amount))",
    ]


def test_every_number_is_changed_but_those_of_a_type(contracts):
    assert changes(contracts, "change a constant") == [
        'assert amount > 1, "nothing"',
        "if amount == LIMIT and self.held[to][2] <= 7:",
        "if amount == LIMIT and self.held[to][1] <= 8:",
        "self.held[to][2] = amount + 2",
        "self.held[to][3] = amount + 1",
        "return True",
        "LIMIT: constant(uint256) = 65",
    ]


def test_every_assignment_call_and_event_is_skipped(contracts):
    skipped = [m.before for m in find_mutants(contracts) if m.operator == "skip an update"]
    assert skipped == [
        "self.held[to][2] = amount + 1",
        "log Moved(amount=amount)",
        "self._tell(amount, min(LIMIT, amount))",
    ]


def test_arguments_change_places_but_not_those_of_min(contracts):
    assert changes(contracts, "swap arguments") == ["self._tell(min(LIMIT, amount), amount)"]


def test_a_mutant_changes_its_place_and_nothing_else(contracts):
    (mutant,) = (
        m for m in find_mutants(contracts) if m.change.endswith("LIMIT or self.held[to][1] <= 7:")
    )

    assert mutant.apply(SOURCE) == SOURCE.replace("LIMIT and", "LIMIT or")


def test_places_that_read_the_same_have_names_of_their_own(contracts):
    line = '    assert amount > 0, "nothing"\n'
    (contracts / "Small.vy").write_text(SOURCE.replace(line, 2 * line))
    names = [m.name for m in find_mutants(contracts)]

    assert len(set(names)) == len(names)


def test_nothing_is_wrong_when_every_mutant_is_noticed(contracts, excused, results, capsys):
    mutants = end_all_but([], contracts, results)

    assert command.report(mutants, mutants, results) == 0
    assert f"all{len(mutants):23} tried{len(mutants):6} killed" in capsys.readouterr().out


def test_a_survivor_is_reported_with_its_place(contracts, excused, results, capsys):
    survivor = find_mutants(contracts)[0]
    mutants = end_all_but([survivor], contracts, results)

    assert command.report(mutants, mutants, results) == 1
    assert f"Small.vy:13 survived: {survivor.name}" in capsys.readouterr().out


def test_one_in_twenty_may_be_excused_and_not_two(contracts, excused, results, capsys):
    first, second, *_ = find_mutants(contracts)
    mutants = end_all_but([first, second], contracts, results)
    excuse = "[[excused]]\nmutant = '''{}'''\nreason = 'So.'\n"
    assert len(mutants) == 21

    excused.write_text(excuse.format(first.name) + excuse.format(second.name))
    assert command.report(mutants, mutants, results) == 1
    said = capsys.readouterr().out
    assert "survived:" not in said
    assert "19 of 21 killed; at least 95 % must be" in said

    append_outcome(results, Outcome(key(second, contracts), "test_small.py::test_moves", 1.0))
    excused.write_text(excuse.format(first.name))
    assert command.report(mutants, mutants, results) == 0


@pytest.mark.parametrize("more", [[], ["--again"]])
def test_a_run_that_has_tried_everything_only_reports(
    contracts, excused, results, monkeypatch, capsys, more
):
    mutants = end_all_but([], contracts, results)
    monkeypatch.setattr("sys.argv", ["mutation", "--results", str(results), *more])

    assert command.main() == 0
    assert f"{len(mutants)} mutants, 0 to try" in capsys.readouterr().out


def test_an_excuse_for_a_mutant_that_is_gone_is_wrong(contracts, excused, results, capsys):
    mutants = end_all_but([], contracts, results)
    excused.write_text("[[excused]]\nmutant = 'Small.vy gone'\nreason = 'So.'\n")

    assert command.report(mutants, mutants, results) == 1
    assert "there is no such mutant any more: Small.vy gone" in capsys.readouterr().out


def test_an_excuse_for_a_mutant_that_is_noticed_is_wrong(contracts, excused, results, capsys):
    mutants = end_all_but([], contracts, results)
    excused.write_text(f"[[excused]]\nmutant = '''{mutants[0].name}'''\nreason = 'So.'\n")

    assert command.report(mutants, mutants, results) == 1
    assert "excused, but noticed by test_small.py::test_moves" in capsys.readouterr().out


def test_what_does_not_compile_is_nobodys_merit(contracts, excused, results, capsys):
    mutants = find_mutants(contracts)
    for mutant in mutants:
        append_outcome(results, Outcome(key(mutant, contracts), INVALID, 1.0))

    assert command.report(mutants, mutants, results) == 1
    assert "0 of 0 killed" in capsys.readouterr().out


def test_an_outcome_is_forgotten_when_its_contract_changes(contracts, results):
    mutant = find_mutants(contracts)[0]
    end_all_but([], contracts, results)
    assert key(mutant, contracts) in read_outcomes(results)

    (contracts / "Small.vy").write_text(SOURCE + "\n")

    assert key(mutant, contracts) not in read_outcomes(results)
