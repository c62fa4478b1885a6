"""The fake sandbox leaves the files that the harness leaves."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from scatter.fakes.sandbox import FakeSandbox, JobFailed, ModelUnfit
from scatter.ports.sandbox import Task

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def task(verb: str, at: Path, **models: Path) -> Task:
    return Task(verb=verb, job=at, data=at, output=at / "out", models=models)


async def test_training_leaves_a_model_and_metrics(tmp_path: Path) -> None:
    sandbox = FakeSandbox(train=lambda _: ({"w": np.arange(3.0)}, {"examples": 5}))

    outcome = await sandbox.run(task("train", tmp_path))

    assert outcome.ok
    assert load_file(tmp_path / "out/model.safetensors")["w"].tolist() == [0, 1, 2]
    assert json.loads((tmp_path / "out/metrics.json").read_text()) == {"examples": 5}


async def test_evaluating_leaves_a_score_or_an_error_for_each_model(tmp_path: Path) -> None:
    def evaluate(name: str, path: Path, _: Task) -> float:
        if name == "bad":
            raise ModelUnfit("wrong shape")
        return 0.5

    outcome = await FakeSandbox(evaluate=evaluate).run(
        task("evaluate", tmp_path, good=tmp_path, bad=tmp_path)
    )

    assert outcome.ok
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert scores == {"good": {"score": 0.5}, "bad": {"error": "wrong shape"}}


async def test_a_job_that_fails_is_an_outcome(tmp_path: Path) -> None:
    def train(_: Task) -> tuple[dict[str, np.ndarray], dict[str, object]]:
        raise JobFailed("memory limit broken")

    outcome = await FakeSandbox(train=train).run(task("train", tmp_path))

    assert (outcome.ok, outcome.reason) == (False, "memory limit broken")
