"""Shows what a job holds, so that a person can decide, and what a node found in it."""

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


def show_finding(found: Mapping[str, Any]) -> None:
    """Prints what a node found in one role: the scores, and the runs that gave them."""
    typer.echo(f"\nAs {found['role']}")
    names = ("evaluation_job", "dataset", "reason_to_refrain", "tolerance", "published")
    show_fields([(name.replace("_", " "), found[name] or "-") for name in names])
    rows = [[one["trainer"], one["score"], one["remark"]] for one in found["models"]]
    show_table("Models", ["trainer", "score", "remark"], rows)
    columns = ["models", "seconds", "backend", "reason"]
    show_table("Runs", columns, [[run[name] for name in columns] for run in found["runs"]])
    for run in found["runs"]:
        if run["log"]:
            typer.echo(f"\nPrinted by the run of {run['models']} models:\n{run['log']}")
