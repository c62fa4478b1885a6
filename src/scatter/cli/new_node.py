"""Sets a node up: its folder, configuration, keystore and token."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from scatter.adapters.deployment import Deployment, read_deployment
from scatter.adapters.keystore import create_key
from scatter.cli.account_address import keystore_address
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address
from scatter.node.amounts import HostPort, read_tokens, write_tokens
from scatter.node.config import (
    CONFIG_NAME,
    Config,
    GatewaySettings,
    HttpSettings,
    PeersSettings,
    RoleName,
    SandboxSettings,
    TopicSettings,
    read_config,
)
from scatter.node.config_text import render
from scatter.node.token import new_token
from scatter.ports.addresses import read_dial_address
from scatter.ports.sandbox import Isolation


@dataclass(frozen=True)
class NewNode:
    """What the operator said of its new node."""

    folder: Path
    deployment: Path
    roles: tuple[str, ...]
    name: str | None
    topic: str | None
    data: Path | None
    stake: str
    keystore: Path | None
    password_file: Path | None
    port: int
    bootstrap: tuple[str, ...]
    sandbox: str


@dataclass(frozen=True)
class WrittenNode:
    """What was written."""

    config: Path
    account: Address
    keystore: Path
    token_file: Path
    next_steps: tuple[str, ...]

    def as_dict(self) -> Mapping[str, str]:
        """The same in plain values."""
        return {
            "config": str(self.config),
            "account": self.account,
            "keystore": str(self.keystore),
            "token_file": str(self.token_file),
        }


def write_node(new: NewNode, password: Callable[[], str]) -> WrittenNode:
    """Checks everything, then writes; `password` is asked only if a new account is made.

    Raises BadInput; what exists already is never overwritten.
    """
    file = new.folder / CONFIG_NAME
    if file.exists():
        raise BadInput(f"{file} exists already; a node is never set up twice")
    network = read_deployment(new.deployment)
    config = _config(new, network)
    new.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = render(config, new.folder)
    draft = new.folder / f"{CONFIG_NAME}.new"
    draft.write_text(text)
    try:
        # Read back, so that whatever the operator said is checked by the same rules as the file.
        read_config(draft)
        if new.keystore is None:
            create_key(config.keystore, password())
        account = keystore_address(config.keystore)
        if not config.http.token_file.exists():
            new_token(config.http.token_file)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    steps = tuple(_next_steps(config, file, account, network))
    return WrittenNode(file, account, config.keystore, config.http.token_file, steps)


def _config(new: NewNode, network: Deployment) -> Config:
    name = new.name or re.sub(r"[^a-z0-9]+", "-", new.folder.name.lower()).strip("-") or "node"
    levels = {level.name.lower().replace("_", "-"): level for level in Isolation}
    if new.sandbox not in levels:
        raise BadInput(
            f"there is no sandbox level {new.sandbox!r}; choose from {', '.join(levels)}"
        )
    unknown = sorted(set(new.roles) - {role.value for role in RoleName})
    if unknown:
        known = ", ".join(role.value for role in RoleName)
        raise BadInput(f"there is no role {unknown[0]!r}; choose from {known}")
    if (new.topic is None) != (new.data is None):
        raise BadInput("--topic and --data belong together; give both, or neither")
    for address in new.bootstrap:
        try:
            read_dial_address(address)
        except BadInput as error:
            raise BadInput(f"--bootstrap: {error}") from None
    topics: tuple[TopicSettings, ...] = ()
    if new.topic is not None and new.data is not None:
        if not new.data.is_dir():
            raise BadInput(f"{new.data} is no folder; --data names the folder with the data")
        topics = (TopicSettings(new.topic, new.data.absolute(), read_tokens(new.stake)),)
    return Config(
        name=name,
        data=new.folder / "data",
        roles=frozenset(RoleName(role) for role in new.roles),
        deployment=new.deployment,
        keystore=new.keystore.absolute() if new.keystore else new.folder / "keystore.json",
        password_file=new.password_file.absolute() if new.password_file else None,
        confirmations=0 if _is_local(network) else 2,
        http=HttpSettings(_next(new.port, 0), token_file=new.folder / "token"),
        gateway=GatewaySettings(_next(new.port, 1)),
        peers=PeersSettings(
            f"/ip4/127.0.0.1/tcp/{_next(new.port, 2).port}", bootstrap=new.bootstrap
        ),
        sandbox=replace(SandboxSettings(), minimum=levels[new.sandbox]),
        topics=topics,
    )


def _next(port: int, step: int) -> HostPort:
    return HostPort("127.0.0.1", port + step if port else 0)


def _is_local(network: Deployment) -> bool:
    host = urlsplit(network.rpc_url).hostname or ""
    return HostPort(host, 0).is_loopback


def _next_steps(config: Config, file: Path, account: Address, network: Deployment) -> list[str]:
    steps = [
        "Next:",
        f"  send gas money and tokens to {account}",
        f"  scatter node run --config {file}",
    ]
    least = {
        RoleName.VALIDATOR: network.parameters.validator_stake,
        RoleName.CHALLENGER: network.parameters.challenger_stake,
    }
    for role in config.roles & least.keys():
        steps.append(f"  scatter stake {role} {write_tokens(least[role])} --config {file}")
    if RoleName.TRAINER in config.roles and not config.topics:
        steps.append(f"  add [[trainer.topics]] to {file}, to join jobs unasked")
    if RoleName.REQUESTER in config.roles:
        steps.append("  scatter job new my-job")
    return steps
