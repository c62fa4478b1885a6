"""What the protocol adds to the demo's work: wall time less what is meant to take time.

Taken off are the challenge window, which is fixed at deployment and waited for, the comparison on
one machine, the slowest trainer's training and the slowest validator's evaluation; the challengers'
own lies within the challenge window.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import Row, at_most, one
from benchmarks.running import run_alone

MOST_SECONDS = 300

_WORKED = re.compile(r"\b(?:trained|evaluated)\b.*?\bseconds\S*?=\S*?(\d+(?:\.\d+)?)")


def measure(folder: Path) -> list[Row]:
    out = folder / "demo"
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "scatter.cli", "demo", "--json", "--out", out],
        stdout=subprocess.PIPE,
        timeout=MOST_SECONDS,
        check=True,
    )
    wall = time.monotonic() - began
    spent = json.loads(ended.stdout)["seconds"]
    deployment = json.loads((out / "deployment.json").read_text())
    window = float(deployment["parameters"]["challenge_window"])
    training, evaluation = (
        max(map(_seconds_of_work, out.glob(f"nodes/{part}-*/log")))
        for part in ("trainer", "validator")
    )
    overhead = wall - window - float(spent["yardstick"]) - training - evaluation
    return [
        Row("demo, from start to end", "s", one(wall), target=at_most(90)),
        Row("demo, protocol overhead", "s", one(overhead), target=at_most(20)),
    ]


def _seconds_of_work(log: Path) -> float:
    """What a node says of its longest run in the sandbox; 0 for one that had none."""
    return max(map(float, _WORKED.findall(log.read_text())), default=0.0)


if __name__ == "__main__":
    run_alone(measure)
