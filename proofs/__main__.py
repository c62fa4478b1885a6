"""`python -m proofs`: the compiled contracts under a second engine. `make prove` calls it."""

import argparse
import sys
from pathlib import Path
from typing import Final

from proofs.compiled import write_compiled
from proofs.theorems import Proofs, prove
from proofs.walks import MUST_HAPPEN, Walks, expected_calls, walk
from scatter.lifecycle.vocabulary import Verdict

LEAST_CALLS: Final = 1_000_000
TOOLS: Final = Path(sys.prefix) / "prove"
"""Where `make prove` puts them."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs", description=__doc__)
    parser.add_argument("--calls", type=int, default=LEAST_CALLS, help="at least so many")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same calls")
    parser.add_argument("--only", choices=("walks", "theorems"), help="one half")
    asked = parser.parse_args()
    modules = TOOLS / "node_modules"
    halmos = TOOLS / "halmos" / "bin" / "halmos"
    # The platform's own binary, not the package's wrapper.
    forge = next(modules.glob("@foundry-rs/forge-*/bin/forge"), None)
    if forge is None or not halmos.exists():
        print(f"{TOOLS} lacks forge or halmos: run `make prove`, which installs them.")
        return 1
    write_compiled()
    failures = []
    if asked.only != "theorems":
        print(f"{asked.calls:,} calls by forge: some minutes a million ...", flush=True)
        walks = walk(forge, modules, asked.calls, asked.seed)
        show_walks(walks)
        failures += walks.failures
    if asked.only != "walks":
        print("\nTheorems by halmos: some minutes ...", flush=True)
        proofs = prove(forge, modules, halmos)
        show_proofs(proofs)
        failures += proofs.failures
    for failure in failures:
        print(f"FAILED  {failure}")
    return 1 if failures else 0


def show_walks(walks: Walks) -> None:
    """Every call by name, and what came of them."""
    print(f"\n{'call':32}{'allowed':>10}{'refused':>10}")
    for name in expected_calls():
        print(f"{name:32}{walks.done[name]:>10,}{walks.refused[name]:>10,}")
    print(f"\n{'what came of them':32}{'times':>10}")
    for name in MUST_HAPPEN:
        print(f"{_say(name):32}{walks.done[name]:>10,}")
    print(
        f"\n{walks.calls:,} calls, {walks.refusals:,} refused, in {walks.runs:,} runs "
        f"({walks.seconds:.0f} s)",
        flush=True,
    )


def show_proofs(proofs: Proofs) -> None:
    """Every theorem by name."""
    print(f"\n{'theorem':60}{'paths':>8}{'seconds':>9}")
    for theorem in proofs.theorems:
        name = theorem.name.removeprefix("check_").replace("_", " ")
        print(f"{name:60}{theorem.paths:>8,}{theorem.seconds:>9.1f}  {theorem.verdict}")
    proven = sum(theorem.verdict == "proven" for theorem in proofs.theorems)
    print(f"\n{proven} of {len(proofs.theorems)} theorems proven ({proofs.seconds:.0f} s)")


def _say(mark: str) -> str:
    """A verdict is counted by its number."""
    kind, _, number = mark.rpartition(" ")
    return f"verdict {Verdict(int(number)).name}" if kind == "verdict" else mark


if __name__ == "__main__":
    sys.exit(main())
