"""A simulation's files: `series.csv`, every curve as numbers, and `summary.json`, how it ended."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scatter.economy.outcome import Run
from scatter.lifecycle.payments import LotteryWon, Penalised, StakeForfeited
from scatter.mechanism.units import Tokens
from scatter.node.amounts import write_tokens

SERIES = "series.csv"
SUMMARY = "summary.json"
COLUMNS = ("block", "kind", "name", "tokens")


def write_records(folder: Path, run: Run) -> None:
    """Both files, into a folder that is there."""
    with (folder / SERIES).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_rows(run))
    text = json.dumps(summarise(run), indent=2, ensure_ascii=False)
    (folder / SUMMARY).write_text(text + "\n")


def summarise(run: Run) -> dict[str, Any]:
    """How it ended, in tokens as exact decimal texts."""
    outcome = run.outcome
    return {
        "scenario": outcome.scenario,
        "seed": run.scenario.seed,
        "jobs": outcome.jobs,
        "blocks": run.series.end,
        "nodes": [
            {
                "name": node.name,
                "role": node.role,
                "malicious": node.malicious,
                "balance": write_tokens(node.balance),
                "stake": write_tokens(node.stake),
                "change": write_signed(node.change),
            }
            for node in outcome.nodes
        ],
        "lottery": write_tokens(outcome.lottery),
        "verdicts": {v.name.lower().replace("_", " "): n for v, n in outcome.verdicts.items()},
        "penalties": [
            {
                "job": fine.job,
                "name": run.series.names[fine.account],
                "amount": write_tokens(fine.amount),
                "stake_left": write_tokens(fine.stake_left),
            }
            for fine in run.series.payments
            if isinstance(fine, Penalised)
        ],
        "forfeited": [
            {
                "job": lost.job,
                "name": run.series.names[lost.trainer],
                "amount": write_tokens(lost.amount),
            }
            for lost in run.series.payments
            if isinstance(lost, StakeForfeited)
        ],
        "lottery_won": [
            {
                "job": win.job,
                "name": run.series.names[win.accuser],
                "amount": write_tokens(win.amount),
            }
            for win in run.series.payments
            if isinstance(win, LotteryWon)
        ],
    }


def write_signed(amount: int) -> str:
    """A gain or a loss in tokens, exactly."""
    return ("-" if amount < 0 else "") + write_tokens(Tokens(abs(amount)))


def _rows(run: Run) -> Iterator[tuple[int, str, str, str]]:
    for (kind, name), points in run.series.curves.items():
        for point in points:
            yield point.block, kind.value, name, write_tokens(point.tokens)
