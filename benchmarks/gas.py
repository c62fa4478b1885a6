"""What a deployment, jobs of three sizes, honest and accused, and their settlement cost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Row, at_most, one
from benchmarks.running import run_alone
from scatter.demo.gas_script import TARGETS, GasMeasured, measure_gas

SMALL = (6, 3, 2)
"""Trainers, validators, challengers: the job that the targets are for."""
LARGER = ((20, 7, 2), (64, 16, 2))


def measure(_: Path) -> list[Row]:
    rows: list[Row] = []
    for cast in (SMALL, *LARGER):
        measured = asyncio.run(measure_gas(*cast))
        rows += _rows(cast, measured)
    return rows


def _rows(cast: tuple[int, int, int], measured: GasMeasured) -> Iterator[Row]:
    trainers, validators, _ = cast
    where = f"{trainers}/{validators} on {measured.chain}"
    small = cast == SMALL
    if small:
        deployment = one(measured.deployment.total)
        target = at_most(TARGETS["deployment"])
        yield Row(f"deployment on {measured.chain}", "gas", deployment, target=target)
    yield Row(
        f"honest job {where}",
        "gas",
        one(measured.job.total),
        target=at_most(TARGETS["job"]) if small else None,
    )
    yield Row(
        f"honest job {where}",
        "transactions",
        one(measured.job.transactions),
        target=at_most(TARGETS["transactions"]) if small else None,
    )
    if measured.accused is not None:
        yield Row(f"job with an accusation {where}", "gas", one(measured.accused.total))
        transactions = one(measured.accused.transactions)
        yield Row(f"job with an accusation {where}", "transactions", transactions)
    settlement = one(measured.job.by_call["settle"].most)
    yield Row(f"settlement {where}", "gas", settlement, target=at_most(TARGETS["settlement"]))


if __name__ == "__main__":
    run_alone(measure)
