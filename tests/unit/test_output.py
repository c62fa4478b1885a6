"""Tables on a narrow terminal, and in a file."""

import pytest

from scatter.cli import output

ACCOUNT = "0x" + "5a" * 20
ROW = [ACCOUNT, "1,000 tokens", "baf" + "k" * 56, "refrained, and said at length why it did so"]


def test_a_row_that_a_program_reads_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table("Trainers", ["account", "stake", "model", "note"], [ROW])

    line = next(line for line in capsys.readouterr().out.splitlines() if ACCOUNT in line)
    assert all(cell in line for cell in ROW)


def test_an_account_can_be_copied_from_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "WIDEST_ROW", 80)

    output.show_table("Trainers", ["account", "stake", "model", "note"], [ROW])

    written = capsys.readouterr().out
    assert ACCOUNT in written
    assert max(map(len, written.splitlines())) <= 80
