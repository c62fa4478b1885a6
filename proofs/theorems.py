"""What halmos proves of the compiled token: `contracts/Proofs.t.sol`, for all arguments at once."""

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from proofs.compiled import BUILD

SOURCE: Final = BUILD.parent / "contracts" / "Proofs.t.sol"
CONTRACTS: Final = ("AnyState", "Equation8")
VERDICTS: Final = (
    "proven",
    "COUNTEREXAMPLE",
    "NO ANSWER IN TIME",
    "STUCK",
    "ALWAYS REFUSED",
    "BROKEN",
)
"""By halmos' exit code for one theorem."""
UNROLLED: Final = 100
"""Times that a loop is followed; a theorem that would need more counts as unproven."""


@dataclass(frozen=True)
class Theorem:
    """One function `check_...`."""

    name: str
    verdict: str
    paths: int
    seconds: float


@dataclass
class Proofs:
    """What became of all of them."""

    theorems: list[Theorem] = field(default_factory=list)
    seconds: float = 0
    failures: list[str] = field(default_factory=list)


def prove(forge: Path, modules: Path, halmos: Path) -> Proofs:
    """Every theorem of the source must come out proven; one that halmos left out is a failure."""
    answer = BUILD / "halmos.json"
    answer.unlink(missing_ok=True)
    folders = [str(forge.parent), str(halmos.parent), os.environ.get("PATH", "")]
    began = time.monotonic()
    finished = subprocess.run(
        [
            *(halmos, "--root", BUILD.parent, "--forge-build-out", "build/out"),
            *("--match-contract", f"^({'|'.join(CONTRACTS)})$", "--function", "check_"),
            # Vyper's mappings are not laid out as Solidity's.
            *("--storage-layout", "generic", "--loop", f"{UNROLLED}"),
            *("--json-output", answer, "--no-status"),
        ],
        cwd=BUILD.parent,
        env=os.environ | {"NODE_PATH": str(modules), "PATH": os.pathsep.join(folders)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    proofs = Proofs(seconds=time.monotonic() - began)
    if not answer.exists():
        proofs.failures.append(f"halmos did not run: {finished.stdout.strip()[-500:]}")
        return proofs
    for results in json.loads(answer.read_text())["test_results"].values():
        proofs.theorems += [_read(result) for result in results]
    proofs.failures += [f"{t.name}: {t.verdict}" for t in proofs.theorems if t.verdict != "proven"]
    stated = set(re.findall(r"function (check_\w+)", SOURCE.read_text()))
    missing = stated - {theorem.name for theorem in proofs.theorems}
    proofs.failures += [f"{name}: not tried" for name in sorted(missing)]
    return proofs


def _read(result: dict[str, Any]) -> Theorem:
    verdict = VERDICTS[min(result["exitcode"], len(VERDICTS) - 1)]
    if result["num_bounded_loops"]:
        verdict = "A LOOP WAS CUT SHORT"
    return Theorem(
        name=result["name"].partition("(")[0],
        verdict=verdict,
        paths=(result["num_paths"] or [0])[0],
        seconds=(result["time"] or [0])[0],
    )
