"""What commands print: JSON for programs, tables for people, and nothing else on stdout."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

WIDEST_ROW = 1_000
"""Characters of a row that goes to a file or a program."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only, for programs.")]


def show_json(value: Any) -> None:
    """Prints one JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Prints names and values, one a line, aligned."""
    rows = [(name, _text(value)) for name, value in fields]
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        typer.echo(f"{name:<{width}}  {text}")


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table that fits the terminal; what a program reads is never broken into lines.

    The first column names the row, such as by its account, and stays whole in any case.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        # As text, not as Rich's own marks: a stranger may have chosen it.
        table.add_row(*(Text(_text(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else WIDEST_ROW).print(table)


def show_progress(sentence: str) -> None:
    """Says on stderr what is being done, so that stdout stays for the answer."""
    typer.echo(sentence, err=True)


def _text(value: object) -> str:
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
