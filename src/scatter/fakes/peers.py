"""Peers in memory: everybody on a network knows everybody at once; replies are really signed."""

from collections.abc import Callable, Sequence
from hashlib import sha256

import coincurve
from eth_account.signers.local import LocalAccount

from scatter.mechanism.units import Address, JobId
from scatter.ports.addresses import name_peer
from scatter.ports.peers import KeyKeeper, KeyRefused, KeyReply, PeerRecord, PeerUnreachable
from scatter.ports.statements import (
    BadStatement,
    Deployment,
    sign_record,
    verify_key_reply,
    verify_record,
)


class FakeNetwork:
    """What the nodes of one deployment share."""

    def __init__(self, deployment: Deployment, now: Callable[[], int] = lambda: 1_000_000) -> None:
        self.deployment = deployment
        self.now = now
        self.nodes: dict[Address, FakePeers] = {}

    def join(self, signer: LocalAccount, gateway: str = "") -> "FakePeers":
        """A node that the others see from now on."""
        peers = FakePeers(self, signer, gateway)
        verify_record(peers.record, self.deployment, now=self.now())
        self.nodes[peers.account] = peers
        return peers

    def leave(self, account: Address) -> None:
        """The node is gone; its record stays known, as it would."""
        self.nodes[account].is_online = False


class FakePeers:
    """One node's view of a `FakeNetwork`."""

    def __init__(self, network: FakeNetwork, signer: LocalAccount, gateway: str) -> None:
        self.account = Address(signer.address)
        self.is_online = True
        secret = coincurve.PrivateKey(sha256(self.account.encode()).digest())
        self.record = sign_record(
            signer,
            network.deployment,
            peer_id=name_peer(secret.public_key.format()),
            addresses=["/ip4/127.0.0.1/tcp/4001"],
            gateway=gateway,
            issued_at=network.now(),
        )
        self._network = network
        self._keeper: KeyKeeper | None = None

    def serve_keys(self, keeper: KeyKeeper) -> None:
        self._keeper = keeper

    async def request_key(self, job: JobId, trainer: Address, holder: Address) -> KeyReply:
        if holder == self.account:
            raise KeyRefused("a node does not ask itself for a key; look into its own store")
        node = self._network.nodes.get(holder)
        if node is None or not node.is_online:
            raise PeerUnreachable(f"{holder}: no peer knows where it is")
        if node._keeper is None:
            raise KeyRefused(f"{holder}: this node hands out no keys")
        reply = await node._keeper(job, trainer, self.account)
        about = (reply.job, reply.trainer, reply.asker, reply.holder)
        try:
            verify_key_reply(reply, self._network.deployment)
        except BadStatement as error:
            raise KeyRefused(f"{holder} answers, but not validly: {error}") from error
        if about != (job, trainer, self.account, holder):
            raise PeerUnreachable(f"{holder}: the holder cannot answer now; try again")
        return reply

    def records(self) -> Sequence[PeerRecord]:
        return [
            node.record for account, node in self._network.nodes.items() if account != self.account
        ]

    def gateways(self, first: Sequence[Address] = ()) -> Sequence[str]:
        records = {record.account: record for record in self.records()}
        ordered = [records.pop(account) for account in dict.fromkeys(first) if account in records]
        return list(
            dict.fromkeys(one.gateway for one in (*ordered, *records.values()) if one.gateway)
        )
