"""Other nodes, by the account they act for: their addresses and the keys of models.

A peer's identity is bound to its account, replies are signed, and nothing travels in the clear.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import Address, Digest, JobId


class PeerUnreachable(ScatterError):
    """No address of this account is known, or none answers. It may be offline; try again."""


class KeyRefused(ScatterError):
    """The peer answered, and does not hand over a key: not yet, or not to this account."""


@dataclass(frozen=True)
class KeyReply:
    """A model's key, signed by the account that handed it over (`docs/protocol.md`, section 8)."""

    job: JobId
    trainer: Address
    model: Digest
    key_commitment: Digest
    key: bytes = field(repr=False)
    asker: Address
    holder: Address
    signature: bytes
    """EIP-712, of `holder`, over all of the above."""


KeyKeeper = Callable[[JobId, Address, Address], Awaitable[KeyReply]]
"""Called as `keeper(job, trainer, asker)`; raises KeyRefused. `asker` is proven by the channel."""


@dataclass(frozen=True)
class PeerRecord:
    """Where an account is reached, signed by it."""

    account: Address
    peer_id: str
    addresses: tuple[str, ...]
    """libp2p multiaddresses, at most 8."""
    gateway: str
    """Base address of its trustless gateway, or empty."""
    issued_at: int
    signature: bytes
    """EIP-712, of `account`, over all of the above."""


class Peers(Protocol):
    """This node among the others."""

    def serve_keys(self, keeper: KeyKeeper) -> None:
        """Answers key requests of others with `keeper` from now on."""
        ...

    async def request_key(self, job: JobId, trainer: Address, holder: Address) -> KeyReply:
        """Asks `holder` for the key of `trainer`'s model.

        The reply's signature and fields are verified; whether the key opens the model is for the
        caller to see. Raises PeerUnreachable or KeyRefused.
        """
        ...

    def records(self) -> Sequence[PeerRecord]:
        """Every record known and verified, newest per account."""
        ...

    def gateways(self, first: Sequence[Address] = ()) -> Sequence[str]:
        """Base addresses of the gateways known, those of `first` before the rest."""
        ...
