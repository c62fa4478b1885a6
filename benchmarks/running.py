"""Runs benchmarks one after the other, each in a folder of its own that is removed afterwards."""

import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Row
from benchmarks.table import as_json, find_room, look_at_machine, show

Measure = Callable[[Path], Sequence[Row]]
"""Measures one thing with files in the folder given; logs nothing, prints nothing."""


def run(measures: Mapping[str, Measure], *, json_asked: bool = False) -> int:
    """Measures and shows; the exit code, 1 if something could not be measured at all.

    A benchmark that fails leaves the others their turn; its traceback goes to standard error.
    """
    room = find_room()
    machine = look_at_machine(room)
    rows: list[Row] = []
    failures: list[str] = []
    for name, measure in measures.items():
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="scatter-bench-", dir=room) as folder:
            try:
                rows += measure(Path(folder))
            except Exception as error:  # noqa: BLE001 - shown, and the exit code tells it
                traceback.print_exc()
                failures.append(f"{name} failed: {type(error).__name__}: {error}")
        print(f"{time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    if json_asked:
        print(json.dumps(as_json(machine, rows, failures), indent=2))
    else:
        show(machine, rows, failures)
    return 1 if failures else 0


def run_alone(measure: Measure) -> None:
    """What `python -m benchmarks.NAME` does; `--json` is understood."""
    name = Path(sys.argv[0]).stem
    sys.exit(run({name: measure}, json_asked="--json" in sys.argv[1:]))
