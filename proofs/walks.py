"""Random calls by forge, and what they came to.

forge plays `contracts/Invariants.t.sol` in both profiles. Each run of it leaves one line: how often
every call was allowed and refused.
"""

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from proofs.compiled import BUILD, outer_functions
from scatter.adapters.contracts import DEPLOYMENT_ORDER, PROTOCOL
from scatter.lifecycle.vocabulary import Verdict

PROFILES: Final = ("paper", "hardened")
DEPTH: Final = 2_000
"""Calls of one run, which begins with a fresh deployment."""

MUST_HAPPEN: Final = (
    *("a fine", "a fine that takes all", "a stake forfeited by votes", "a lottery won"),
    *(f"verdict {verdict.value}" for verdict in Verdict),
)
MUST_NOT: Final = "trespass"


@dataclass
class Walks:
    """What all runs of both profiles came to."""

    runs: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0
    failures: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """Of the contracts; what merely happened in them is not one."""
        return sum(self.done[name] + self.refused[name] for name in expected_calls())

    @property
    def refusals(self) -> int:
        return sum(self.refused.values())


def expected_calls() -> list[str]:
    """All that anybody may call to change something, by the interfaces; and the trespass."""
    found = [
        name if contract == PROTOCOL else f"{contract.removesuffix('Token')}.{name}"
        for contract in (PROTOCOL, *DEPLOYMENT_ORDER[:-1])
        for name in outer_functions(contract)
    ]
    return [*found, MUST_NOT]


def walk(forge: Path, modules: Path, calls: int, seed: int) -> Walks:
    """At least so many calls, half of them in each profile."""
    runs = -(-calls // (DEPTH * len(PROFILES)))
    shutil.rmtree(BUILD / "failures", ignore_errors=True)
    for profile in PROFILES:
        (BUILD / f"{profile}.runs").unlink(missing_ok=True)
    began = time.monotonic()
    finished = subprocess.run(
        [
            forge,
            "test",
            "--json",
            "--match-contract",
            "^(Paper|Hardened)$",
            "--fuzz-seed",
            f"{seed}",
        ],
        cwd=BUILD.parent,
        env=os.environ
        | {
            "NODE_PATH": str(modules),
            "FOUNDRY_INVARIANT_RUNS": str(runs),
            "FOUNDRY_INVARIANT_DEPTH": str(DEPTH),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    walks = Walks(seconds=time.monotonic() - began)
    walks.failures += _failures(finished.stdout, runs)
    for profile in PROFILES:
        _add_runs(walks, BUILD / f"{profile}.runs", runs)
    walks.failures += _gaps(walks)
    return walks


def _failures(output: str, runs: int) -> list[str]:
    """What forge found, and whether it did as much as it was asked for."""
    try:
        suites = json.loads(output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return [f"forge did not run: {output.strip()[-500:] or 'see above'}"]
    found = []
    for name, suite in suites.items():
        for test, result in suite["test_results"].items():
            if result["status"] != "Success":
                found.append(f"{name} {test}: {result['reason']}{_sequence(result)}")
            elif result["kind"]["Invariant"]["calls"] != runs * DEPTH:
                found.append(f"{name} {test}: forge made other calls than it was asked for")
    if len(suites) != len(PROFILES):
        found.append("forge did not play both profiles")
    return found


def _sequence(result: dict[str, Any]) -> str:
    """The last calls before it; the seed plays all of them again."""
    calls = (result.get("counterexample") or {}).get("Sequence") or [0, []]
    return "".join(f"\n    {call['func_name']}({call['args']})" for call in calls[1][-5:])


def _add_runs(walks: Walks, path: Path, runs: int) -> None:
    if not path.exists():
        walks.failures.append(f"{path.name}: no run came to its end")
        return
    # forge plays the last run twice, so a line may come twice; it begins with the calls' hash.
    lines = set(path.read_text().splitlines())
    walks.runs += len(lines)
    if len(lines) != runs:
        walks.failures.append(f"{path.name}: {len(lines)} runs came to their end, not {runs}")
    for line in lines:
        _, *fields = line.split("\t")
        for name, done, refused in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
            walks.done[name] += int(done)
            walks.refused[name] += int(refused)


def _gaps(walks: Walks) -> list[str]:
    """Hands of which nobody is refused, or everybody, would show nothing."""
    found = [
        f"{name} never happened"
        for name in (*expected_calls(), *MUST_HAPPEN)
        if not walks.done[name] and name != MUST_NOT
    ]
    strangers = set(walks.done | walks.refused) - {*expected_calls(), *MUST_HAPPEN}
    found += [f"nobody knows {name}" for name in sorted(strangers)]
    if walks.done[MUST_NOT] or not walks.refused[MUST_NOT]:
        found.append("the six do not obey their front door alone, or nobody tried")
    return found
