"""`scatter sweep`: from where on honesty stops paying."""

from pathlib import Path
from typing import Annotated

import typer

from scatter.cli.output import AsJson


def sweep(
    axes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUES...",
            help="One key of a scenario file, or two: a,b,c or FIRST:LAST:STEP. "
            "The first goes along the axis, the second makes a curve of each value.",
        ),
    ],
    *,
    scenario: Annotated[
        Path | None, typer.Option(help="The TOML file that is varied; else a dozen of each role.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="In each run; by default the scenario's.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1_000, help="Runs of each point.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="Gets sweep.csv and the picture break-even.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Varies a scenario on the specification alone, and finds where cheating begins to pay more.

    Example: scatter sweep malicious=0:0.9:0.1 --out break-even
    """
    from rich.console import Console

    from scatter.cli.output import show_json
    from scatter.mechanism.errors import BadInput
    from scatter.simulation.figures import prepare_folder
    from scatter.simulation.scenario_file import read_table
    from scatter.simulation.screen import Bars, show_sweep
    from scatter.simulation.sweep import CROWD, plan_sweep, read_axis, run_sweep
    from scatter.simulation.sweep_records import summarise_sweep, write_sweep

    if len(axes) > 2:
        raise BadInput(f"{len(axes)} keys; one or two can be varied at once.")
    x, second = read_axis(axes[0]), read_axis(axes[1]) if len(axes) == 2 else None
    table = CROWD if scenario is None else read_table(scenario)
    if jobs is not None:
        table = {**table, "jobs": jobs}
    rows = plan_sweep(table, x, second, str(scenario or "the usual crowd"))
    if out is not None:
        prepare_folder(out)
    runs = sum(map(len, rows)) * seeds
    console = Console(stderr=json, highlight=False)
    with Bars(console, [(x.name, runs)], "runs") as bars:
        found = run_sweep(x, second, rows, seeds, lambda done: bars.tell(x.name, done))
    if out is not None:
        write_sweep(out, found)
    if json:
        show_json(summarise_sweep(found))
        return
    show_sweep(console, found)
    if out is not None:
        console.print(f"sweep.csv and break-even.png, .svg are in {out}.")


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(sweep)
