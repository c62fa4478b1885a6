"""Writes the table of docs/attacks.md anew from what `scatter attacks` measures: `make attacks`.

A test plays the attacks once more and compares.
"""

from pathlib import Path

from tools.measured import put_between

from scatter.mechanism.parameters import PROFILES
from scatter.simulation.attacks.measuring import Measured, measure_all
from scatter.simulation.attacks.table import as_markdown
from scatter.simulation.runs import Ground

PAGE = Path(__file__).parents[1] / "docs" / "attacks.md"


def play() -> list[Measured]:
    """Every attack under both profiles, on the contracts."""
    return measure_all(list(PROFILES), Ground.CONTRACTS, lambda name, done: None)


def put_into(page: str, found: list[Measured]) -> str:
    """The page with the table of what was found."""
    return put_between(page, as_markdown(found))


if __name__ == "__main__":
    PAGE.write_text(put_into(PAGE.read_text(), play()))
