"""`scatter demo`: a whole network on this machine."""

import typer


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
