"""Runs a job's function: imports it, feeds it, checks what it returns, writes the result.

Training leaves `model.safetensors` and `metrics.json`; an evaluation leaves `scores.json`, with
a score or a sentence for every model. Each model is scored in a process of its own with a fair
share of the time, so that one model on which the evaluation crashes or hangs costs no other.
"""

import functools
import importlib.util
import json
import math
import os
import random
import select
import signal
import sys
import time
import tomllib
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from scatter_job.confinement import end_with_parent
from scatter_job.failure import JobFailed
from scatter_job.model import Trained, read_weights, write_weights

BASE: Final = "base"
"""The name of the model that training starts from, in the models folder."""

_MOST_ANSWER: Final = 4096
_MOST_SENTENCE: Final = 400


def run(
    verb: str, job: Path, data: Path, models: Path | None, out: Path, *, seed: int, seconds: float
) -> None:
    """Runs the job once. `seed` is the run's own, for the global random generators.

    Raises JobFailed; whatever else the job's code raises while it trains is passed on.
    """
    description = _read_description(job, verb)
    settings = {**description.get("settings", {}), "seed": description.get("seed", 0)}
    random.seed(seed)
    np.random.seed(seed % 2**32)
    function = _load_function(job, verb)
    if verb == "train":
        base = models / f"{BASE}.safetensors" if models else None
        start = read_weights(base) if base and base.exists() else None
        _write_trained(function(data, start, settings), description["model"], out)
    else:
        paths = sorted(models.glob("*.safetensors")) if models else []
        scores = _score_all(
            lambda path: function(read_weights(path), data, settings), paths, seconds
        )
        (out / "scores.json").write_text(json.dumps(scores), "utf-8")


def _read_description(job: Path, verb: str) -> dict[str, Any]:
    try:
        with (job / "job.toml").open("rb") as file:
            description = tomllib.load(file)
    except FileNotFoundError as error:
        raise JobFailed("The job's folder has no job.toml.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise JobFailed(f"job.toml is not valid: {error}.") from error
    if description.get("kind") != verb:
        raise JobFailed(f'job.toml must say kind = "{verb}".')
    if not isinstance(description.get("model"), dict):
        raise JobFailed("job.toml must have a [model] table.")
    return description


def _load_function(job: Path, verb: str) -> Callable[..., Any]:
    path = job / f"{verb}.py"
    if not path.is_file():
        raise JobFailed(f"The job's folder has no {path.name}.")
    sys.path.insert(0, str(job))
    specification = importlib.util.spec_from_file_location(f"job_{verb}", path)
    if specification is None or specification.loader is None:
        raise JobFailed(f"{path.name} cannot be imported.")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    function = getattr(module, verb, None)
    if not callable(function):
        raise JobFailed(f"{path.name} must define a function named {verb}.")
    return function  # type: ignore[no-any-return]


def _write_trained(trained: object, schema: Mapping[str, Any], out: Path) -> None:
    if not isinstance(trained, Trained):
        raise JobFailed(f"train must return a Trained, not {type(trained).__name__}.")
    examples = trained.examples
    if not isinstance(examples, int | np.integer) or isinstance(examples, bool) or examples < 1:
        raise JobFailed("Trained.examples must be a whole number, at least 1.")
    report = {"examples": int(examples), "metrics": _check_metrics(trained.metrics)}
    write_weights(out / "model.safetensors", trained.weights, schema)
    (out / "metrics.json").write_text(json.dumps(report), "utf-8")


def _check_metrics(metrics: object) -> dict[str, float]:
    if not isinstance(metrics, Mapping):
        raise JobFailed("Trained.metrics must be a dict of numbers.")
    checked = {}
    for name, value in metrics.items():
        if not isinstance(value, int | float | np.number) or not math.isfinite(value):
            raise JobFailed(f"Metric {str(name)[:80]!r} must be a finite number.")
        checked[str(name)] = float(value)
    return checked


def _score_all(
    score: Callable[[Path], Any], paths: Sequence[Path], seconds: float
) -> dict[str, dict[str, Any]]:
    if not paths:
        raise JobFailed("There is no model to evaluate.")
    deadline = time.monotonic() + seconds
    scores = {}
    for done, path in enumerate(paths):
        share = (deadline - time.monotonic()) / (len(paths) - done)
        scores[path.stem] = _score_apart(functools.partial(score, path), share)
    return scores


def _score_apart(score: Callable[[], Any], seconds: float) -> dict[str, Any]:
    """Calls `score` in a forked process, for at most `seconds`."""
    answers, answer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        end_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        result = json.dumps(_try_to_score(score)).encode()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(answer, result)
        os._exit(0)
    os.close(answer)
    with os.fdopen(answers, "rb", buffering=0) as pipe:
        in_time, _, _ = select.select([pipe], [], [], max(0.0, seconds))
        text = pipe.read(_MOST_ANSWER) if in_time else b""
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not in_time:
        return {"error": f"The evaluation took longer than its share, {seconds:.1f} s."}
    try:
        return dict(json.loads(text or b""))
    except ValueError:
        code = os.waitstatus_to_exitcode(status)
        return {"error": f"The evaluation ended without a score (exit code {code})."}


def _try_to_score(score: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"score": _check_score(score())}
    except JobFailed as error:
        return {"error": str(error)[:_MOST_SENTENCE]}
    # Whatever a stranger's code raises on one model is that model's result, SystemExit included.
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"[:_MOST_SENTENCE]}


def _check_score(value: object) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise JobFailed(f"evaluate must return a number, not {type(value).__name__}.")
    if not 0.0 <= value <= 1.0:
        raise JobFailed(f"evaluate must return a number between 0 and 1, not {value}.")
    return float(value)
