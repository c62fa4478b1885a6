"""`scatter simulate`: the scenarios of the paper's section 4, and a user's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scatter.cli.output import AsJson

if TYPE_CHECKING:
    from scatter.economy.scenario import Scenario


def simulate(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO]...",
            help="benevolent, malicious-trainers, malicious-validators, all-malicious, "
            "malicious-requester, or a TOML file; without any, the five.",
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Gets a folder for each: pictures, series.csv, summary.json."),
    ] = None,
    on: Annotated[str, typer.Option(help='"contracts" or "specification".')] = "contracts",
    jobs: Annotated[int | None, typer.Option(help="Instead of the scenario's own.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the scenario's own.")] = None,
    json: AsJson = False,
) -> None:
    """Plays the paper's evaluation on the real contracts, and checks what the paper claims of it.

    Every node is an account on a chain in memory; rewards, stakes and scores are drawn by the
    seed, and the same seed gives the same files.

    Example: scatter simulate --out figures
    """
    from rich.console import Console

    from scatter.cli.output import show_json
    from scatter.simulation.claims import check
    from scatter.simulation.figures import UNNUMBERED, prepare_folder
    from scatter.simulation.paper import FIGURES, SCENARIOS
    from scatter.simulation.records import summarise
    from scatter.simulation.runs import Task, play_all, read_ground
    from scatter.simulation.screen import Bars, show_findings, show_runs

    ground = read_ground(on)
    chosen = [_choose(word, jobs, seed) for word in scenarios or SCENARIOS]
    _refuse_doubles([scenario.name for scenario in chosen])
    if out is not None:
        prepare_folder(out)
    of_the_paper = {word for word in scenarios or SCENARIOS if word in SCENARIOS}
    tasks = [
        Task(
            scenario,
            ground,
            out / scenario.name if out else None,
            FIGURES.get(scenario.name, UNNUMBERED) if scenario.name in of_the_paper else UNNUMBERED,
        )
        for scenario in chosen
    ]
    console = Console(stderr=json, highlight=False)
    with Bars(console, [(scenario.name, scenario.jobs) for scenario in chosen]) as bars:
        runs = play_all(tasks, bars.tell)
    findings = check({run.scenario.name: run for run in runs if run.scenario.name in of_the_paper})
    if json:
        claims = [
            {"section": f.claim.section, "claim": f.claim.text, "kept": f.kept} for f in findings
        ]
        show_json({"scenarios": [summarise(run) for run in runs], "claims": claims})
        return
    show_runs(console, runs)
    show_findings(console, findings)
    if out is not None:
        console.print(f"Pictures, series.csv and summary.json are in {out}/<scenario>/.")


def _choose(word: str, jobs: int | None, seed: int | None) -> "Scenario":
    """One of the paper's by its name, else a file; with these numbers instead of its own."""
    from dataclasses import replace

    from scatter.mechanism.errors import BadInput
    from scatter.simulation.paper import SCENARIOS
    from scatter.simulation.scenario_file import read_scenario

    if word in SCENARIOS:
        scenario = SCENARIOS[word]
    elif word.endswith(".toml"):
        scenario = read_scenario(Path(word))
    else:
        known = ", ".join(SCENARIOS)
        raise BadInput(f"There is no scenario {word!r}; name a .toml file or one of {known}.")
    jobs = scenario.jobs if jobs is None else jobs
    seed = scenario.seed if seed is None else seed
    return replace(scenario, jobs=jobs, seed=seed)


def _refuse_doubles(names: list[str]) -> None:
    from scatter.mechanism.errors import BadInput

    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"Two scenarios are called {name}; give one of them another name.")


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(simulate)
