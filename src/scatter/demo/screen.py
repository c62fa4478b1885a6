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
from scatter.mechanism.units import UNIT

_WORDS = {kind.__name__: word for kind, word in WORDS.items()}
_SIGNS = {
    kinds.TaxPaid.__name__: -1,
    kinds.RewardEscrowed.__name__: -1,
    kinds.StakeForfeited.__name__: -1,
    kinds.Penalised.__name__: -1,
}


_PHASES = {
    Phase.OPEN: "OPEN       ",
    Phase.TRAINING: "TRAINING   ",
    Phase.DATASET: "DATASET    ",
    Phase.COMMIT: "COMMIT     ",
    Phase.REVEAL: "REVEAL     ",
    Phase.CHALLENGE: "CHALLENGE  ",
    Phase.SETTLED: "SETTLED    ",
    Phase.CANCELLED: "CANCELLED  ",
}


class Screen:
    """Shows a running demo: one line per step and phase, a moving one in a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._line: TaskID | None = None
        self._step: tuple[int, Phase] | str = ""
        self._said = ""
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
            self._finish()
        self._progress.stop()

    def begin(self, step: str) -> None:
        """A step of the set-up, or after the jobs."""
        self._finish()
        self._step = step
        self._line = self._progress.add_task(step, total=None, note="")
        self._print(step)

    def see(self, sight: Sight) -> None:
        """A job as it stands now."""
        step = (sight.job, sight.phase)
        if step != self._step:
            self._finish()
            self._step = step
            description = f"job {sight.job}  {_PHASES[sight.phase]}"
            self._line = self._progress.add_task(description, total=None, note="")
        note = f"{sight.done}/{sight.of} {sight.note}" if sight.of > 1 else sight.note
        if sight.phase is Phase.CHALLENGE and sight.left is not None:
            note += f", {sight.left} s left"
        assert self._line is not None, "a step has a line"
        total, done = (max(sight.of, 1), sight.done) if sight.of else (None, 0)
        self._progress.update(self._line, total=total, completed=done, note=note)
        if sight.of in {0, sight.done}:
            self._print(f"job {sight.job}  {_PHASES[sight.phase]}{note}")

    def _finish(self) -> None:
        if self._line is not None:
            self._progress.update(self._line, total=1, completed=1)
            self._progress.stop_task(self._line)
            self._line = None

    def _print(self, sentence: str) -> None:
        """For logs and pipes, where nothing moves: a line where something is complete."""
        what = sentence.split(",", maxsplit=1)[0]
        if not self._console.is_terminal and what != self._said:
            self._said = what
            self._console.print(f"{time.monotonic() - self._began:5.1f} s  {what}", highlight=False)


def show_tokens(units: int, *, signed: bool = False) -> str:
    """`1,234.57`: two decimals are enough for a person, who also has report.json."""
    sign = "-" if units < 0 else "+" if signed else ""
    cents = (abs(units) * 100 + UNIT // 2) // UNIT
    return f"{sign}{cents // 100:,}.{cents % 100:02d}"


def show_report(console: Console, report: DemoReport) -> None:
    """Prints the tables of a finished demo."""
    console.print()
    console.print(_accounts(report))
    console.print(_accuracy(report))
    verdicts = ", ".join(report.verdicts)
    console.print(
        f"[bold]Verdict[/] {verdicts}   "
        f"[bold]lottery[/] {show_tokens(report.lottery)} SCT   "
        f"[bold]supply[/] {'adds up to the last unit' if report.supply_ok else 'DOES NOT ADD UP'}"
    )
    jobs = len(report.verdicts)
    console.print(
        f"[bold]Gas[/] {report.gas.total:,} in {report.gas.transactions} transactions"
        f" for {jobs} {'job' if jobs == 1 else 'jobs'}   "
        f"[bold]chain[/] {report.chain}   [bold]sandbox[/] {report.sandbox}"
    )
    total = sum(report.seconds.values())
    longest = max(report.seconds, key=lambda phase: report.seconds[phase])
    console.print(f"[bold]Time[/] {total:.0f} s, most of it {longest}")


def _accounts(report: DemoReport) -> Table:
    table = Table(
        title="Who earned or lost what (SCT)", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("node")
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    table.add_column("change", justify="right")
    table.add_column("why")
    for account in report.accounts.values():
        wealth = account["after"] + account["role_stake"]
        change = wealth - account["before"]
        name = Text(account["name"])
        if account["malicious"]:
            name.append(" (cheats)", style="red")
        style = "green" if change > 0 else "red" if change < 0 else "dim"
        table.add_row(
            name,
            show_tokens(account["before"]),
            show_tokens(wealth),
            Text(show_tokens(change, signed=True), style=style),
            _reasons(account),
        )
    return table


def _reasons(account: Mapping[str, Any]) -> str:
    """Each cause with its equation and the sum over all jobs."""
    sums: defaultdict[tuple[str, str | None], int] = defaultdict(int)
    for payout in account["payouts"]:
        if payout["kind"] in _WORDS:
            key = (payout["kind"], payout["equation"])
            sums[key] += _SIGNS.get(payout["kind"], 1) * payout["amount"]
    parts = []
    for (kind, equation), amount in sums.items():
        label = _WORDS[kind] + (f" (eq. {equation})" if equation else "")
        signed = kind not in {kinds.StakeReturned.__name__}
        parts.append(f"{label} {show_tokens(amount, signed=signed)}")
    if account["role_stake"]:
        parts.append(f"{show_tokens(account['role_stake'])} staked")
    return ", ".join(parts) or "nothing moved"


def _accuracy(report: DemoReport) -> Table:
    table = Table(
        title="\nAccuracy on unseen pictures",
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
