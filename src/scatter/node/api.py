"""The HTTP interface by which an operator, or its programs, use a node (paper 3.5).

Every call but `/health` needs the node's token. A failure answers {"error": SENTENCE}: 401
without the token, 404 for what is not there, 409 for what the protocol or the node's roles refuse,
413 and 422 for requests that are too long or do not say what they must, 503 while the chain is out
of reach.
"""

from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from scatter import __version__
from scatter.lifecycle.vocabulary import Phase
from scatter.mechanism.errors import BadInput, Refused, ScatterError
from scatter.mechanism.units import JobId
from scatter.node.amounts import read_tokens
from scatter.node.findings import FindingsView, view_findings
from scatter.node.gate import Gate
from scatter.node.operator import (
    MOST_LISTED,
    NoFindings,
    NoResult,
    NoSuchJob,
    NotThisRole,
    Operator,
)
from scatter.node.views import (
    DoneView,
    ErrorView,
    HealthView,
    HoldingsView,
    InspectionView,
    JobsView,
    JobView,
    JoinView,
    PhaseName,
    ProposalView,
    PublishedView,
    ResultView,
    StakeView,
    StatusView,
    WorksView,
    read_account,
    view_holdings,
    view_inspection,
    view_job,
    view_page,
    view_result,
    view_status,
    view_work,
)
from scatter.ports.chain import ChainUnreachable
from scatter.ports.content import ContentNotFound
from scatter.ports.peers import PeerUnreachable

_log = structlog.get_logger()

STATUS: tuple[tuple[type[ScatterError], HTTPStatus], ...] = (
    (Refused, HTTPStatus.CONFLICT),
    (NotThisRole, HTTPStatus.CONFLICT),
    (BadInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NoSuchJob, HTTPStatus.NOT_FOUND),
    (NoResult, HTTPStatus.NOT_FOUND),
    (NoFindings, HTTPStatus.NOT_FOUND),
    (ContentNotFound, HTTPStatus.NOT_FOUND),
    (ChainUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (PeerUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (ScatterError, HTTPStatus.CONFLICT),
)
"""Which status an error has; the first that fits."""

Number = Annotated[JobId, Path(ge=1, le=2**63 - 1, description="The number of a job.")]
Errors = dict[int | str, dict[str, Any]]

_ERRORS: Errors = {
    status: {"model": ErrorView, "description": text}
    for status, text in (
        (401, "The token is missing or wrong."),
        (404, "There is no such thing."),
        (409, "The protocol, or the node's roles, do not allow it now."),
        (413, "The request is too long."),
        (422, "The request does not say what it must."),
        (503, "The chain is out of reach."),
    )
}


def operator_api(operator: Operator, token: str) -> FastAPI:
    """The application, ready to be served; `token` is what callers must show."""
    app = FastAPI(
        title="Scatter node",
        version=__version__,
        summary="Publish, join and watch federated learning jobs.",
        description=__doc__ or "",
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
    )
    app.include_router(_looks(operator), dependencies=[Depends(HTTPBearer(auto_error=False))])
    app.include_router(_acts(operator), dependencies=[Depends(HTTPBearer(auto_error=False))])

    @app.get("/health", tags=["node"], summary="Whether the node answers; needs no token")
    async def health() -> HealthView:
        return HealthView()

    app.add_exception_handler(ScatterError, _answer_scatter_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_unexpected)
    app.add_middleware(Gate, token=token, public=frozenset({"/health"}))
    return app


def _looks(operator: Operator) -> APIRouter:
    """What only reads."""
    router = APIRouter()

    @router.get("/status", tags=["node"], summary="What the node is and how it stands")
    async def status() -> StatusView:
        head, crowd = await operator.head(), await operator.crowd()
        return view_status(operator, head, crowd, await operator.questions(), __version__)

    @router.get("/work", tags=["node"], summary="The queue: what runs, waits, failed or is done")
    async def work() -> WorksView:
        return WorksView(work=[view_work(work) for work in await operator.works()])

    @router.get("/balance", tags=["account"], summary="Tokens, role and role stake of an account")
    async def balance(
        account: Annotated[str, Query(max_length=64, description="By default the node's.")] = "",
    ) -> HoldingsView:
        whose = read_account(account) if account else operator.account
        return view_holdings(whose, await operator.holdings(whose))

    @router.get("/jobs", tags=["jobs"], summary="Jobs, the newest first, a page at a time")
    async def jobs(
        phase: Annotated[PhaseName | None, Query(description="Only jobs in this phase.")] = None,
        newest: Annotated[
            int | None, Query(ge=1, description="Begin with this number, as `following` says.")
        ] = None,
        most: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    ) -> JobsView:
        among = None if phase is None else Phase[phase.upper()]
        begin = None if newest is None else JobId(newest)
        return view_page(await operator.jobs(among, begin, most), operator.account)

    @router.get("/jobs/{job}", tags=["jobs"], summary="One job as it stands")
    async def job_(job: Number) -> JobView:
        return view_job(await operator.job(job), operator.account)

    @router.get(
        "/jobs/{job}/inspection", tags=["jobs"], summary="What a job holds; nothing of it is run"
    )
    async def inspection(job: Number) -> InspectionView:
        return view_inspection(await operator.inspect(job))

    @router.get(
        "/jobs/{job}/findings", tags=["jobs"], summary="What this node found when it evaluated"
    )
    async def findings(job: Number) -> FindingsView:
        return view_findings(job, await operator.findings(job))

    @router.get(
        "/jobs/{job}/result", tags=["jobs"], summary="Where the aggregate lies, of what it was made"
    )
    async def result(job: Number) -> ResultView:
        return view_result(job, await operator.result(job))

    return router


def _acts(operator: Operator) -> APIRouter:
    """What changes something; a transaction answers when its effect is on chain."""
    router = APIRouter()

    @router.post("/jobs", tags=["jobs"], status_code=201, summary="Publish a job (requester)")
    async def publish(proposal: ProposalView) -> PublishedView:
        return PublishedView(job=await operator.publish(proposal.proposal()))

    @router.post("/jobs/{job}/join", tags=["jobs"], summary="Join a job by hand (trainer)")
    async def join(job: Number, terms: JoinView) -> DoneView:
        await operator.join(job, read_tokens(terms.stake))
        return DoneView()

    @router.post("/jobs/{job}/approve", tags=["jobs"], summary="Let this node join and run a job")
    async def approve(job: Number) -> DoneView:
        await operator.approve(job)
        return DoneView()

    @router.post("/jobs/{job}/start", tags=["jobs"], summary="Start training (requester)")
    async def start(job: Number) -> DoneView:
        await operator.start(job)
        return DoneView()

    @router.post("/stake", tags=["account"], summary="Take a role by its stake")
    async def stake(terms: StakeView) -> DoneView:
        await operator.stake(terms.as_role, read_tokens(terms.amount))
        return DoneView()

    @router.post("/unstake", tags=["account"], summary="Ask the role stake back")
    async def unstake() -> DoneView:
        await operator.unstake()
        return DoneView()

    @router.post("/withdraw", tags=["account"], summary="Take a stake that is free again")
    async def withdraw() -> DoneView:
        await operator.withdraw()
        return DoneView()

    return router


async def _answer_scatter_error(request: Request, error: Exception) -> Response:
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    return JSONResponse({"error": str(error)}, status)


async def _answer_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return JSONResponse({"error": f"{where}: {first['msg']}"}, HTTPStatus.UNPROCESSABLE_ENTITY)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    _log.error("a request failed", path=request.url.path, exc_info=error)
    return JSONResponse({"error": "the node failed; its log says why"}, 500)
