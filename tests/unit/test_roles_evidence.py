"""What a node found is written down, and published before it refrains or accuses."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.scenarios.stage import FIRST_JOB, Stage

from scatter.fakes.sandbox import JobFailed
from scatter.lifecycle.vocabulary import Phase
from scatter.mechanism.errors import Refused
from scatter.roles.evidence import REPORT, recall_evidence
from scatter.simulation.adversaries import SwappingValidator
from scatter.unixfs.cid import folder_digest


def fail(name, path, task):
    raise JobFailed("it used more than 512 MiB")


def report_of(stage, node, role):
    return asyncio.run(recall_evidence(node.store, stage.job(), role))


def published_by(stage, node):
    """The contents of the reports in this node's store, by CID."""
    folders = stage.published.published[node.content.address]
    return {
        digest: json.loads(files[Path(REPORT)])
        for digest, files in folders.items()
        if Path(REPORT) in files
    }


@pytest.fixture
def company(tmp_path):
    def company(**how):
        stage = Stage(tmp_path, trainers=2, validators=2, challengers=2, **how)
        stage.publish()
        return stage

    return company


def test_a_validator_shows_why_it_refrained(company):
    stage = company()
    for node in stage.validators:
        node.evaluate = fail
    stage.play_until(Phase.CHALLENGE)

    report = report_of(stage, stage.validators[0], "validator")
    assert "it used more than 512 MiB" in report["reason_to_refrain"]
    assert [run["models"] for run in report["runs"]] == [2, 1, 1, 1], "the last one is fresh"
    assert not any(run["ok"] for run in report["runs"])
    shown = published_by(stage, stage.validators[0])
    assert shown == {folder_digest(report.pop("published")): report}


def test_scores_are_published_by_nobody_before_they_are_revealed(company):
    stage = company()
    stage.play_out()

    for node in stage.nodes:
        assert published_by(stage, node) == {}, "and honest ones need no report"
    assert len(report_of(stage, stage.validators[0], "validator")["models"]) == 2


def test_a_challenger_shows_why_it_accused(company):
    stage = company(cast={"validator 2": SwappingValidator})
    stage.play_out()

    accuser = stage.job().accusations[stage.validators[1].account].accuser
    node = next(one for one in stage.challengers if one.account == accuser)
    report = report_of(stage, node, "challenger")
    assert report["job"] == FIRST_JOB
    assert report["by"] == accuser
    assert [model["score"] for model in report["models"]] == [8_500, 8_000]
    assert all(model["seen"] for model in report["models"])
    assert folder_digest(report["published"]) in published_by(stage, node)


def test_what_could_not_be_sent_at_once_is_published_once_all_the_same(company):
    stage = company()
    node, attempts = stage.validators[0], []
    for validator in stage.validators:
        validator.evaluate = fail

    async def refrain(real, job):
        attempts.append(job)
        if len(attempts) == 1:
            raise Refused("the chain was away")
        await real(job)

    node.meddle("chain", refrain=refrain)
    stage.play_until(Phase.CHALLENGE)

    assert len(attempts) == 2
    assert len(published_by(stage, node)) == 1
