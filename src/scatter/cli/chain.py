"""`scatter devnet`: a chain to try things on; `scatter deploy`: the contracts on any chain."""

from pathlib import Path
from typing import Annotated

import typer

from scatter.cli.interrupt import INTERRUPT
from scatter.cli.output import AsJson, show_fields, show_json
from scatter.cli.passwords import PasswordFile, find_password

Profile = Annotated[str, typer.Option(help='"paper" or "hardened" (docs/protocol.md, section 2).')]


def devnet(
    *,
    out: Annotated[Path, typer.Option(help="The folder for chain, deployment, keys.")] = Path(
        "devnet"
    ),
    profile: Profile = "paper",
    accounts: Annotated[int, typer.Option(min=0, max=64, help="Funded accounts to make.")] = 4,
    tokens: Annotated[str, typer.Option(help="Tokens for each of them.")] = "100000",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Of the chain's RPC.")] = 8545,
    engine: Annotated[str, typer.Option(help='"anvil", "embedded" or "any".')] = "any",
    window: Annotated[
        int, typer.Option(min=1, help="Seconds to join, publish, commit, reveal.")
    ] = 60,
    challenge: Annotated[int, typer.Option(min=2, help="Seconds to accuse.")] = 10,
    vote: Annotated[int, typer.Option(min=1, help="Seconds to vote; at most half of that.")] = 5,
    json: AsJson = False,
) -> None:
    """Runs a local chain with the protocol on it, and funded accounts, until Ctrl-C.

    Started again on the same folder, it goes on where it was. Example:
    scatter devnet --out /tmp/net --accounts 6 --challenge 20 --vote 8
    """
    from scatter.cli.local_network import LocalNetwork, plan_local_network, run_local_network
    from scatter.devnet.local import read_engine

    windows = dict.fromkeys(("join", "dataset", "commit", "reveal"), window)
    windows |= {"challenge": challenge, "vote": vote}
    wanted = read_engine(engine)
    plan = plan_local_network(out.absolute(), profile, windows, accounts, tokens)

    def say(network: LocalNetwork) -> None:
        shown = network.as_dict()
        if json:
            show_json(shown)
            return
        show_fields((n.replace("_", " "), v) for n, v in shown.items() if n != "accounts")
        show_fields((account, path) for path, account in network.accounts.items())
        typer.echo(
            f"\nNow, in another terminal: scatter node init my-node --role trainer "
            f"--deployment {network.deployment}\nCtrl-C ends the chain."
        )

    INTERRUPT.run(run_local_network(plan, port=port, engine=wanted, ready=say))


def deploy(
    *,
    rpc: Annotated[str, typer.Option(help="The chain's RPC endpoint.")],
    keystore: Annotated[Path, typer.Option(help="Of the account that pays the gas.")],
    profile: Profile = "hardened",
    treasury: Annotated[
        str | None, typer.Option(help="Who gets the supply; by default the deployer.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The deployment file.")] = Path("deployment.json"),
    password_file: PasswordFile = None,
    json: AsJson = False,
) -> None:
    """Deploys the seven contracts and writes the deployment file that nodes need.

    Example: scatter deploy --rpc http://127.0.0.1:8545 --keystore deployer.json
    """
    from scatter.adapters.deployment import deploy as deploy_contracts
    from scatter.adapters.deployment import write_deployment
    from scatter.adapters.keystore import load_key
    from scatter.adapters.rpc import Rpc
    from scatter.mechanism.errors import BadInput
    from scatter.mechanism.parameters import profile as find_profile
    from scatter.mechanism.units import Address
    from scatter.node.views import read_account

    if out.exists():
        raise BadInput(f"{out} exists already; move it away, or name another --out")
    parameters = find_profile(profile)
    receiver = None if treasury is None else read_account(treasury)
    account = load_key(keystore, find_password(password_file))

    async def put() -> None:
        async with Rpc(rpc) as endpoint:
            to = receiver or Address(account.address)
            made = await deploy_contracts(endpoint, account, to, parameters, profile=profile)
        write_deployment(out, made)
        shown = {"deployment": str(out), "chain_id": made.chain_id, "block": made.block}
        shown |= {name: str(address) for name, address in made.contracts.items()}
        if json:
            show_json(shown)
        else:
            show_fields((name.replace("_", " "), value) for name, value in shown.items())

    INTERRUPT.run(put())


def add_to(app: typer.Typer) -> None:
    """Adds these commands to the tree."""
    app.command()(devnet)
    app.command()(deploy)
