"""Shows what a job holds, so that a person can decide."""

from collections.abc import Mapping
from typing import Any

import typer

from scatter.cli.output import show_fields, show_table


def show_inspection(title: str, seen: Mapping[str, Any]) -> None:
    """Prints one folder's description, files, imports and suspicions."""
    typer.echo(f"\n{title}")
    about = seen["description"]
    if about is None:
        show_fields([("problem", seen["problem"])])
    else:
        limits = ", ".join(f"{name} {value}" for name, value in about["limits"].items())
        said = ("name", "kind", "topic", "runtime")
        show_fields(
            [
                *((name, about[name]) for name in said),
                ("limits asked for", limits),
                ("bytes of a model", about["model_bytes"]),
            ]
        )
    show_fields([("imports", list(seen["imports"]))])
    show_table("Files", ["bytes", "file"], [[one["size"], one["name"]] for one in seen["files"]])
    places = seen["suspicions"]
    if not places:
        typer.echo("Nothing suspicious was seen, which proves nothing: code can hide what it does.")
        return
    rows = [[one["file"], one["line"] or "", one["concern"], one["what"]] for one in places]
    show_table("Look here", ["file", "line", "concern", "what"], rows)
    if seen["left_out"]:
        typer.echo(f"... and {seen['left_out']} more.")
