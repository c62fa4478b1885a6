"""`scatter attacks`: what each known way to cheat brings, beside what honesty brings."""

from typing import Annotated

import typer

from scatter.cli.output import AsJson


def attacks(
    *,
    profile: Annotated[
        str | None, typer.Option(help='"paper" or "hardened"; without it, both.')
    ] = None,
    on: Annotated[str, typer.Option(help='"contracts" or "specification".')] = "contracts",
    json: AsJson = False,
) -> None:
    """Plays every known attack on the contracts and measures what it brings its gang.

    Each is one job with a step of the honest duty replaced, on a chain in memory; what stops it
    is said beside the numbers.

    Example: scatter attacks --profile hardened
    """
    from rich.console import Console

    from scatter.cli.output import show_json
    from scatter.mechanism.parameters import PROFILES
    from scatter.mechanism.parameters import profile as read_profile
    from scatter.simulation.attacks.library import ATTACKS
    from scatter.simulation.attacks.measuring import measure_all, plays_of
    from scatter.simulation.attacks.table import show_attacks, summarise_attacks
    from scatter.simulation.runs import read_ground
    from scatter.simulation.screen import Bars

    ground = read_ground(on)
    profiles = list(PROFILES) if profile is None else [profile]
    for name in profiles:
        read_profile(name)
    console = Console(stderr=json, highlight=False)
    jobs = len(plays_of(ATTACKS))
    with Bars(console, [(name, jobs) for name in profiles]) as bars:
        found = measure_all(profiles, ground, bars.tell)
    if json:
        show_json(summarise_attacks(found))
    else:
        show_attacks(console, found)


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(attacks)
