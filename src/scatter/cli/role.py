"""The commands about a node's account: balance, role stakes, queue and status."""

from typing import Annotated

import typer

from scatter.cli.output import AsJson, show_fields, show_json, show_table
from scatter.cli.running_node import DEFAULT_CONFIG, ConfigFile, RunningNode


def stake(
    role: Annotated[str, typer.Argument(help="validator or challenger")],
    amount: Annotated[str, typer.Argument(help="Tokens, such as 25000.")],
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Takes a role by its stake; the amount is fixed for the life of the role.

    Example: scatter stake validator 25000 --config v1/node.toml
    """
    answer = RunningNode(config).post("/stake", {"role": role, "amount": amount})
    _say(answer, json, f"This account is a {role} now, with {amount} tokens at stake.")


def unstake(config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Asks the role stake back; it is free after the unbonding time.

    Example: scatter unstake --config v1/node.toml
    """
    answer = RunningNode(config).post("/unstake")
    _say(answer, json, "Asked back; `scatter balance` says when it is free.")


def withdraw(config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Takes a stake that was asked back and is free.

    Example: scatter withdraw --config v1/node.toml
    """
    answer = RunningNode(config).post("/withdraw")
    _say(answer, json, "The stake is back in the account.")


def balance(
    account: Annotated[str | None, typer.Argument(help="By default the node's.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Shows tokens, role and role stake of an account.

    Example: scatter balance --json
    """
    answer = RunningNode(config).get("/balance", account=account)
    if json:
        show_json(answer)
    else:
        show_fields((name.replace("_", " "), value) for name, value in answer.items())


def status(config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Shows what a running node is and how it stands.

    Example: scatter status --config trainer-1/node.toml
    """
    answer = RunningNode(config).get("/status")
    if json:
        show_json(answer)
    else:
        show_fields((name.replace("_", " "), value) for name, value in answer.items())
        if answer["challengers"] < answer["least_challengers"]:
            typer.echo("There are too few challengers: nobody in a job can be accused now.")


def work(config: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """Shows a node's queue: what runs, waits, failed or is done.

    Example: scatter work --json
    """
    answer = RunningNode(config).get("/work")
    if json:
        show_json(answer)
        return
    rows = [[w["role"], w["job"], w["state"], w["note"]] for w in answer["work"]]
    show_table("The queue", ["role", "job", "state", "note"], rows)


def add_to(app: typer.Typer) -> None:
    """Adds these commands to the tree."""
    for command in (stake, unstake, withdraw, balance, status, work):
        app.command()(command)


def _say(answer: object, json: bool, sentence: str) -> None:
    if json:
        show_json(answer)
    else:
        typer.echo(sentence)
