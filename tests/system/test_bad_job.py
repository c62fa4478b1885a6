"""What a job does wrong in the sandbox, and the one sentence that its node keeps and shows.

Here the sandbox is the plain process, which is everywhere. More is in
`tests/unit/test_job_harness.py` (what a function may return; an evaluation that never ends) and in
`tests/adapters/test_sandbox.py` (what a run may do).
"""

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from scatter.adapters.sandbox import PlainProcess
from scatter.learning.model_file import ModelRefused, check_model
from scatter.learning.model_schema import parse_schema
from scatter.learning.scores import Failed, read_scores
from scatter.ports.sandbox import Limits, Outcome, Task

MODEL = {"w": {"dtype": "float32", "shape": [2]}}
DESCRIPTION = """
name = "Job"
kind = "{kind}"
topic = "test"
runtime = "numpy"
[model]
w = {{ dtype = "float32", shape = [2] }}
"""
CODE = """
import os, sys, numpy as np
from scatter_job import Trained
def {verb}({arguments}, settings):
    {body}
"""
LOOP = "while True: pass"
SECONDS = 120
SECONDS_OF_A_LOOP = 3
"""For a run that would never end."""

TRAININGS = [
    # what is wrong          what train does                                     sentence
    ("it raises", "raise ValueError('no labels')", "The job raised ValueError: no labels"),
    ("it crashes", "os.abort()", "exit code -6"),
    ("it loops for ever", LOOP, "The run took longer than 3 s"),
    ("it writes nothing", "pass", "train must return a Trained, not NoneType"),
    ("it ends before", "os._exit(0)", "The output was cut short"),
    ("a tensor is missing", "return Trained({}, 1)", "'w' is missing from the weights"),
    ("a tensor is too many", "return Trained({'w': np.ones(2, 'f'), 'v': np.ones(2, 'f')}, 1)",
     "'v' is not in the job's .model. table"),
    ("a tensor has NaN", "return Trained({'w': np.full(2, np.nan, 'f')}, 1)", "not finite"),
    ("a tensor has another shape", "return Trained({'w': np.ones(3, 'f')}, 1)",
     r"'w' must be float32 \[2\], not float32 \[3\]"),
]  # fmt: skip

EVALUATIONS = [
    # what is wrong       what evaluate does          sentence
    ("NaN", "return float('nan')", "between 0 and 1, not nan"),
    ("more than one", "return 1.7", "between 0 and 1, not 1.7"),
    ("a text", "return 'good'", "must return a number, not str"),
    ("it raises", "raise KeyError('x')", "KeyError: 'x'"),
    ("it crashes", "os.abort()", "ended without a score .exit code -6"),
]

MODELS = [
    # what is wrong           a stranger's tensors                          sentence
    ("a tensor is missing", {}, "the job's tensors take 24"),
    ("one is too many", {"w": np.ones(2, "f"), "v": np.ones(2, "f")}, "the job's tensors take"),
    ("it has NaN", {"w": np.full(2, np.nan, "f")}, "tensor w has a number that is not finite"),
    ("it has another shape", {"w": np.ones(3, "f")}, "the job's tensors take"),
]


def run(here: Path, verb: str, body: str, models: dict[str, Path]) -> Outcome:
    for folder in ("job", "data"):
        (here / folder).mkdir()
    arguments = "data, base" if verb == "train" else "weights, data"
    (here / "job" / "job.toml").write_text(DESCRIPTION.format(kind=verb))
    code = CODE.format(verb=verb, arguments=arguments, body=body)
    (here / "job" / f"{verb}.py").write_text(code)
    limits = Limits(wall_seconds=SECONDS_OF_A_LOOP if body == LOOP else SECONDS)
    task = Task(verb, here / "job", here / "data", here / "output", models=models, limits=limits)
    return asyncio.run(PlainProcess.open().run(task))


@pytest.mark.parametrize(
    ("body", "sentence"), [t[1:] for t in TRAININGS], ids=[t[0] for t in TRAININGS]
)
def test_a_bad_training_leaves_a_sentence_and_no_model(
    tmp_path: Path, body: str, sentence: str
) -> None:
    outcome = run(tmp_path, "train", body, {})

    assert not outcome.ok
    assert re.search(sentence, outcome.reason), outcome.reason
    assert "\n" not in outcome.reason
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("body", "sentence"), [e[1:] for e in EVALUATIONS], ids=[e[0] for e in EVALUATIONS]
)
def test_a_bad_evaluation_leaves_a_sentence_instead_of_a_score(
    tmp_path: Path, body: str, sentence: str
) -> None:
    save_file({"w": np.ones(2, "f")}, tmp_path / "m.safetensors")

    outcome = run(tmp_path, "evaluate", body, {"m": tmp_path / "m.safetensors"})

    assert outcome.ok, outcome.reason
    score = read_scores(tmp_path / "output" / "scores.json", ["m"])["m"]
    assert isinstance(score, Failed)
    assert re.search(sentence, score.reason), score.reason


@pytest.mark.parametrize(
    ("tensors", "sentence"), [m[1:] for m in MODELS], ids=[m[0] for m in MODELS]
)
def test_a_strangers_model_that_is_not_as_the_job_says_is_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray], sentence: str
) -> None:
    save_file(tensors, tmp_path / "m.safetensors")

    with pytest.raises(ModelRefused, match=sentence):
        check_model(tmp_path / "m.safetensors", parse_schema(MODEL, "[model]"))
