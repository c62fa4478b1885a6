"""`scatter runtime`: build the root file systems that jobs run in, and check them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scatter.cli.output import AsJson, show_fields, show_json, show_progress, show_table

app = typer.Typer(
    help="Build, list and verify runtimes: what jobs run in.\n\nExample: scatter runtime list"
)

_FOLDER = Path("runtimes-built")

Into = Annotated[Path, typer.Option(help="The folder that holds the runtimes.")]


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="numpy or torch.")],
    into: Into = _FOLDER,
    from_tar: Annotated[
        Path | None, typer.Option(help="A root from `docker export`, instead of this machine's.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Builds a runtime from this machine's Python, and packages by pip; no image registry is used.

    Example: scatter runtime build torch
    """
    from scatter.adapters.sandbox.built_runtime import keep_built
    from scatter.adapters.sandbox.root_build import build_root, find_recipe, take_root

    recipe = find_recipe(name)

    def make(root: Path) -> None:
        if from_tar is None:
            build_root(recipe, root)
        else:
            take_root(from_tar, root)

    show_progress(f"Building the runtime {name}; torch takes some minutes ...")
    built = keep_built(into.absolute() / name, make)
    answer = _described(into, built)
    if json:
        show_json(answer)
        return
    show_fields(answer.items())
    typer.echo(f'\nAllow it in node.toml:\n\n[sandbox]\nruntimes = ["{answer["pin"]}"]')


@app.command("list")
def list_(into: Into = _FOLDER, json: AsJson = False) -> None:
    """Lists the runtimes that were built, with the pins that allow them.

    Example: scatter runtime list --into /srv/runtimes
    """
    from scatter.adapters.sandbox.built_runtime import list_built

    found = [_described(into, built) for built in list_built(into)]
    if json:
        show_json(found)
        return
    rows = [[one["name"], one["megabytes"], one["packages"], one["pin"]] for one in found]
    show_table("Runtimes", ["name", "MB", "packages", "pin"], rows)


@app.command()
def verify(
    pin: Annotated[str, typer.Argument(help="FOLDER@sha256:DIGEST, or FOLDER as it was built.")],
    json: AsJson = False,
) -> None:
    """Reads a runtime to the last byte, and says whether it is the one that was pinned.

    Example: scatter runtime verify runtimes-built/torch
    """
    from scatter.adapters.sandbox import built_runtime

    if "@" not in pin:
        pin = f"{pin}@{built_runtime.read_built(Path(pin)).digest}"
    pinned = built_runtime.read_pin(pin, Path.cwd())
    built_runtime.verify(pinned)
    if json:
        show_json({"name": pinned.name, "digest": pinned.digest, "verified": True})
        return
    typer.echo(f"{pinned.folder} is as it was pinned: {pinned.digest}")


def _described(into: Path, built: Any) -> dict[str, Any]:
    return {
        "name": built.name,
        "pin": f"{into.absolute() / built.name}@{built.digest}",
        "machine": built.machine,
        "megabytes": round(built.bytes / 1e6),
        "packages": list(built.packages),
    }
