"""A sandbox that runs functions of this process: for tests of roles, never for a stranger's job.

A trainer function is called as `train(task)` and returns named arrays and metrics; an evaluator as
`evaluate(name, path, task)`, once per model, and returns a score or raises ModelUnfit. The files
left in `task.output` are those that the harness leaves.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from scatter.mechanism.errors import ScatterError
from scatter.ports.sandbox import Isolation, Outcome, Task

Weights = Mapping[str, NDArray[Any]]
Train = Callable[[Task], tuple[Weights, Mapping[str, object]]]
Evaluate = Callable[[str, Path, Task], float]


class ModelUnfit(ScatterError):
    """The evaluator cannot score this model; the others are scored all the same."""


class JobFailed(ScatterError):
    """The job's code fails as a whole; the run's outcome says why."""


class FakeSandbox:
    """Either function may be left out; a task that needs it fails."""

    name = "fake"
    isolation = Isolation.GUEST_KERNEL
    runtimes = frozenset({"numpy"})

    def __init__(self, train: Train | None = None, evaluate: Evaluate | None = None) -> None:
        self._train = train
        self._evaluate = evaluate
        self.tasks: list[Task] = []
        """Every task run so far."""

    async def run(self, task: Task) -> Outcome:
        self.tasks.append(task)
        task.output.mkdir(parents=True)
        try:
            if task.verb == "train" and self._train is not None:
                self._run_train(self._train, task)
            elif task.verb == "evaluate" and self._evaluate is not None:
                self._run_evaluate(self._evaluate, task)
            else:
                raise JobFailed(f"this job does not know how to {task.verb}")
        except JobFailed as failure:
            return Outcome(ok=False, reason=str(failure), seconds=0.0, log="", backend=self.name)
        return Outcome(ok=True, reason="", seconds=0.0, log="", backend=self.name)

    def _run_train(self, train: Train, task: Task) -> None:
        weights, metrics = train(task)
        arrays = {name: np.ascontiguousarray(array) for name, array in weights.items()}
        save_file(arrays, task.output / "model.safetensors")
        (task.output / "metrics.json").write_text(json.dumps(dict(metrics)))

    def _run_evaluate(self, evaluate: Evaluate, task: Task) -> None:
        scores: dict[str, dict[str, object]] = {}
        for name, path in task.models.items():
            try:
                scores[name] = {"score": float(evaluate(name, path, task))}
            except ModelUnfit as error:
                scores[name] = {"error": str(error)}
        (task.output / "scores.json").write_text(json.dumps(scores))
