"""What a person sees of simulations: bars while they run, then who gained and who lost."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scatter.economy.gains import ROLES
from scatter.economy.outcome import Node, Run
from scatter.node.amounts import show_tokens
from scatter.simulation.claims import Finding
from scatter.simulation.sweep import BreakEven, Sweep


class Bars:
    """A bar for each thing that runs; in a terminal only."""

    def __init__(
        self, console: Console, totals: Iterable[tuple[str, int]], unit: str = "jobs"
    ) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bars = {name: self._progress.add_task(name, total=total) for name, total in totals}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def tell(self, name: str, done: int) -> None:
        self._progress.update(self._bars[name], completed=done)


def show_runs(console: Console, runs: Sequence[Run]) -> None:
    """One table: in each scenario, what the nodes of a kind gained or lost."""
    table = Table(title="What was gained or lost (tokens, long-term stakes included)")
    table.title_justify, table.box, table.pad_edge = "left", None, False
    table.add_column("scenario")
    table.add_column("nodes")
    for column in ("least", "average", "most"):
        table.add_column(column, justify="right")
    for run in runs:
        first = run.outcome.scenario
        for kind, nodes in _kinds(run):
            changes = [node.change for node in nodes]
            average = sum(changes) // len(changes)
            numbers = (min(changes), average, max(changes))
            table.add_row(first, kind, *(show_tokens(n, signed=True) for n in numbers))
            first = ""
        table.add_row(first, "lottery holds", "", show_tokens(run.outcome.lottery), "")
        table.add_row()
    console.print()
    console.print(table)
    for run in runs:
        verdicts = ", ".join(
            f"{count} {verdict.name.lower().replace('_', ' ')}"
            for verdict, count in run.outcome.verdicts.items()
        )
        console.print(f"{run.outcome.scenario:<20}  {run.outcome.jobs} jobs: {verdicts}")
    console.print()


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """The paper's claims, one a line."""
    if not findings:
        return
    console.print("What section 4 of the paper claims")
    for finding in findings:
        word = "[green]kept[/]  " if finding.kept else "[bold red]BROKEN[/]"
        claim = finding.claim
        console.print(f"{word}  {claim.section}  {claim.text}", soft_wrap=True)
    kept = sum(finding.kept for finding in findings)
    console.print(f"{kept} of {len(findings)} claims are kept.")


def show_sweep(console: Console, sweep: Sweep) -> None:
    """The gains at each point, then where honesty stops paying."""
    table = Table(title="Tokens gained per job and node")
    table.title_justify, table.box, table.pad_edge = "left", None, False
    for axis in (sweep.second, sweep.x):
        if axis is not None:
            table.add_column(axis.name.replace(".", ".\n"), justify="right")
    kinds = [(role, malicious) for role in ROLES[:3] for malicious in (False, True)]
    for role, malicious in kinds:
        table.add_column(f"{role}\n{'cheats' if malicious else 'honest'}", justify="right")
    for curve in sweep.curves:
        for value, gains in zip(sweep.x.values, curve.points, strict=True):
            found = {(gain.role, gain.malicious): f"{gain.tokens:,.1f}" for gain in gains}
            place = [str(value)] if sweep.second is None else [str(curve.value), str(value)]
            table.add_row(*place, *(found.get(kind, "") for kind in kinds))
    console.print(table)
    for found_even in sweep.break_evens():
        where = "" if sweep.second is None else f"{sweep.second.name} {found_even.value}: "
        console.print(f"{where}{_say(sweep.x.name, found_even)}", soft_wrap=True)
    console.print(f"{sweep.jobs:,} jobs on the specification.")


def _say(key: str, found: BreakEven) -> str:
    beaten, loses = found.beaten, found.loses
    more = "cheating never pays as much" if found.has_cheats else "no point has both kinds"
    if beaten is not None:
        more = f"cheating pays as much from {beaten:.2f} on"
    less = "the honest never lose" if loses is None else f"the honest lose from {loses:.2f} on"
    return f"{found.role}s by {key}: {more}, {less}"


def _kinds(run: Run) -> list[tuple[str, list[Node]]]:
    """The nodes by role, the honest and the malicious apart."""
    kinds = []
    for role in ("requester", "trainer", "validator", "challenger"):
        for malicious in (False, True):
            nodes = run.outcome.of(role, malicious=malicious)
            if nodes:
                name = role if len(nodes) == 1 else f"{len(nodes)} {role}s"
                kinds.append((f"{name}, malicious" if malicious else name, nodes))
    return kinds
