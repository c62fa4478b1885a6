"""What the README says that the demo prints, for tests that know what it should print."""

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"

_ROW = re.compile(r"(\S.*?)  +([\d,.]+)  +([\d,.]+)  +([+-][\d,.]+)(?:  (\S.*))?")
_SCORE = re.compile(r"(\S.*?)  +([01]\.\d{3})")


@dataclass(frozen=True)
class Row:
    """One participant's line, in the words of the screen."""

    before: str
    after: str
    change: str
    why: str
    """Its first line."""


def printed(number: int = 0) -> list[str]:
    """The lines of the README's n-th quoted output: 0 of `make demo`, 1 of a lying validator."""
    return re.findall(r"^```text\n(.*?)^```", README.read_text(), re.M | re.S)[number].splitlines()


def readme_table(number: int = 0) -> dict[str, Row]:
    """The rows of the first table by name; `(cheats)` is part of a name."""
    rows = (_ROW.fullmatch(line) for line in printed(number))
    return {row[1]: Row(*row.groups("")[1:]) for row in rows if row}


def readme_accuracies() -> dict[str, str]:
    """The rows of the second table by name."""
    rows = (_SCORE.fullmatch(line) for line in printed())
    return {row[1]: row[2] for row in rows if row}
