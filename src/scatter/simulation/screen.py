"""What a person sees of simulations: bars while they run, then who gained and who lost."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scatter.economy.outcome import Node, Run
from scatter.node.amounts import show_tokens
from scatter.simulation.claims import Finding

_PLAYING = "jobs played"


class Bars:
    """A bar for each thing that runs; in a terminal only."""

    def __init__(self, console: Console, totals: Iterable[tuple[str, int]]) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(_PLAYING),
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
        verdicts = ", ".join(
            f"{count} {verdict.name.lower().replace('_', ' ')}"
            for verdict, count in run.outcome.verdicts.items()
        )
        table.add_row("", f"{run.outcome.jobs} jobs: {verdicts}", style="dim")
        table.add_row()
    console.print()
    console.print(table)


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """The paper's claims, one a line."""
    if not findings:
        return
    console.print("What section 4 of the paper claims")
    for finding in findings:
        word = "[green]kept[/]  " if finding.kept else "[bold red]BROKEN[/]"
        claim = finding.claim
        console.print(f"{word}  {claim.section}  {claim.text}", highlight=False, soft_wrap=True)
    kept = sum(finding.kept for finding in findings)
    console.print(f"{kept} of {len(findings)} claims are kept.")


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
