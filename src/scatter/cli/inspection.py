"""Shows what a job holds, so that a person can decide."""

from collections.abc import Mapping
from typing import Any

import typer

from scatter.cli.output import show_fields, show_table


def show_inspection(title: str, seen: Mapping[str, Any]) -> None:
    """Prints one folder's description, files, imports and suspicions."""
    typer.echo(f"\n{title}")
    show_fields([*_describe(seen), ("imports", list(seen["imports"]))])
    show_table("Files", ["bytes", "file"], [[one["size"], one["name"]] for one in seen["files"]])
    places = seen["suspicions"]
    if not places:
        typer.echo("Nothing suspicious was seen, which proves nothing: code can hide what it does.")
        return
    rows = [[one["file"], one["line"] or "", one["concern"], one["what"]] for one in places]
    show_table("Look here", ["file", "line", "concern", "what"], rows)
    if seen["left_out"]:
        typer.echo(f"... and {seen['left_out']} more.")


def _describe(seen: Mapping[str, Any]) -> list[tuple[str, object]]:
    about = seen["description"]
    if about is None:
        return [("problem", seen["problem"])]
    limits = ", ".join(f"{name} {value}" for name, value in about["limits"].items())
    return [
        *((name, about[name]) for name in ("name", "kind", "topic", "runtime")),
        ("limits asked for", limits),
        ("bytes of a model", about["model_bytes"]),
    ]
