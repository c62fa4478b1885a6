"""`python -m proofs`: the compiled contracts under a second engine. `make prove` calls it."""

import argparse
import sys
from pathlib import Path

from proofs.compiled import write_compiled
from proofs.walks import MUST_HAPPEN, Walks, expected_calls, walk

LEAST_CALLS = 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs", description=__doc__)
    parser.add_argument("--calls", type=int, default=LEAST_CALLS, help="at least so many")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same calls")
    asked = parser.parse_args()
    tools = Path(sys.prefix) / "prove"
    modules = tools / "node_modules"
    # The platform's own binary, not the package's wrapper.
    forge = next(modules.glob("@foundry-rs/forge-*/bin/forge"), None)
    if forge is None:
        print(f"{tools} has no forge: run `make prove`, which installs it.", file=sys.stderr)
        return 1
    write_compiled()
    walks = walk(forge, modules, asked.calls, asked.seed)
    show(walks)
    return 1 if walks.failures else 0


def show(walks: Walks) -> None:
    """A short table."""
    print(f"{'call':32}{'allowed':>10}{'refused':>10}")
    for name in expected_calls():
        print(f"{name:32}{walks.done[name]:>10,}{walks.refused[name]:>10,}")
    print("\nwhat came of it")
    for name in MUST_HAPPEN:
        print(f"{name:32}{walks.done[name]:>10,}")
    print(f"\n{walks.calls:,} calls in {walks.runs:,} runs, {walks.seconds:.0f} s")
    for failure in walks.failures:
        print(f"FAILED  {failure}")


if __name__ == "__main__":
    sys.exit(main())
