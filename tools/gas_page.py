"""Writes the tables of gas in docs/contracts.md anew from receipts of anvil: `make gas`.

They are the snapshot that shows in review what a change costs. A test measures the job of 6
trainers and 3 validators once more and compares. The hash of the seed block decides the order of
the draw, so some calls differ by a few hundred gas from run to run.
"""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

from tools.measured import put_between

from scatter.demo.gas_script import GasMeasured, measure_gas

PAGE = Path(__file__).parents[1] / "docs" / "contracts.md"
SIZES = ((6, 3, 2), (20, 7, 2), (64, 16, 2))
"""Trainers, validators, challengers; the first is shown call by call."""
ALL = "**all**"

ROW = r"^\| (\S+) \| \d* \| ([\d,]*) \| \d* \| ([\d,]*) \|$"
"""Of the first table: call, number and gas in the honest job, and in the accused one."""
OF_ONE_SIZE = "| 6 trainers, 3 validators, 2 challengers | honest | each | accused | each |"
OF_SIZES = "| trainers, validators | honest: sent | gas | accused: sent | gas | settlement |"

Averages = Mapping[tuple[str, str], int]
"""Gas by the job, `honest` or `accused`, and the call; `**all**` is their sum."""


def measure(size: tuple[int, int, int]) -> GasMeasured:
    return asyncio.run(measure_gas(*size, engine="anvil"))


def averages(measured: GasMeasured) -> Averages:
    """What each call of the two jobs costs on average, and all together."""
    found: dict[tuple[str, str], int] = {}
    for job, bill in (("honest", measured.job), ("accused", measured.accused)):
        assert bill is not None, "two challengers are enough to condemn"
        for call, cost in bill.by_call.items():
            found[job, call] = cost.gas // cost.transactions
        found[job, ALL] = bill.total
    return found


def read_averages(page: str) -> Averages:
    """The same from the page."""
    found: dict[tuple[str, str], int] = {}
    for call, *numbers in re.findall(ROW, page, re.MULTILINE):
        for job, number in zip(("honest", "accused"), numbers, strict=True):
            if number:
                found[job, call] = int(number.replace(",", ""))
    return found


def as_markdown(found: list[GasMeasured]) -> str:
    first = found[0]
    assert first.accused is not None, "two challengers are enough to condemn"
    honest, accused = first.job.by_call, first.accused.by_call
    gas = averages(first)
    lines = [
        OF_ONE_SIZE,
        "|---|--:|--:|--:|--:|",
    ]
    for call in sorted({*honest, *accused}):
        cells = []
        for job, calls in (("honest", honest), ("accused", accused)):
            cost = calls.get(call)
            cells += [str(cost.transactions), f"{gas[job, call]:,}"] if cost else ["", ""]
        lines.append(f"| {call} | {' | '.join(cells)} |")
    counts = first.job.transactions, first.accused.transactions
    lines += [
        f"| {ALL} | {counts[0]} | {gas['honest', ALL]:,} | {counts[1]} | {gas['accused', ALL]:,} |",
        "",
        OF_SIZES,
        "|---|--:|--:|--:|--:|--:|",
    ]
    for (trainers, validators, _), one in zip(SIZES, found, strict=True):
        assert one.accused is not None, "two challengers are enough to condemn"
        settlement = one.job.by_call["settle"].most
        lines.append(
            f"| {trainers}, {validators} | {one.job.transactions} | {one.job.total:,} "
            f"| {one.accused.transactions} | {one.accused.total:,} | {settlement:,} |"
        )
    lines += ["", "| deployment | gas |", "|---|--:|"]
    for name, cost in first.deployment.by_call.items():
        lines.append(f"| {name} | {cost.gas:,} |")
    lines.append(f"| {ALL} | {first.deployment.total:,} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    measured = as_markdown([measure(size) for size in SIZES])
    PAGE.write_text(put_between(PAGE.read_text(), measured))
