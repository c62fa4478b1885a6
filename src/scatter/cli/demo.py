"""`scatter demo`: a whole network on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from scatter.cli.interrupt import INTERRUPT
from scatter.cli.output import AsJson


def demo(
    *,
    trainers: Annotated[int, typer.Option(help="1 to 64.")] = 6,
    validators: Annotated[int, typer.Option(help="1 to 16.")] = 3,
    challengers: Annotated[int, typer.Option(help="0 to 32.")] = 2,
    malicious: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART=COUNT",
            help="How many trainers, validators or challengers cheat; may be given several times. "
            "Without it one trainer does; trainer=0 makes everybody honest.",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="How many jobs, one after the other.")] = 1,
    profile: Annotated[str, typer.Option(help='"paper" or "hardened".')] = "paper",
    seed: Annotated[int, typer.Option(help="Fixes data, stakes, weights, scores and payouts.")] = 1,
    out: Annotated[
        Path, typer.Option(help="Gets global.safetensors, report.json, and the nodes' logs.")
    ] = Path("demo-out"),
    chain: Annotated[str, typer.Option(help='"anvil", "embedded" or "any".')] = "any",
    stay: Annotated[
        bool, typer.Option("--stay", help="Leave the network running until Ctrl-C.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Runs a real federated job: a local chain, a node for everybody, money and all.

    One process for each node trains, seals, scores and accuses as it would on a real network;
    those that cheat are found out by evaluating, not by a flag.

    Example: scatter demo --malicious validator=1 --jobs 3 --seed 7
    """
    from rich.console import Console

    from scatter.demo.cast import DemoOptions
    from scatter.demo.play import open_demo
    from scatter.demo.screen import Screen, show_report
    from scatter.devnet.local import read_engine
    from scatter.node.running import find_http
    from scatter.node.signals import stop_on_signals

    options = DemoOptions(
        trainers=trainers,
        validators=validators,
        challengers=challengers,
        malicious=_read_malicious(malicious),
        jobs=jobs,
        profile=profile,
        seed=seed,
        out=out,
    )
    console = Console(stderr=json)
    engine = read_engine(chain)

    async def run() -> None:
        with Screen(console) as screen:
            async with open_demo(options, screen, engine=engine) as demo:
                report = await demo.run()
                screen.finish()
                if json:
                    typer.echo(report.as_json(), nl=False)
                else:
                    show_report(console, report)
                if stay:
                    console.print(
                        f"\nThe chain answers at {demo.stage.local.rpc_url}, the nodes at"
                    )
                    for node in demo.stage.nodes.values():
                        console.print(f"  {node.actor.name:14} http://{find_http(node.config)}")
                    console.print(
                        f"Tokens and settings lie in {out / 'nodes'}. Ctrl-C ends it all."
                    )
                    await stop_on_signals().wait()

    INTERRUPT.run(run())


def _read_malicious(words: list[str] | None) -> dict[str, int]:
    """`trainer=2` and the like; several for one part add up."""
    from scatter.mechanism.errors import BadInput

    if words is None:
        return {"trainer": 1}
    counts: dict[str, int] = {}
    for word in words:
        part, separator, count = word.partition("=")
        if not separator or not count.isdigit() or len(count) > 3:
            raise BadInput(f"--malicious {word!r}: write it as PART=COUNT, such as trainer=2.")
        counts[part] = counts.get(part, 0) + int(count)
    return counts


def add_to(app: typer.Typer) -> None:
    """Adds the command to the tree."""
    app.command()(demo)
