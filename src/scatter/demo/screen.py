"""What a person sees of a demo: the phases as they pass, then who earned or lost what."""

import time
from collections import defaultdict
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from scatter.demo.phases import Sight
from scatter.demo.report import WORDS, DemoReport
from scatter.lifecycle import payments as kinds
from scatter.lifecycle.vocabulary import Phase
from scatter.node.amounts import show_tokens

_WORDS = {kind.__name__: word for kind, word in WORDS.items()}
_SIGNS = {
    kinds.TaxPaid.__name__: -1,
    kinds.RewardEscrowed.__name__: -1,
    kinds.StakeForfeited.__name__: -1,
    kinds.Penalised.__name__: -1,
}

_WIDTH = 28
"""Of the names of steps."""


class Screen:
    """Shows a running demo: a line for each step that is over and, in a terminal, a moving one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._line: TaskID | None = None
        self._step: tuple[int, Phase] | str = ""
        self._name = ""
        self._note = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        self._progress.stop()

    def begin(self, step: str) -> None:
        """A step of the set-up, or after the jobs."""
        self._turn_to(step, step)

    def see(self, sight: Sight) -> None:
        """A job as it stands now."""
        self._turn_to((sight.job, sight.phase), f"job {sight.job}  {sight.phase.name}")
        self._note = f"{sight.done}/{sight.of} {sight.note}" if sight.of > 1 else sight.note
        left = ""
        if sight.phase is Phase.CHALLENGE and sight.left is not None:
            left = f", {sight.left} s left"
        if self._line is not None:
            total, done = (sight.of, sight.done) if sight.of else (None, 0)
            self._progress.update(
                self._line, total=total, completed=done, note=f"{self._note}{left}"
            )

    def finish(self) -> None:
        """The present step is over: its line stays, and moves no more."""
        if self._line is None:
            return
        self._progress.remove_task(self._line)
        self._line = None
        elapsed = f"{time.monotonic() - self._began:6.1f} s"
        text = f"{elapsed}  {self._name:<{_WIDTH}}  {self._note}".rstrip()
        self._console.print(text, highlight=False, markup=False)

    def _turn_to(self, step: tuple[int, Phase] | str, name: str) -> None:
        if step == self._step:
            return
        self.finish()
        self._step, self._name, self._note = step, name, ""
        self._line = self._progress.add_task(f"{name:<{_WIDTH}}", total=None, note="")


def show_report(console: Console, report: DemoReport) -> None:
    """Prints the tables of a finished demo."""
    console.print()
    console.print(_accounts(report))
    console.print()
    console.print(_accuracy(report))
    verdicts = ", ".join(report.verdicts)
    jobs = len(report.verdicts)
    total = sum(report.seconds.values())
    longest = max(report.seconds, key=lambda phase: report.seconds[phase])
    facts = {
        "verdict": verdicts,
        "lottery": f"{show_tokens(report.lottery)} SCT",
        "supply": "adds up to the last unit" if report.supply_ok else "DOES NOT ADD UP",
        "gas": f"{report.gas.total:,} in {report.gas.transactions} transactions"
        f" for {jobs} {'job' if jobs == 1 else 'jobs'}",
        "chain": report.chain,
        "sandbox": report.sandbox,
        "time": f"{total:.0f} s, most of it for {longest}",
    }
    console.print()
    for name, fact in facts.items():
        console.print(f"[bold]{name:8}[/] {fact}", highlight=False)


def _accounts(report: DemoReport) -> Table:
    table = Table(
        title="Who earned or lost what (SCT, role stakes included)",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("node", no_wrap=True)
    table.add_column("before", justify="right", no_wrap=True)
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("change", justify="right", no_wrap=True)
    table.add_column("why")
    for account in report.accounts.values():
        before, after = account["before"], account["after"]
        change = after - before
        name = Text(account["name"])
        if account["malicious"]:
            name.append(" (cheats)", style="red")
        style = "green" if change > 0 else "red" if change < 0 else "dim"
        table.add_row(
            name,
            show_tokens(before).removesuffix(".00"),
            show_tokens(after),
            Text(show_tokens(change, signed=True), style=style),
            "\n".join(_reasons(account)),
        )
    return table


def _reasons(account: Mapping[str, Any]) -> list[str]:
    """Each cause of the change with its equation; with its sum over all jobs if there are more."""
    sums: defaultdict[tuple[str, str | None], int] = defaultdict(int)
    for payout in account["payouts"]:
        if payout["kind"] in _WORDS:
            key = (payout["kind"], payout["equation"])
            sums[key] += _SIGNS.get(payout["kind"], 1) * payout["amount"]
    parts = []
    for (kind, equation), amount in sums.items():
        shown = f" {show_tokens(amount, signed=True)}" if len(sums) > 1 else ""
        parts.append(_WORDS[kind] + shown + (f" (eq. {equation})" if equation else ""))
    return parts


def _accuracy(report: DemoReport) -> Table:
    table = Table(
        title="Accuracy on unseen pictures",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("model")
    table.add_column("accuracy", justify="right")
    accuracy = report.accuracy
    for account, entry in report.accounts.items():
        if account not in accuracy.local:
            continue
        score = accuracy.local[account]
        name = Text(entry["name"])
        if entry["malicious"]:
            name.append(" (cheats)", style="red")
        table.add_row(name, f"{score:.3f}")
    table.add_row("honest trainers, on average", f"{accuracy.mean_local:.3f}")
    table.add_row(
        Text("the aggregate", style="bold"), Text(f"{accuracy.global_:.3f}", style="bold")
    )
    table.add_row("all data on one machine", f"{accuracy.centralised:.3f}")
    return table
