"""Scores become basis points; reports of a stranger's run are read strictly."""

import json
from pathlib import Path

import pytest

from scatter.learning.scores import (
    Failed,
    TrainingReport,
    read_scores,
    read_training_report,
    to_basis_points,
)
from scatter.mechanism.errors import BadInput


@pytest.mark.parametrize(
    ("value", "points"),
    [
        (0.0, 0),
        (1.0, 10_000),
        (0.5, 5_000),
        (0.00005, 0),
        (0.00025, 2),
        (0.00035, 4),
        (0.99999, 10_000),
    ],
)
def test_rounds_half_to_even(value, points):
    assert to_basis_points(value) == points


@pytest.mark.parametrize("value", [float("nan"), -0.001, 1.0001, float("inf")])
def test_refuses_what_is_not_a_score(value):
    with pytest.raises(BadInput, match="between 0 and 1"):
        to_basis_points(value)


@pytest.fixture
def write(tmp_path: Path):
    def write(content: object) -> Path:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "report.json").write_text(text)
        return tmp_path / "report.json"

    return write


def test_reads_scores_and_failures(write):
    path = write({"a": {"score": 0.25}, "b": {"error": "it \x1b[31mburns"}})

    assert read_scores(path, ["a", "b"]) == {"a": 2_500, "b": Failed("it  [31mburns")}


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"a": {"score": 0.5}, "b": {"score": 0.5}},
        {"a": 0.5},
        {"a": {"score": 1.7}},
        {"a": {"score": True}},
        {"a": {"score": "1"}},
        {"a": {"score": 0.5, "error": ""}},
        '{"a": {"score": NaN}}',
        "[" * 100_000,
        "[]",
        " " * (2 << 20),
    ],
)
def test_refuses_scores_in_any_other_form(write, content):
    with pytest.raises(BadInput):
        read_scores(write(content), ["a"])


def test_reads_a_training_report(write):
    path = write({"examples": 12, "metrics": {"loss": 0.5}})

    assert read_training_report(path) == TrainingReport(12, {"loss": 0.5})


@pytest.mark.parametrize(
    "content",
    [
        {"examples": 0, "metrics": {}},
        {"examples": 1.5, "metrics": {}},
        {"examples": 10**20, "metrics": {}},
        {"examples": 1, "metrics": {"loss": None}},
        {"examples": 1, "metrics": {}, "more": 1},
        '{"examples": 1, "metrics": {"loss": Infinity}}',
    ],
)
def test_refuses_a_training_report_in_any_other_form(write, content):
    with pytest.raises(BadInput):
        read_training_report(write(content))


def test_says_that_a_report_is_missing(tmp_path):
    with pytest.raises(BadInput, match="missing from what the run left"):
        read_training_report(tmp_path / "metrics.json")
