"""Writes the table of docs/attacks.md anew from what `scatter attacks` measures: `make attacks`.

A test plays the attacks once more and compares.
"""

from pathlib import Path

from scatter.mechanism.parameters import PROFILES
from scatter.simulation.attacks.measuring import Measured, measure_all
from scatter.simulation.attacks.table import as_markdown
from scatter.simulation.runs import Ground

PAGE = Path(__file__).parents[1] / "docs" / "attacks.md"
BEGIN, END = "<!-- measured -->\n\n", "\n<!-- end of what was measured -->"


def play() -> list[Measured]:
    """Every attack under both profiles, on the contracts."""
    return measure_all(list(PROFILES), Ground.CONTRACTS, lambda name, done: None)


def put_into(page: str, found: list[Measured]) -> str:
    """The page with the table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{as_markdown(found)}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(put_into(PAGE.read_text(), play()))
