"""What the protocol adds to the demo's work: wall time less what is meant to take time.

Taken off are the challenge window, which is fixed at deployment and waited for, the comparison on
one machine, and the slowest trainer's training. The validators' evaluation is not taken off, since
nodes do not say how long it took: the true overhead is smaller.
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

_TRAINED = re.compile(r"trained\b.*?\bseconds\S*?=\S*?(\d+(?:\.\d+)?)")


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
    training = max(map(_training_seconds, out.glob("nodes/trainer-*/log")))
    overhead = wall - window - float(spent["yardstick"]) - training
    return [
        Row("demo, from start to end", "s", one(wall), target=at_most(90)),
        Row("demo, protocol overhead", "s", one(overhead), target=at_most(20)),
    ]


def _training_seconds(log: Path) -> float:
    """What a trainer says of its training; 0 for one that did not train."""
    return max(map(float, _TRAINED.findall(log.read_text())), default=0.0)


if __name__ == "__main__":
    run_alone(measure)
