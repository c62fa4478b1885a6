"""What docs/first-network.md tells to paste works, block after block. `make nightly`."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "first-network.md"
MOST_SECONDS = 900


def test_the_page_ends_with_a_job_that_was_trained_scored_and_paid(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    shell = subprocess.Popen(
        ["bash", "-c", "".join(blocks)],
        cwd=tmp_path,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("SCATTER_")},
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=MOST_SECONDS)
    finally:
        # Chain and nodes have ended by now, unless the page went wrong.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)

    assert "scatter:" not in said, said
    assert "Traceback" not in said, said
    assert re.search(r"^verdict +normal$", said, re.M), said
    balances = [float(b.replace(",", "")) for b in re.findall(r"^balance +([\d,.]+)", said, re.M)]
    requester, first, second, validator = balances
    assert requester == 99_000
    assert first > second > 100_000
    assert validator == 75_200
    assert first + second == pytest.approx(200_700)
