"""Power cuts: a node of every role is killed in the middle of its duty and started again."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.system.evidence import Evidence, bare_machine, payouts, run_whole

from scatter.demo.cast import DemoOptions
from scatter.demo.phases import Sight
from scatter.demo.play import Demo
from scatter.lifecycle.vocabulary import Phase

DUTIES = {
    Phase.TRAINING: "trainer 1",
    Phase.DATASET: "requester",
    Phase.COMMIT: "validator 1",
    Phase.CHALLENGE: "challenger 1",
}


@dataclass
class PowerCuts:
    """Kills a node the first time that its phase is seen, and starts it again."""

    victims: dict[Phase, str]
    done: list[str] = field(default_factory=list)

    def __call__(self, demo: Demo, sight: Sight) -> None:
        # What is told of a phase that is over has no time left: too late to disturb it.
        victim = self.victims.get(sight.phase)
        if victim is None or victim in self.done or sight.left is None:
            return
        node = demo.stage.nodes[victim]
        node.kill()
        node.start()
        self.done.append(victim)


def test_a_job_survives_a_power_cut_of_every_role(tmp_path: Path, plain_demo: Evidence) -> None:
    cuts = PowerCuts(DUTIES)
    with bare_machine(tmp_path):
        disturbed = run_whole(DemoOptions(out=tmp_path / "out"), engine="any", act=cuts)

    assert sorted(cuts.done) == sorted(DUTIES.values())
    assert payouts(disturbed) == payouts(plain_demo)
    assert model_of(disturbed) == model_of(plain_demo)


def model_of(evidence: Evidence) -> bytes:
    return (evidence.folder / "global.safetensors").read_bytes()


@pytest.mark.nightly
@pytest.mark.parametrize("victim", ["requester", "trainer 1", "validator 1", "challenger 2"])
def test_a_job_survives_power_cuts_of_one_node_in_every_phase(
    tmp_path: Path, cheated_demo: Evidence, victim: str
) -> None:
    seen: list[Phase] = []

    def cut(demo: Demo, sight: Sight) -> None:
        if sight.phase in seen or sight.left is None:
            return
        seen.append(sight.phase)
        node = demo.stage.nodes[victim]
        node.kill()
        node.start()

    with bare_machine(tmp_path):
        disturbed = run_whole(cheated(tmp_path / "out"), engine="any", act=cut)

    assert len(seen) >= 5
    assert payouts(disturbed) == payouts(cheated_demo)
    assert model_of(disturbed) == model_of(cheated_demo)


@pytest.fixture(scope="module")
def cheated_demo(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """With a false validator, so that the challengers have something to do."""
    folder = tmp_path_factory.mktemp("cheated")
    with bare_machine(folder):
        return run_whole(cheated(folder / "out"), engine="any")


def cheated(out: Path) -> DemoOptions:
    return DemoOptions(trainers=4, malicious={"trainer": 1, "validator": 1}, out=out)
