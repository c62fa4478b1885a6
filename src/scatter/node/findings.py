"""The findings of a node as its HTTP interface gives them; amounts as in `scatter.node.views`."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from scatter.mechanism.units import Address, JobId, Score
from scatter.node.amounts import write_score
from scatter.node.views import Share, Value
from scatter.roles.evidence import Report


class ExaminedView(Value):
    """One model, as this node sees it."""

    trainer: Address
    model: str | None
    score: Share
    remark: Annotated[str, Field(description="Why it scores 0 unseen, or empty.")]
    seen: bool


class RunView(Value):
    """One run of the evaluation job."""

    models: int
    ok: bool
    reason: str
    seconds: float
    backend: str
    log: Annotated[str, Field(description="The last part of what the job printed.")]


class FindingView(Value):
    """What this node found in one role."""

    role: str
    evaluation_job: str
    dataset: str | None
    reason_to_refrain: Annotated[str, Field(description="Empty when there was none.")]
    tolerance: Share
    models: list[ExaminedView]
    runs: list[RunView]
    published: Annotated[str | None, Field(description="The CID under which others can see it.")]


class FindingsView(Value):
    """What this node found in a job, by role."""

    job: JobId
    findings: list[FindingView]


def view_findings(job: JobId, found: Sequence[Report]) -> FindingsView:
    """What this node found in a job."""
    return FindingsView(job=job, findings=[_finding(report) for report in found])


def _finding(report: Report) -> FindingView:
    models = [one | {"score": write_score(Score(one["score"]))} for one in report["models"]]
    return FindingView(
        role=report["role"],
        evaluation_job=report["evaluation_job"],
        dataset=report["dataset"],
        reason_to_refrain=report["reason_to_refrain"],
        tolerance=write_score(Score(report["tolerance"])),
        models=[ExaminedView(**one) for one in models],
        runs=[RunView(**run) for run in report["runs"]],
        published=report.get("published"),
    )
