"""A local chain with the protocol deployed and accounts funded, kept in one folder.

deployment.json   what nodes need to join
treasury.json     the account that holds the supply
accounts/         funded accounts, account-1.json ...
password          opens all of these keystores; they guard nothing of value
chain/            the chain itself
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from eth_account.signers.local import LocalAccount

from scatter.adapters.deployment import Deployment, deploy, read_deployment, write_deployment
from scatter.adapters.evm import open_chain
from scatter.adapters.keystore import LIGHT_SCRYPT_WORK, create_key, load_key
from scatter.adapters.rpc import Rpc
from scatter.devnet.local import Engine, open_local_chain
from scatter.mechanism.errors import BadInput
from scatter.mechanism.parameters import Parameters, local, profile
from scatter.mechanism.units import Address, Tokens
from scatter.node.amounts import read_tokens
from scatter.node.signals import stop_on_signals
from scatter.node.token import write_secret


@dataclass(frozen=True)
class LocalNetwork:
    """A running local network, as shown to people and programs."""

    rpc: str
    chain: str
    deployment: Path
    password_file: Path
    treasury: Address
    accounts: Mapping[Path, Address]

    def as_dict(self) -> dict[str, object]:
        """The same in plain values."""
        return {
            "rpc": self.rpc,
            "chain": self.chain,
            "deployment": str(self.deployment),
            "password_file": str(self.password_file),
            "treasury": self.treasury,
            "accounts": [
                {"account": account, "keystore": str(path)}
                for path, account in self.accounts.items()
            ],
        }


@dataclass(frozen=True)
class Plan:
    """A local network before its chain runs: parameters, keys, and what was deployed before."""

    folder: Path
    profile_name: str
    parameters: Parameters
    password_file: Path
    treasury: LocalAccount
    accounts: Mapping[Path, Address]
    tokens: Tokens
    deployment: Deployment | None

    @property
    def deployment_file(self) -> Path:
        """Where nodes find the deployment."""
        return self.folder / "deployment.json"


def plan_local_network(
    folder: Path, profile_name: str, windows: Mapping[str, int], accounts: int, tokens: str
) -> Plan:
    """Makes the folder and the keys that are not there yet.

    Raises BadInput, also if the folder holds a network of other parameters.
    """
    amount = read_tokens(tokens)
    parameters = local(profile(profile_name), **windows)
    deployment = None
    file = folder / "deployment.json"
    if file.exists():
        deployment = read_deployment(file)
        if deployment.parameters != parameters:
            raise BadInput(
                f"{file} was deployed with another profile or other windows; use those, or another "
                "folder"
            )
    folder.mkdir(parents=True, exist_ok=True)
    password_file = folder / "password"
    if not password_file.exists():
        write_secret(password_file, secrets.token_urlsafe(16) + "\n")
    password = password_file.read_text().strip()
    paths = [folder / "accounts" / f"account-{number}.json" for number in range(1, accounts + 1)]
    return Plan(
        folder=folder,
        profile_name=profile_name,
        parameters=parameters,
        password_file=password_file,
        treasury=_account(folder / "treasury.json", password),
        accounts={path: Address(_account(path, password).address) for path in paths},
        tokens=amount,
        deployment=deployment,
    )


async def run_local_network(
    plan: Plan, *, port: int, engine: Engine, ready: Callable[[LocalNetwork], None]
) -> None:
    """Runs until SIGINT or SIGTERM. Raises LocalChainFailed, BadInput, or what deploying raises."""
    stop = stop_on_signals()
    holder = Address(plan.treasury.address)
    async with open_local_chain(
        plan.folder / "chain",
        engine=engine,
        port=port,
        funded=[holder, *plan.accounts.values()],
    ) as chain:
        deployment = plan.deployment or await _deploy(plan, chain.rpc_url)
        await _give_tokens(plan, deployment, chain.rpc_url)
        ready(
            LocalNetwork(
                rpc=chain.rpc_url,
                chain=chain.name,
                deployment=plan.deployment_file,
                password_file=plan.password_file,
                treasury=holder,
                accounts=plan.accounts,
            )
        )
        await stop.wait()


def _account(path: Path, password: str) -> LocalAccount:
    if path.exists():
        return load_key(path, password)
    return create_key(path, password, work=LIGHT_SCRYPT_WORK)


async def _deploy(plan: Plan, rpc_url: str) -> Deployment:
    holder = Address(plan.treasury.address)
    async with Rpc(rpc_url) as rpc:
        made = await deploy(rpc, plan.treasury, holder, plan.parameters, profile=plan.profile_name)
    write_deployment(plan.deployment_file, made)
    return made


async def _give_tokens(plan: Plan, deployment: Deployment, rpc_url: str) -> None:
    """Tops up accounts without tokens; raises WrongChain if the deployment is of another chain."""
    members = list(plan.accounts.values())
    async with open_chain(deployment, plan.treasury, rpc_url=rpc_url) as chain:
        held = await asyncio.gather(*(chain.holdings(member) for member in members))
        poor = [m for m, h in zip(members, held, strict=True) if not h.balance and not h.stake]
        await asyncio.gather(*(chain.transfer(member, plan.tokens) for member in poor))
