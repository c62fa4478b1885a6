"""The operator's interface: behind its token, bounded, and each failure a sentence."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from structlog.testing import capture_logs

from scatter.learning.inspection import Inspection, SeenFile
from scatter.learning.suspicions import Concern, Suspicion
from scatter.lifecycle.events import (
    JobCancelled,
    JobCreated,
    TrainerJoined,
    TrainingClosed,
    TrainingStarted,
)
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import PAPER
from scatter.mechanism.units import (
    UNIT,
    Address,
    BlockNumber,
    Digest,
    JobId,
    Score,
    Seconds,
    Timestamp,
    Tokens,
)
from scatter.node.amounts import HostPort
from scatter.node.api import operator_api
from scatter.node.operator import Identity, Operator
from scatter.node.serving import PortTaken, bind, bound_port
from scatter.node.token import new_token, read_token
from scatter.ports.chain import ChainUnreachable, Crowd, Head, Holdings
from scatter.ports.sandbox import Isolation
from scatter.ports.store import Work
from scatter.roles.requester import Result, Share

REQUESTER, TRAINER = Address("0x" + "11" * 20), Address("0x" + "22" * 20)
TOKEN = "a-token-of-some-length"
DIGEST = Digest(bytes(32))
CREATED = Timestamp(1_000)


def created(number: int) -> JobCreated:
    return JobCreated(
        job=JobId(number),
        time=CREATED,
        block=BlockNumber(number),
        requester=REQUESTER,
        training_job=DIGEST,
        evaluation_job=DIGEST,
        dataset_commitment=DIGEST,
        topic="digits",
        reward=Tokens(1000 * UNIT),
        threshold=Score(8_000),
        floor=Score(8_000),
        most_trainers=6,
        least_stake=Tokens(UNIT // 2),
        training_time=Seconds(3_600),
    )


@dataclass
class ListedChain:
    """A chain that says what a test wrote down, and writes down what it is told."""

    histories: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    refusal: Exception | None = None
    acts: list[tuple[Any, ...]] = field(default_factory=list)
    account = REQUESTER
    parameters = PAPER

    async def head(self):
        if self.refusal:
            raise self.refusal
        return Head(BlockNumber(9), b"", Timestamp(CREATED + 10))

    async def job_count(self):
        return len(self.histories)

    async def history(self, job):
        return self.histories.get(job, ())

    async def holdings(self, account):
        return Holdings(Tokens(5 * UNIT // 2), Role.VALIDATOR, Tokens(UNIT), Timestamp(0), 1)

    async def crowd(self):
        return Crowd(validators=5, challengers=1)

    async def start(self, job):
        self._act("start", job)

    async def register(self, role, amount):
        self._act("register", role, amount)

    async def request_unstake(self):
        self._act("request_unstake")

    async def withdraw(self):
        self._act("withdraw")

    def _act(self, *act):
        if self.refusal:
            raise self.refusal
        self.acts.append(act)


class Desk:
    """The requester's and the trainer's duty, as far as the operator sees them."""

    def __init__(self) -> None:
        self.proposals: list[Any] = []
        self.agreed: list[tuple[JobId, Tokens]] = []
        self.bought: Result | None = None
        self.approved: list[JobId] = []
        self.reports: list[dict[str, Any]] = []

    async def publish(self, proposal):
        self.proposals.append(proposal)
        return JobId(7)

    async def result(self, job):
        return self.bought

    async def agree(self, job, stake):
        self.agreed.append((job, stake))

    async def inspect(self, job):
        place = Suspicion("train.py", 3, Concern.NETWORK, "import socket")
        seen = Inspection(None, "", (SeenFile("train.py", 9),), ("socket",), (place,), 0)
        return seen, replace(seen, suspicions=())

    async def approve(self, job):
        self.approved.append(job.number)

    async def findings(self, job):
        return self.reports

    async def is_approved(self, job):
        return job.number in self.approved


class Bench:
    """A queue that shows one entry and remembers who was touched."""

    def __init__(self) -> None:
        self.touched: list[JobId] = []

    def touch(self, job):
        self.touched.append(job)

    async def works(self):
        return [Work("requester", JobId(1), "failed", "no peer answers", 5)]

    async def questions(self):
        return ["Job 3 waits."]


class Alone:
    """No other peers, and a sandbox that nobody enters."""

    name, isolation = "plain process (unsafe)", Isolation.NONE

    def records(self):
        return ()


@dataclass
class Node:
    """A node's interface, called in process."""

    chain: ListedChain
    desk: Desk
    bench: Bench
    client: httpx.AsyncClient

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self.client.request(method, path, **options))


@pytest.fixture
def node_with():
    def build(*, requester=True, trainer=True, token=TOKEN) -> Node:
        chain, desk, bench, alone = ListedChain(), Desk(), Bench(), Alone()
        identity = Identity(
            name="node-1",
            roles=("requester", "trainer"),
            chain_name="paper at http://127.0.0.1:8545",
            chain_id=31_337,
            protocol=Address("0x" + "33" * 20),
            http="127.0.0.1:1",
            peer_addresses=("/ip4/127.0.0.1/tcp/1/p2p/x",),
            gateway="http://127.0.0.1:2",
            minimum=Isolation.GUEST_KERNEL,
        )
        operator = Operator(
            identity,
            chain,
            alone,
            alone,
            bench,
            review=desk,
            requester=desk if requester else None,
            trainer=desk if trainer else None,
        )
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(
                operator_api(operator, TOKEN), raise_app_exceptions=False
            ),
            base_url="http://node",
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
        return Node(chain, desk, bench, client)

    return build


@pytest.fixture
def node(node_with) -> Node:
    return node_with()


@pytest.fixture
def node_with_jobs(node) -> Node:
    for number in range(1, 6):
        node.chain.histories[number] = (created(number),)
    joined = TrainerJoined(
        job=JobId(2), time=CREATED, block=BlockNumber(7), trainer=TRAINER, stake=Tokens(UNIT)
    )
    ended = JobCancelled(job=JobId(4), time=CREATED, block=BlockNumber(7), actor=TRAINER)
    node.chain.histories[2] += (joined,)
    node.chain.histories[4] += (ended,)
    return node


class TestToken:
    @pytest.mark.parametrize("path", ["/status", "/jobs", "/balance", "/openapi.json", "/nothing"])
    def test_everything_but_health_needs_it(self, node_with, path):
        for token in ("", "wrong", TOKEN[:-1], TOKEN + "x"):
            answer = node_with(token=token).ask("GET", path)

            assert answer.status_code == 401
            assert "Bearer" in answer.json()["error"]

    def test_health_does_not(self, node_with):
        assert node_with(token="").ask("GET", "/health").json() == {"ok": True}

    def test_a_token_that_others_may_read_is_refused(self, tmp_path):
        token = new_token(tmp_path / "token")
        assert read_token(tmp_path / "token") == token

        (tmp_path / "token").chmod(0o644)
        with pytest.raises(Exception, match="chmod 600"):
            read_token(tmp_path / "token")


class TestBounds:
    def test_a_long_request_is_refused_before_it_is_read(self, node):
        answer = node.ask("POST", "/stake", content=b"x" * (64 * 1024 + 1))

        assert answer.status_code == 413

    def test_so_is_one_that_does_not_say_how_long_it_is(self, node):
        async def endless():
            for _ in range(65):
                yield b" " * 1024

        answer = node.ask("POST", "/stake", content=endless())

        assert answer.status_code == 413


class TestLooking:
    def test_status_says_what_the_node_is(self, node):
        status = node.ask("GET", "/status").json()

        assert status["account"] == REQUESTER
        assert status["head"] == 9
        assert (status["validators"], status["challengers"]) == (5, 1)
        assert status["least_challengers"] == PAPER.least_electorate
        assert status["isolation"] == "none"
        assert status["least_isolation"] == "guest-kernel"
        assert (status["approval"], status["waiting_for_approval"]) == ("never", ["Job 3 waits."])

    def test_amounts_are_exact_decimal_tokens(self, node):
        answer = node.ask("GET", "/balance").json()

        assert (answer["balance"], answer["stake"], answer["role"]) == ("2.5", "1", "validator")

    def test_another_accounts_balance_can_be_asked_for(self, node):
        assert node.ask("GET", f"/balance?account={TRAINER}").json()["account"] == TRAINER
        assert node.ask("GET", "/balance?account=me").status_code == 422

    def test_jobs_come_newest_first_a_page_at_a_time(self, node_with_jobs):
        first = node_with_jobs.ask("GET", "/jobs?most=2").json()
        rest = node_with_jobs.ask("GET", f"/jobs?newest={first['following']}").json()

        assert [job["job"] for job in first["jobs"]] == [5, 4]
        assert [job["job"] for job in rest["jobs"]] == [3, 2, 1]
        assert rest["following"] is None

    def test_jobs_are_filtered_by_phase(self, node_with_jobs):
        answer = node_with_jobs.ask("GET", "/jobs?phase=cancelled").json()

        assert [job["job"] for job in answer["jobs"]] == [4]

    def test_a_job_tells_its_terms_and_who_joined(self, node_with_jobs):
        job = node_with_jobs.ask("GET", "/jobs/2").json()

        assert job["phase"] == "open"
        assert job["part"] == "requester"
        assert job["threshold"] == "0.8"
        assert job["least_stake"] == "0.5"
        assert job["deadline"] == CREATED + PAPER.join_window
        assert job["trainers"] == [{"account": TRAINER, "stake": "1", "model": None}]
        assert job["electorate"] is None

    def test_a_job_closed_to_training_tells_who_may_vote(self, node_with_jobs):
        at = {"job": JobId(1), "time": CREATED, "block": BlockNumber(8), "actor": REQUESTER}
        closed = TrainingClosed(
            **at, seed_block=BlockNumber(9), electorate=2, eligible_validators=3
        )
        node_with_jobs.chain.histories[1] += (TrainingStarted(**at), closed)

        assert node_with_jobs.ask("GET", "/jobs/1").json()["electorate"] == 2

    def test_the_queue_says_why_something_failed(self, node):
        assert node.ask("GET", "/work").json()["work"][0]["note"] == "no peer answers"

    def test_a_result_tells_of_what_it_was_made(self, node_with_jobs):
        share = Share(TRAINER, Score(9_000), 1.0, "")
        node_with_jobs.desk.bought = Result(Path("/r/global.safetensors"), (share,))

        answer = node_with_jobs.ask("GET", "/jobs/1/result").json()

        assert answer["model"] == "/r/global.safetensors"
        assert answer["shares"][0]["score"] == "0.9"

    def test_an_inspection_says_what_is_where_in_a_job(self, node_with_jobs):
        answer = node_with_jobs.ask("GET", "/jobs/1/inspection").json()

        assert answer["training"]["files"] == [{"name": "train.py", "size": 9}]
        assert answer["training"]["suspicions"] == [
            {"file": "train.py", "line": 3, "concern": "network", "what": "import socket"}
        ]
        assert answer["evaluation"]["suspicions"] == []
        assert answer["approved"] is False

    def test_findings_show_the_scores_and_the_runs_that_gave_them(self, node_with_jobs):
        run = {"models": 1, "ok": True, "reason": "", "seconds": 0.5, "backend": "b", "log": "x"}
        model = {"trainer": TRAINER, "model": None, "score": 8_500, "remark": "", "seen": True}
        report = {
            "job": 1,
            "by": TRAINER,
            "role": "challenger",
            "evaluation_job": "bafy",
            "dataset": None,
            "reason_to_refrain": "",
            "tolerance": 10,
            "models": [model],
            "runs": [run],
        }
        node_with_jobs.desk.reports = [report]

        (found,) = node_with_jobs.ask("GET", "/jobs/1/findings").json()["findings"]

        assert found["models"] == [model | {"score": "0.85"}]
        assert found["runs"] == [run]
        assert (found["tolerance"], found["published"]) == ("0.001", None)

    def test_every_operation_is_documented(self, node):
        document = node.ask("GET", "/openapi.json").json()

        operations = [one for path in document["paths"].values() for one in path.values()]
        assert len(operations) == 16
        assert all(operation["summary"] for operation in operations)
        assert "HTTPBearer" in document["components"]["securitySchemes"]


class TestActing:
    PROPOSAL: ClassVar = {
        "training_job": "/jobs/train",
        "evaluation_job": "/jobs/eval",
        "dataset": "/data/eval",
        "reward": "1000.5",
        "threshold": "0.8",
        "training_hours": 0.001,
    }

    def test_a_proposal_reaches_the_requester_in_exact_units(self, node):
        answer = node.ask("POST", "/jobs", json=self.PROPOSAL)

        assert (answer.status_code, answer.json()) == (201, {"job": 7})
        proposal = node.desk.proposals[0]
        assert proposal.reward == 1000 * UNIT + UNIT // 2
        assert proposal.threshold == proposal.floor == 8_000
        assert proposal.training_time == 4
        assert node.bench.touched == [7]

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"reward": "much"}, "'much' is not an amount of tokens"),
            ({"reward": 1000}, "body.reward: Input should be a valid string"),
            ({"threshold": "80"}, "'80' is not a score"),
            ({"dataset": "eval"}, "'eval' is not an absolute path"),
            ({"most_trainers": 65}, "body.most_trainers: Input should be less than"),
            ({"color": "red"}, "body.color: Extra inputs are not permitted"),
        ],
    )
    def test_a_bad_proposal_is_a_sentence(self, node, change, sentence):
        answer = node.ask("POST", "/jobs", json=self.PROPOSAL | change)

        assert answer.status_code == 422
        assert sentence in answer.json()["error"]

    def test_join_is_the_trainers(self, node_with_jobs):
        assert node_with_jobs.ask("POST", "/jobs/1/join", json={"stake": "2"}).is_success
        assert node_with_jobs.desk.agreed == [(1, 2 * UNIT)]

    def test_an_approved_job_is_looked_at_again(self, node_with_jobs):
        assert node_with_jobs.ask("POST", "/jobs/3/approve").is_success

        assert node_with_jobs.desk.approved == node_with_jobs.bench.touched == [3]
        assert node_with_jobs.ask("GET", "/jobs/3/inspection").json()["approved"] is True

    def test_stakes_are_put_asked_back_and_taken(self, node):
        node.ask("POST", "/stake", json={"role": "validator", "amount": "25000"})
        node.ask("POST", "/unstake")
        node.ask("POST", "/withdraw")

        assert node.chain.acts == [
            ("register", Role.VALIDATOR, 25_000 * UNIT),
            ("request_unstake",),
            ("withdraw",),
        ]


class TestFailures:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/jobs/99", 404),
            ("GET", "/jobs/0", 422),
            ("GET", "/jobs/99999999999999999999999", 422),
            ("GET", "/jobs/1/result", 404),
            ("GET", "/jobs/1/findings", 404),
            ("POST", "/jobs/99/start", 404),
            ("POST", "/jobs/99/approve", 404),
            ("GET", "/jobs/99/inspection", 404),
            ("GET", "/nothing", 404),
            ("DELETE", "/jobs/1", 405),
            ("POST", "/stake", 422),
        ],
    )
    def test_each_has_its_status_and_a_sentence(self, node_with_jobs, method, path, status):
        answer = node_with_jobs.ask(method, path)

        assert answer.status_code == status
        assert isinstance(answer.json()["error"], str)

    @pytest.mark.parametrize(
        ("error", "status"),
        [(Refused("job: too early"), 409), (ChainUnreachable(), 503), (ZeroDivisionError(), 500)],
    )
    def test_the_chains_refusals_keep_their_words(self, node_with_jobs, error, status):
        node_with_jobs.chain.refusal = error

        with capture_logs():
            answer = node_with_jobs.ask("POST", "/withdraw")

        assert answer.status_code == status
        if status != 500:
            assert answer.json() == {"error": str(error)}

    def test_an_act_of_a_role_that_the_node_lacks_says_so(self, node_with):
        node = node_with(requester=False, trainer=False)

        publish = node.ask("POST", "/jobs", json=TestActing.PROPOSAL)
        join = node.ask("POST", "/jobs/1/join", json={"stake": "2"})

        assert publish.status_code == join.status_code == 409
        assert 'add "requester" to node.roles' in publish.json()["error"]
        assert 'add "trainer" to node.roles' in join.json()["error"]


def test_a_taken_port_is_one_sentence_that_names_the_setting():
    with bind(HostPort("127.0.0.1", 0), "http.listen") as first:
        taken = HostPort("127.0.0.1", bound_port(first))

        with pytest.raises(PortTaken, match=r"stop what listens there, or change http\.listen"):
            bind(taken, "http.listen")
