"""What was measured, as one table: for a terminal, for a page, for a program."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from scatter.mechanism.units import UNIT
from scatter.node.amounts import show_tokens
from scatter.simulation.attacks.measuring import Measured
from scatter.simulation.attacks.plot import Plot
from scatter.simulation.records import write_signed

WIDTH = 170
"""Of the table where there is no terminal."""


def show_attacks(console: Console, found: Sequence[Measured]) -> None:
    """The table, and how many attacks pay under which profile."""
    if not console.is_terminal:
        console = Console(width=WIDTH, file=console.file, highlight=False)
    profiles = _profiles(found)
    table = Table(title="What attacks bring (tokens, long-term stakes included)")
    table.title_justify, table.box, table.pad_edge = "left", None, False
    left, numbers, right = _headings(profiles)
    for heading in left:
        table.add_column(heading, overflow="fold", max_width=34)
    for heading in numbers:
        table.add_column(heading.replace(": ", "\n"), justify="right", no_wrap=True)
    for heading in right:
        table.add_column(heading, overflow="fold")
    for row in _rows(found):
        table.add_row(*row)
    console.print(table)
    for profile in profiles:
        paying = [one for one in found if one.profile == profile and one.pays]
        minority = sum(one.attack.is_of_a_minority() for one in paying)
        console.print(
            f"Under {profile} {len(paying)} of {len(found) // len(profiles)} attacks pay, "
            f"{minority} of them by a minority."
        )


def as_markdown(found: Sequence[Measured]) -> str:
    """The same table for a page."""
    left, numbers, right = _headings(_profiles(found))
    lines = [
        [*left, *numbers, *right],
        [*("---" for _ in left), *("--:" for _ in numbers), *("---" for _ in right)],
        *_rows(found),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def summarise_attacks(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """One entry per attack and profile, in tokens as exact decimal texts."""
    return [
        {
            "attack": one.attack.name,
            "profile": one.profile,
            "gang": list(one.attack.gang),
            "minority": one.attack.is_of_a_minority(),
            "gain": write_signed(one.gain),
            "honest": write_signed(one.honest),
            "difference": write_signed(one.difference),
            "others_lose": write_signed(one.harm),
            "pays": one.pays,
            "stopped_by": one.attack.stopped_by,
            "known": one.attack.known,
        }
        for one in found
    ]


def _headings(profiles: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    numbers = [
        f"{profile}: {what}"
        for profile in profiles
        for what in ("attack", "honesty", "difference", "others lose")
    ]
    return ["attack", "by"], numbers, ["what stops it", "pays under"]


def _rows(found: Sequence[Measured]) -> list[list[str]]:
    by_attack: dict[type[Plot], list[Measured]] = {}
    for one in found:
        by_attack.setdefault(one.attack, []).append(one)
    return [
        [
            attack.name,
            describe_gang(attack),
            *(text for one in ones for text in _numbers(one)),
            attack.stopped_by,
            ", ".join(one.profile for one in ones if one.pays) or "-",
        ]
        for attack, ones in by_attack.items()
    ]


def _numbers(one: Measured) -> list[str]:
    signed = (one.gain, one.honest, one.difference)
    return [*(_show(number, signed=True) for number in signed), _show(one.harm)]


def _show(units: int, *, signed: bool = False) -> str:
    """Two decimals, no sign at nothing; a single unit is not nothing."""
    if units == 0:
        return "0"
    if abs(units) * 200 < UNIT:
        sign = "-" if units < 0 else "+" if signed else ""
        return f"{sign}{abs(units)} unit{'' if abs(units) == 1 else 's'}"
    return show_tokens(units, signed=signed)


def describe_gang(attack: type[Plot]) -> str:
    """`1 trainer, 1 of 3 validators`."""
    setting = attack.setting
    wholes = {"validator": len(setting.validators), "challenger": setting.challengers}
    parts = []
    for role in ("requester", "trainer", "validator", "challenger", "newcomer"):
        count = attack.count_in_gang(role)
        if not count:
            continue
        if role == "requester":
            parts.append("requester")
        elif role in wholes:
            parts.append(f"{count} of {wholes[role]} {role}s")
        else:
            noun = "new account" if role == "newcomer" else role
            parts.append(f"{count} {noun}{'s' if count > 1 else ''}")
    return ", ".join(parts)


def _profiles(found: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(one.profile for one in found))
