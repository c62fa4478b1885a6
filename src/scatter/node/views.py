"""The values that the HTTP interface takes and gives, and how they come from the protocol's own.

Amounts are decimal numbers of tokens in quotes ("1000.5"), scores are numbers from "0" to "1" in
quotes, times are seconds since 1970, contents are CIDs. Nothing is rounded.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from eth_utils.address import is_address, to_checksum_address
from pydantic import BaseModel, ConfigDict, Field

from scatter.learning.inspection import Inspection
from scatter.lifecycle.job import Job, deadline, phase
from scatter.lifecycle.vocabulary import Phase, Role, Verdict
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, Digest, JobId, Seconds
from scatter.node.amounts import read_score, read_tokens, write_score, write_tokens
from scatter.node.operator import Operator, Page, Seen, Standpoint
from scatter.ports.chain import Crowd, Head, Holdings
from scatter.ports.sandbox import Isolation
from scatter.ports.store import Work
from scatter.roles.requester import Proposal, Result
from scatter.unixfs.cid import folder_text

Amount = Annotated[str, Field(examples=["1000"], max_length=40)]
Share = Annotated[str, Field(examples=["0.85"], max_length=10)]
FolderPath = Annotated[str, Field(max_length=4_096, description="An absolute path at the node.")]
PhaseName = Literal[
    "open", "training", "dataset", "commit", "reveal", "challenge", "settled", "cancelled"
]


class Value(BaseModel):
    """What is taken or given; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorView(Value):
    """Why a call failed."""

    error: Annotated[str, Field(examples=["job: not open"])]


class ProposalView(Value):
    """A job to be published."""

    training_job: FolderPath
    evaluation_job: FolderPath
    dataset: FolderPath
    reward: Amount
    threshold: Share
    floor: Annotated[Share | None, Field(description="By default the threshold.")] = None
    most_trainers: Annotated[int, Field(ge=1, le=64, examples=[6])] = 16
    least_stake: Amount = "1"
    training_hours: Annotated[float, Field(gt=0, le=336, examples=[1])] = 1.0

    def proposal(self) -> Proposal:
        """The same in the protocol's units. Raises BadInput."""
        threshold = read_score(self.threshold)
        return Proposal(
            training_job=_folder(self.training_job),
            evaluation_job=_folder(self.evaluation_job),
            dataset=_folder(self.dataset),
            reward=read_tokens(self.reward),
            threshold=threshold,
            floor=threshold if self.floor is None else read_score(self.floor),
            most_trainers=self.most_trainers,
            least_stake=read_tokens(self.least_stake),
            training_time=Seconds(max(1, round(self.training_hours * 3_600))),
        )


class PublishedView(Value):
    """A job that was published."""

    job: JobId


class JoinView(Value):
    """With how much to join."""

    stake: Amount


class StakeView(Value):
    """Which role to take, and with how much."""

    role: Literal["validator", "challenger"]
    amount: Amount

    @property
    def as_role(self) -> Role:
        """The role's number on chain."""
        return Role[self.role.upper()]


class DoneView(Value):
    """An act whose effect is on chain."""

    done: Literal[True] = True


class TrainerView(Value):
    """One that joined."""

    account: Address
    stake: Amount
    model: str | None


class MemberView(Value):
    """One of the committee."""

    account: Address
    acted: bool
    scores: list[Share] | None


class AccusationView(Value):
    """One accusation and its votes."""

    target: Address
    accuser: Address
    yes: int
    no: int
    upheld: bool


class JobView(Value):
    """A job as it stands."""

    job: JobId
    phase: PhaseName
    deadline: Annotated[int | None, Field(description="When the phase's acts end.")]
    part: Annotated[str, Field(description="Of this node: requester, trainer, member or empty.")]
    topic: str
    requester: Address
    training_job: str
    evaluation_job: str
    dataset: str | None
    reward: Amount
    threshold: Share
    floor: Share
    most_trainers: int
    least_stake: Amount
    training_hours: float
    electorate: Annotated[
        int | None, Field(description="Challengers that may vote, once training is closed.")
    ]
    trainers: list[TrainerView]
    committee: list[MemberView]
    accusations: list[AccusationView]
    verdict: str | None


class InspectionView(Value):
    """What a job holds."""

    job: JobId
    approved: bool
    training: Inspection
    evaluation: Inspection


class JobsView(Value):
    """A page of jobs, the newest first."""

    jobs: list[JobView]
    following: Annotated[
        JobId | None, Field(description="Ask again with newest= this number for older jobs.")
    ]


class ShareView(Value):
    """One accepted model in the aggregate, or why it could not be had."""

    trainer: Address
    score: Share
    weight: float
    problem: str


class ResultView(Value):
    """What a requester got for its reward."""

    job: JobId
    model: Annotated[str | None, Field(description="The aggregate's path at the node.")]
    shares: list[ShareView]


class HoldingsView(Value):
    """What an account owns and where it stands."""

    account: Address
    balance: Amount
    role: Literal["none", "validator", "challenger"]
    stake: Amount
    leaving_until: int
    offences: int


class WorkView(Value):
    """One entry of the queue."""

    role: str
    job: JobId
    state: str
    note: str
    since: int


class WorksView(Value):
    """The queue."""

    work: list[WorkView]


class StatusView(Value):
    """What a node is and how it stands."""

    version: str
    name: str
    account: Address
    roles: list[str]
    chain: str
    chain_id: int
    protocol: Address
    head: int
    head_time: int
    validators: Annotated[int, Field(description="Registered on chain.")]
    challengers: Annotated[int, Field(description="Registered on chain.")]
    least_challengers: Annotated[int, Field(description="Fewer cannot accuse anybody.")]
    sandbox: str
    isolation: str
    least_isolation: str
    approval: Annotated[str, Field(description="Which jobs wait for the operator's approval.")]
    waiting_for_approval: list[str]
    peer_addresses: list[str]
    peers_known: int
    gateway: str


class HealthView(Value):
    """Said without a token."""

    ok: Literal[True] = True


def view_job(at: Standpoint, me: Address) -> JobView:
    """A job, seen by the account `me`."""
    job, terms = at.job, at.job.created
    return JobView(
        job=job.number,
        phase=phase_name(phase(job, at.now)),
        deadline=deadline(job, at.now),
        part=_part(job, me),
        topic=terms.topic,
        requester=terms.requester,
        training_job=folder_text(terms.training_job),
        evaluation_job=folder_text(terms.evaluation_job),
        dataset=_content(job.dataset),
        reward=write_tokens(terms.reward),
        threshold=write_score(terms.threshold),
        floor=write_score(terms.floor),
        most_trainers=terms.most_trainers,
        least_stake=write_tokens(terms.least_stake),
        training_hours=terms.training_time / 3_600,
        electorate=None if job.closed_at is None else job.electorate,
        trainers=[
            TrainerView(account=t.account, stake=write_tokens(t.stake), model=_content(t.model))
            for t in job.trainers.values()
        ],
        committee=[
            MemberView(
                account=m.account,
                acted=m.acted,
                scores=None if m.scores is None else [write_score(s) for s in m.scores],
            )
            for m in job.committee.values()
        ],
        accusations=[
            AccusationView(
                target=a.target,
                accuser=a.accuser,
                yes=len(a.yes),
                no=len(a.no),
                upheld=a.upheld,
            )
            for a in job.accusations.values()
        ],
        verdict=_verdict(job.verdict),
    )


def view_page(page: Page, me: Address) -> JobsView:
    """A page of jobs, seen by the account `me`."""
    return JobsView(jobs=[view_job(at, me) for at in page.jobs], following=page.following)


def view_holdings(account: Address, holdings: Holdings) -> HoldingsView:
    """What an account owns."""
    return HoldingsView(
        account=account,
        balance=write_tokens(holdings.balance),
        role=_role(holdings.role),
        stake=write_tokens(holdings.stake),
        leaving_until=holdings.leaving_until,
        offences=holdings.offences,
    )


def view_result(job: JobId, result: Result) -> ResultView:
    """What a requester got."""
    return ResultView(
        job=job,
        model=None if result.model is None else str(result.model),
        shares=[
            ShareView(
                trainer=share.trainer,
                score=write_score(share.score),
                weight=share.weight,
                problem=share.problem,
            )
            for share in result.shares
        ],
    )


def view_work(work: Work) -> WorkView:
    """One entry of the queue."""
    return WorkView(
        role=work.role, job=work.job, state=work.state, note=work.note, since=work.since
    )


def view_inspection(seen: Seen) -> InspectionView:
    """What a job holds."""
    return InspectionView(
        job=seen.job,
        approved=seen.approved,
        training=seen.training,
        evaluation=seen.evaluation,
    )


def view_status(
    operator: Operator, head: Head, crowd: Crowd, questions: Sequence[str], version: str
) -> StatusView:
    """What a node is and how it stands."""
    identity = operator.identity
    return StatusView(
        version=version,
        name=identity.name,
        account=operator.account,
        roles=list(identity.roles),
        chain=identity.chain_name,
        chain_id=identity.chain_id,
        protocol=identity.protocol,
        head=head.number,
        head_time=head.time,
        validators=crowd.validators,
        challengers=crowd.challengers,
        least_challengers=operator.parameters.least_electorate,
        sandbox=operator.sandbox.name,
        isolation=isolation_name(operator.sandbox.isolation),
        least_isolation=isolation_name(identity.minimum),
        approval=identity.approval,
        waiting_for_approval=list(questions),
        peer_addresses=list(identity.peer_addresses),
        peers_known=operator.peers_known,
        gateway=identity.gateway,
    )


def phase_name(number: Phase) -> PhaseName:
    """A phase as it is written outside."""
    match number:
        case Phase.OPEN:
            return "open"
        case Phase.TRAINING:
            return "training"
        case Phase.DATASET:
            return "dataset"
        case Phase.COMMIT:
            return "commit"
        case Phase.REVEAL:
            return "reveal"
        case Phase.CHALLENGE:
            return "challenge"
        case Phase.SETTLED:
            return "settled"
        case _:
            return "cancelled"


def isolation_name(isolation: Isolation) -> str:
    """An isolation as the configuration writes it."""
    return isolation.name.lower().replace("_", "-")


def _role(role: Role) -> Literal["none", "validator", "challenger"]:
    match role:
        case Role.VALIDATOR:
            return "validator"
        case Role.CHALLENGER:
            return "challenger"
        case _:
            return "none"


def read_account(text: str) -> Address:
    """An address as its checksummed form (ERC-55). Raises BadInput."""
    if not is_address(text):
        raise BadInput(f"{text!r} is not an account; write it as 0x and 40 hexadecimal digits")
    return Address(to_checksum_address(text))


def _part(job: Job, me: Address) -> str:
    if me == job.requester:
        return "requester"
    if me in job.trainers:
        return "trainer"
    return "member" if me in job.committee else ""


def _verdict(verdict: Verdict) -> str | None:
    return None if verdict is Verdict.NONE else verdict.name.lower().replace("_", " ")


def _content(digest: Digest | None) -> str | None:
    return None if digest is None else folder_text(digest)


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise BadInput(f"{text!r} is not an absolute path; the node does not know your folder")
    return path
