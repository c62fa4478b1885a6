"""`scatter gas`: what each call costs, from receipts of a local chain."""

import typer


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
