"""`scatter gas`: what each call costs, from receipts of a local chain."""

from typing import TYPE_CHECKING, Annotated

import typer

from scatter.cli.interrupt import INTERRUPT
from scatter.cli.output import AsJson

if TYPE_CHECKING:
    from scatter.demo.gas_script import GasMeasured

ORIGINAL_JOB = (35, 15_403_873)
"""Transactions and gas of the same job (6, 3, 2) on the contracts of the paper's authors."""
ORIGINAL_DEPLOYMENT = 18_100_000


def gas(
    *,
    trainers: Annotated[int, typer.Option(help="1 to 64.")] = 6,
    validators: Annotated[int, typer.Option(help="1 to 16.")] = 3,
    challengers: Annotated[int, typer.Option(help="1 to 32.")] = 2,
    chain: Annotated[str, typer.Option(help='"anvil", "embedded" or "any".')] = "any",
    json: AsJson = False,
) -> None:
    """Measures the seven contracts: their deployment, and a job, call by call.

    First an honest one, then one in which a member lies and is condemned.

    Plays a script of transactions on a local chain of its own and reads the receipts; no nodes run.

    Example: scatter gas --trainers 64 --validators 16
    """
    from dataclasses import asdict

    from scatter.cli.output import show_json
    from scatter.demo.gas_script import TARGETS, measure_gas
    from scatter.devnet.local import read_engine

    measured = INTERRUPT.run(
        measure_gas(trainers, validators, challengers, engine=read_engine(chain))
    )
    if not json:
        _show(measured, (trainers, validators, challengers))
        return
    shown: dict[str, object] = {"chain": measured.chain, "targets": TARGETS}
    bills = {
        "deployment": measured.deployment,
        "job": measured.job,
        "accused": measured.accused,
    }
    for name, bill in bills.items():
        shown[name] = bill and {
            "transactions": bill.transactions,
            "total": bill.total,
            "by_call": {call: asdict(cost) for call, cost in bill.by_call.items()},
        }
    show_json(shown)


def _show(measured: "GasMeasured", cast: tuple[int, int, int]) -> None:
    from rich.console import Console
    from rich.table import Table

    from scatter.demo.gas_script import TARGETS

    trainers, validators, challengers = cast
    table = Table(
        box=None,
        pad_edge=False,
    )
    table.add_column("call")
    for name in ("times", "each", "dearest", "together"):
        table.add_column(name, justify="right")
    bills = (
        (measured.deployment, "deployment"),
        (measured.job, "one honest job"),
        (measured.accused, "one with an accusation"),
    )
    for bill, what in bills:
        if bill is None:
            continue
        for call, cost in bill.by_call.items():
            each = cost.gas // cost.transactions
            numbers = (cost.transactions, each, cost.most, cost.gas)
            table.add_row(call, *(f"{number:,}" for number in numbers))
        table.add_row(what, f"{bill.transactions}", "", "", f"{bill.total:,}", style="bold")
        table.add_row()
    console = Console()
    console.print(
        f"\n{trainers} trainers, {validators} validators, {challengers} challengers"
        f" on {measured.chain}\n",
        highlight=False,
    )
    console.print(table)
    deployment, settlement = measured.deployment.total, measured.job.by_call["settle"].most
    lines = [
        _compare("deployment", deployment, TARGETS["deployment"], f"{ORIGINAL_DEPLOYMENT:,}"),
        _compare("settlement", settlement, TARGETS["settlement"], ""),
    ]
    if cast == (6, 3, 2):
        sent, used = ORIGINAL_JOB
        lines.append(_compare("job", measured.job.total, TARGETS["job"], f"{used:,}"))
        lines.append(
            _compare("transactions", measured.job.transactions, TARGETS["transactions"], f"{sent}")
        )
    for line in lines:
        console.print(line, highlight=False)


def _compare(what: str, found: int, target: int, original: str) -> str:
    verdict = "[green]within[/]" if found <= target else "[red]over[/]"
    aside = f" (original {original})" if original else ""
    return f"{what:13}{found:>11,}  {verdict} the target of {target:,}{aside}"


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(gas)
