"""What a role does for a job, and what it needs for it."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from scatter.mechanism.units import Address, BasisPoints, Digest, JobId, Seconds, Timestamp, Tokens
from scatter.ports.chain import Chain
from scatter.ports.content import Content
from scatter.ports.inspection import Inspect
from scatter.ports.peers import Peers
from scatter.ports.sandbox import INSTALL, Isolation, Limits, Sandbox
from scatter.ports.store import Store


@dataclass(frozen=True)
class Surroundings:
    """One node's outside, as every duty sees it."""

    chain: Chain
    content: Content
    peers: Peers
    sandbox: Sandbox
    store: Store
    inspect: Inspect
    folder: Path
    """The node's own folder for work in progress and results; one sub-folder per job."""
    sealing_context: tuple[int, Address]
    """Chain id and address of ScatterProtocol, to which sealed models are bound."""


class Approval(StrEnum):
    """Which jobs wait until the operator approves them."""

    NEVER = "never"
    """None: the sandbox is trusted with them."""
    SUSPICIOUS = "suspicious"
    """Those with something suspicious in what this node would run."""
    ALWAYS = "always"
    """All."""


@dataclass(frozen=True)
class SandboxPolicy:
    """Whose jobs may run on the backend at hand, and with how much."""

    minimum: Isolation = Isolation.GUEST_KERNEL
    trusted_jobs: frozenset[Digest] = frozenset()
    """Jobs that the operator trusts as its own code, by content."""
    caps: Limits = field(default_factory=Limits)
    approval: Approval = Approval.NEVER
    """Which of those that are not trusted wait for the operator's approval."""

    def allows(self, job: Digest, isolation: Isolation) -> bool:
        """Whether this job may run on a backend of this strength."""
        return isolation >= self.minimum or job in self.trusted_jobs

    def weakness(self, sandbox: Sandbox) -> str:
        """The end of a sentence about a job that may not run on this sandbox."""
        return (
            f"{sandbox.name} is weaker than the configured minimum ({self.minimum.name.lower()}). "
            f"Install {INSTALL[self.minimum]}, or name the job in trusted_jobs."
        )


@dataclass(frozen=True)
class Offer:
    """What a trainer brings to a topic: its data, and the terms on which it joins unasked."""

    data: Path
    stake: Tokens
    least_reward: Tokens = Tokens(0)
    longest_training: Seconds = Seconds(14 * 86_400)
    join_unasked: bool = True


@dataclass(frozen=True)
class Patience:
    """How long a duty waits for others before it does their part or gives up on them."""

    turn: Seconds = Seconds(4)
    """Between one node's turn and the next, for calls that anybody may make."""
    keys: BasisPoints = BasisPoints(5_000)
    """Share of a window after which a model whose key nobody gave counts as unreadable."""
    retry: Seconds = Seconds(2)
    """Between two attempts to reach a peer or a gateway."""
    accuse: Seconds = Seconds(0)
    """From the start of CHALLENGE to this node's first accusation."""


class Duty(Protocol):
    """One role's duty in jobs."""

    @property
    def name(self) -> str:
        """The role, as shown to people: `trainer`, `validator`, `challenger`, `requester`."""
        ...

    async def advance(self, job: JobId) -> Timestamp | None:
        """Does what is due in `job` now.

        Returns when to look again even if nothing happens, or None when only an event can change
        anything. Safe to call at any time, any number of times, but not twice at once for the
        same job. Raises ScatterError when a step failed; the step is due again.
        """
        ...
