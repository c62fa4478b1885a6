"""What a node found in a job, and what shows it: for its operator, and for whoever asks why.

A challenger publishes it before it accuses, a validator before it refrains, as content by the CID
that the log and `scatter job findings` name. A validator's scores are nobody's business before they
are revealed, so a report with scores stays on its own disk.
"""

import asyncio
import json
from dataclasses import asdict
from typing import Any

from scatter.lifecycle.job import Job
from scatter.ports.store import Kind, Store
from scatter.roles.duty import Surroundings
from scatter.roles.examination import Examination
from scatter.roles.workplace import Workplace
from scatter.unixfs.cid import folder_text

REPORT = "evidence.json"
"""The one file of the folder that is published."""

Report = dict[str, Any]


async def keep_evidence(
    surroundings: Surroundings, job: Job, role: str, found: Examination
) -> None:
    """Writes down what was found, over an older report of the same role."""
    terms = job.created
    report: Report = {
        "job": job.number,
        "by": surroundings.chain.account,
        "role": role,
        "evaluation_job": folder_text(terms.evaluation_job),
        "dataset": None if job.dataset is None else folder_text(job.dataset),
        "reason_to_refrain": found.reason_to_refrain,
        "tolerance": found.tolerance,
        "models": [
            {
                "trainer": trainer.account,
                "model": None if trainer.model is None else folder_text(trainer.model),
                "score": score,
                "remark": remark,
                "seen": trainer.account not in found.unseen,
            }
            for trainer, score, remark in zip(job.models, found.scores, found.remarks, strict=True)
        ],
        "runs": [asdict(run) for run in found.runs],
    }
    await surroundings.store.keep(Kind.EVIDENCE, job.number, role, json.dumps(report).encode())


async def publish_evidence(workplace: Workplace, role: str) -> str:
    """Publishes the report of this role as it stands, once; returns its CID."""
    surroundings, number = workplace.surroundings, workplace.job.number
    report = await recall_evidence(surroundings.store, workplace.job, role)
    assert report is not None, "what is published was kept before"
    if "published" in report:
        return str(report["published"])
    folder = workplace.fresh("evidence")
    folder.mkdir()
    text = json.dumps(report, indent=2) + "\n"
    await asyncio.to_thread((folder / REPORT).write_text, text)
    report["published"] = folder_text(await surroundings.content.add(folder))
    await surroundings.store.keep(Kind.EVIDENCE, number, role, json.dumps(report).encode())
    return str(report["published"])


async def recall_evidence(store: Store, job: Job, role: str) -> Report | None:
    """The report of this role in this job; None when it evaluated nothing there."""
    kept = await store.recall(Kind.EVIDENCE, job.number, role)
    return None if kept is None else dict(json.loads(kept))
