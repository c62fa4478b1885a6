"""Runs the mutation test: `python -m mutation`. An interrupted run goes on where it was.

Every outcome goes to a file at once, with the hash of the source it belongs to; what is there
already is not tried again.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from tools.compile_contracts import ROOT, write_artefacts

from mutation.mutants import Mutant, find_mutants
from mutation.outcomes import (
    Outcome,
    append_outcome,
    find_faults,
    key,
    read_excuses,
    read_outcomes,
    show_table,
)
from mutation.trial import MACHINE, TESTS, Tree, nearest_first

EXCUSED: Final = Path(__file__).parent / "excused.toml"
CONTRACTS: Final = ROOT / "contracts"


def main() -> int:
    options = _options()
    every = find_mutants(CONTRACTS)
    chosen = select(every, options.sample, options.seed, options.only)
    if options.list:
        print(*(m.name for m in chosen), sep="\n")
        return 0
    known = read_outcomes(options.results)
    tests = [*TESTS, MACHINE] if options.again else TESTS
    if options.again:
        excuses = read_excuses(EXCUSED)
        alive = {k for k, outcome in known.items() if not outcome.killer}
        todo = [m for m in chosen if key(m, CONTRACTS) in alive and m.name not in excuses]
    else:
        todo = [m for m in chosen if key(m, CONTRACTS) not in known]
    print(f"{len(chosen)} mutants, {len(todo)} to try", flush=True)
    if todo:
        write_artefacts()
        require_sound(tests, options.results)
        run(todo, tests, options.results, options.processes)
    return report(every, chosen, options.results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / ".mutation.jsonl")
    parser.add_argument("--sample", type=int, help="so many mutants, drawn by chance")
    parser.add_argument("--seed", type=int, default=1, help="of that chance")
    parser.add_argument("--only", default="", help="mutants whose name has this text")
    parser.add_argument(
        "--again",
        action="store_true",
        help="try survivors that nothing excuses again, by the machine too",
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="name the mutants, try none")
    return parser.parse_args()


def select(mutants: Sequence[Mutant], sample: int | None, seed: int, only: str) -> list[Mutant]:
    """In an order of chance, so that a run cut short is a fair sample, too; a mutant's place in it
    depends on nothing but its name."""

    def lot(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed} {mutant.name}".encode()).digest()

    return sorted((m for m in mutants if only in m.name), key=lot)[:sample]


def require_sound(tests: Sequence[str], results: Path) -> None:
    """Stops unless the tests pass without any fault; once for each state of the project."""
    files = [
        p for name in ("contracts", "src", "tests") for p in sorted((ROOT / name).rglob("*.*y"))
    ]
    state = f"no fault {hashlib.sha256(b''.join(map(Path.read_bytes, files))).hexdigest()[:16]}"
    if state in read_outcomes(results):
        return
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        killer = Tree(Path(folder)).try_out(None, tests)
    if killer:
        sys.exit(f"Without any fault {killer} fails; first mend that.")
    append_outcome(results, Outcome(state, "", round(time.monotonic() - started, 1)))


def run(mutants: Sequence[Mutant], tests: Sequence[str], results: Path, processes: int) -> None:
    context = get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            context.Process(
                target=work, args=(mutants[i::processes], tests, results, Path(folder) / str(i))
            )
            for i in range(processes)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            sys.exit("A worker stopped; see above.")


def work(mutants: Sequence[Mutant], tests: Sequence[str], results: Path, folder: Path) -> None:
    results = results.resolve()
    tree = Tree(folder)
    tree.load()
    for mutant in mutants:
        started = time.monotonic()
        killer = tree.try_out(mutant, nearest_first(tests, mutant))
        seconds = round(time.monotonic() - started, 1)
        append_outcome(results, Outcome(key(mutant, CONTRACTS), killer, seconds))
        print("killed  " if killer else "SURVIVED", mutant.name, flush=True)


def report(every: Sequence[Mutant], chosen: Sequence[Mutant], results: Path) -> int:
    """Prints the table and what is wrong; 0 when nothing is."""
    found = read_outcomes(results)
    outcomes = {m.name: found[k] for m in chosen if (k := key(m, CONTRACTS)) in found}
    excuses = read_excuses(EXCUSED)
    for line in show_table(chosen, outcomes, excuses):
        print(line)
    faults = list(find_faults(every, outcomes, excuses))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
