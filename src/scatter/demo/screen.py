"""What a person sees of a demo: the phases as they pass, then who earned or lost what."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scatter.demo.report import WORDS, DemoReport
from scatter.lifecycle import payments as kinds
from scatter.mechanism.units import UNIT

_WORDS = {kind.__name__: word for kind, word in WORDS.items()}
_SIGNS = {
    kinds.TaxPaid.__name__: -1,
    kinds.RewardEscrowed.__name__: -1,
    kinds.StakeForfeited.__name__: -1,
    kinds.Penalised.__name__: -1,
}


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
        title="\nAccuracy on pictures nobody trained on",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("model")
    table.add_column("accuracy", justify="right")
    accuracy = report.accuracy
    for account, score in accuracy.local.items():
        entry = report.accounts[account]
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
