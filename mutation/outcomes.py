"""What became of the mutants: the file of results, the excuses, and the table."""

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mutation.mutants import Mutant

INVALID: Final = "does not compile"
"""Instead of a test's name. Such a mutant is nobody's merit, and counted nowhere."""

LEAST_KILLED: Final = 95
"""Per cent."""


@dataclass(frozen=True)
class Outcome:
    """How one trial ended."""

    key: str
    """What it belongs to: the mutant, and the source that it changes."""
    killer: str
    """The test that noticed it, or ""."""
    seconds: float


def key(mutant: Mutant, contracts: Path) -> str:
    source = (contracts / mutant.file).read_bytes()
    return f"{hashlib.sha256(source).hexdigest()[:16]} {mutant.name}"


def append_outcome(path: Path, outcome: Outcome) -> None:
    with path.open("a") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def read_outcomes(path: Path) -> dict[str, Outcome]:
    """By key. The last word counts."""
    lines = path.read_text().splitlines() if path.exists() else []
    outcomes = (Outcome(**json.loads(line)) for line in lines)
    return {outcome.key: outcome for outcome in outcomes}


def read_excuses(path: Path) -> dict[str, str]:
    """By the mutant's name: why nobody could notice it."""
    return {e["mutant"]: e["reason"] for e in tomllib.loads(path.read_text()).get("excused", [])}


def find_faults(
    mutants: Iterable[Mutant], outcomes: Mapping[str, Outcome], excuses: Mapping[str, str]
) -> Iterator[str]:
    """Everything that is not as it should be; `outcomes` by the mutant's name."""
    every = {m.name: m for m in mutants}
    for name in excuses:
        if name not in every:
            yield f"excused, but there is no such mutant any more: {name}"
    tried = {n: o for n, o in outcomes.items() if n in every and o.killer != INVALID}
    for name, outcome in tried.items():
        if outcome.killer and name in excuses:
            yield f"excused, but noticed by {outcome.killer}: {name}"
        if not outcome.killer and name not in excuses:
            yield f"contracts/{every[name].file}:{every[name].line} survived: {name}"
    killed = sum(1 for outcome in tried.values() if outcome.killer)
    if not tried or 100 * killed < LEAST_KILLED * len(tried):
        yield f"{killed} of {len(tried)} killed; at least {LEAST_KILLED} % must be"


def show_table(
    mutants: Iterable[Mutant], outcomes: Mapping[str, Outcome], excuses: Mapping[str, str]
) -> Iterator[str]:
    """One line for each operator, for all of them, and for each file of tests."""
    fates: dict[str, Counter[str]] = {}
    kills: Counter[str] = Counter()
    for mutant in mutants:
        outcome = outcomes.get(mutant.name)
        if outcome is None:
            continue
        fate = _fate(mutant, outcome, excuses)
        fates.setdefault(mutant.operator, Counter())[fate] += 1
        if fate == "killed":
            kills[outcome.killer.split("::")[0]] += 1
    for operator, counts in [*sorted(fates.items()), ("all", sum(fates.values(), Counter()))]:
        yield _row(operator, counts)
    for file, count in kills.most_common():
        yield f"{count:6} killed by {file}"


def _fate(mutant: Mutant, outcome: Outcome, excuses: Mapping[str, str]) -> str:
    if outcome.killer:
        return "invalid" if outcome.killer == INVALID else "killed"
    return "excused" if mutant.name in excuses else "survived"


def _row(name: str, counts: Counter[str]) -> str:
    tried = counts["killed"] + counts["excused"] + counts["survived"]
    share = 100 * counts["killed"] / max(tried, 1)
    parts = "".join(f"{counts[fate]:6} {fate}" for fate in ("killed", "excused", "survived"))
    return f"{name:20}{tried:6} tried{parts}  {share:5.1f} %  ({counts['invalid']} do not compile)"
