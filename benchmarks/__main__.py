"""`python -m benchmarks [NAME ...] [--json] [--demo]`: all benchmarks, or those named."""

import argparse
import sys
from importlib import import_module

from benchmarks.running import Measure, run

NAMES = (
    "gas",
    "specification",
    "sealing",
    "content_names",
    "transfer",
    "key_requests",
    "aggregation",
    "catch_up",
    "sandbox",
)
"""In the order of the table."""
DEMO = "demo"
LONG = (DEMO, "install")
"""Take minutes; only when asked for."""


def load(name: str) -> Measure:
    """The benchmark's own `measure`."""
    measure: Measure = import_module(f"benchmarks.{name}").measure
    return measure


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    every = (*NAMES, *LONG)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(every))
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("--demo", action="store_true", help="measure the demo as well")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in every]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; choose from {', '.join(every)}")
    names = list(dict.fromkeys(asked.names or NAMES))
    if asked.demo and DEMO not in names:
        names.append(DEMO)
    return run({name: load(name) for name in names}, json_asked=asked.json)


if __name__ == "__main__":
    sys.exit(main())
