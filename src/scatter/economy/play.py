"""Plays a scenario: every node of it does its part in one job after the other.

The honest do what `scatter.lifecycle` and the nodes do; the malicious do one thing else. Nothing
tells the others who cheats: they see it in their own evaluations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scatter.economy.challenge import speak_out
from scatter.economy.clock import Clock, Watch
from scatter.economy.plan import Plan, draw_plan
from scatter.economy.rules import Rules
from scatter.economy.scenario import (
    OfChallenger,
    OfRequester,
    OfTrainer,
    OfValidator,
    Scenario,
)
from scatter.lifecycle.commitments import commit_to_dataset, commit_to_scores
from scatter.lifecycle.job import Job, settleable_at
from scatter.lifecycle.opinion import Finding
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.units import Address, Digest, Score, Tokens

TOLERANCE = Score(10)
"""Between two honest evaluations (`docs/protocol.md`, "What an honest node does")."""

NOTHING_WRONG = ""
DOES_HARM = "the evaluation job does harm"


@dataclass(frozen=True)
class Cast:
    """The nodes by role, in the order of their names."""

    requesters: Sequence[Address]
    trainers: Sequence[Address]
    validators: Sequence[Address]
    challengers: Sequence[Address]

    def __iter__(self) -> Iterator[Address]:
        for role in (self.requesters, self.trainers, self.validators, self.challengers):
            yield from role


def names_of(scenario: Scenario) -> dict[str, list[str]]:
    """`trainer 1` and so on, by role; the only requester needs no number."""
    names = {}
    for role in ("requester", "trainer", "validator", "challenger"):
        count = getattr(scenario, f"{role}s").count
        alone = role == "requester" and count == 1
        names[role] = [role] if alone else [f"{role} {place + 1}" for place in range(count)]
    return names


def enrol(scenario: Scenario, rules: Rules) -> Cast:
    """Who everybody is on chain."""
    names = names_of(scenario)
    return Cast(*(tuple(map(rules.account, names[role])) for role in names))


class Play:
    """One scenario on one set of rules. Call `endow` once, `take_roles` once, then `play_job`."""

    def __init__(self, scenario: Scenario, rules: Rules, watch: Watch = lambda _: None) -> None:
        self.scenario = scenario
        self.rules = rules
        self.cast = enrol(scenario, rules)
        self.clock = Clock(rules, watch)

    # Before the first job

    def endow(self) -> None:
        """Everybody gets its first tokens; nobody watches yet."""
        for account in self.cast:
            self.rules.endow(account, self.scenario.tokens, self.clock.next())
        self.rules.take_payments()

    def take_roles(self) -> None:
        p = self.rules.parameters
        for role, accounts, stake in (
            (Role.VALIDATOR, self.cast.validators, p.validator_stake),
            (Role.CHALLENGER, self.cast.challengers, p.challenger_stake),
        ):
            for account in accounts:
                self.rules.register(account, role, stake, self.clock.next())
                self.clock.watch()

    # One job

    def play_job(self, number: int) -> Job | None:
        """From the offer to the settlement; None when the requester cannot pay for the reward.

        A trainer that cannot pay its stake stays away.
        """
        plan = draw_plan(self.scenario, number)
        requester = self.cast.requesters[plan.requester]
        if self.rules.balance(requester) < plan.reward:
            return None
        job = self._offer(plan, requester, number)
        if not job.trainers:
            self.clock.wait_until(job.join_deadline)
            self.clock.do(self.rules.cancel, requester, job.number)
            return job
        self.clock.do(self.rules.start, requester, job.number)
        self._train(plan, job)
        if job.over:
            return job
        self._publish(plan, job)
        if job.scoring_opened_at is not None:
            self._score(plan, job)
            self._challenge(plan, job)
        self.clock.wait_until(settleable_at(job))
        self.clock.do(self.rules.settle, requester, job.number)
        return job

    def _offer(self, plan: Plan, requester: Address, number: int) -> Job:
        scenario, p = self.scenario, self.rules.parameters
        created = self.rules.create(
            requester,
            self.clock.next(),
            training_job=_word(number, 1),
            evaluation_job=_word(number, 2),
            dataset_commitment=commit_to_dataset(_word(number, 3), _word(number, 4)),
            topic="simulated",
            reward=plan.reward,
            threshold=scenario.threshold,
            floor=scenario.threshold,
            most_trainers=scenario.trainers.count,
            least_stake=Tokens(scenario.stake.least),
            training_time=p.least_training,
        )
        self.clock.watch()
        for place, trainer in enumerate(self.cast.trainers):
            stake = plan.stakes[place]
            if self.rules.balance(trainer) >= stake:
                self.clock.do(self.rules.join, trainer, created, stake)
        return self.rules.job(created)

    def _train(self, plan: Plan, job: Job) -> None:
        absent = self.scenario.trainers.manner is OfTrainer.NO_MODEL
        for place, trainer in enumerate(self.cast.trainers):
            if trainer in job.trainers and not (absent and place in plan.bad_trainers):
                model, key = _word(job.number, 100 + place), _word(job.number, 200 + place)
                self.clock.do(self.rules.submit_model, trainer, job.number, model, key)
        if job.closed_at is None:
            self.clock.wait_until(job.training_deadline)
            self.clock.do(self.rules.close_training, job.requester, job.number)

    def _publish(self, plan: Plan, job: Job) -> None:
        """The dataset, and with it the draw; without the dataset a trainer has it drawn."""
        self.clock.pass_blocks(self.rules.parameters.seed_delay)
        hidden = plan.harmful and self.scenario.requesters.manner is OfRequester.NO_DATASET
        if not hidden:
            dataset, salt = _word(job.number, 3), _word(job.number, 4)
            self.clock.do(self.rules.publish_dataset, job.requester, job.number, dataset, salt)
        elif job.eligible_validators >= self.rules.parameters.least_committee:
            self.clock.do(self.rules.draw_committee, job.models[0].account, job.number)

    def _score(self, plan: Plan, job: Job) -> None:
        """Commitments, then reveals, of everybody that is not silent."""
        places = {account: place for place, account in enumerate(self.cast.validators)}
        good, turned = self._of_models(plan.quality, job), self._of_models(plan.turned, job)
        salt = _word(job.number, 5)
        revealed: dict[Address, tuple[Score, ...]] = {}
        silent = False
        for member in job.committee:
            deed = self._deed(plan, places[member])
            if deed is OfValidator.SILENT:
                silent = True
            elif deed is OfValidator.REFRAIN:
                self.clock.do(self.rules.refrain, member, job.number)
            else:
                scores = turned if deed is OfValidator.SWAP else good
                revealed[member] = scores
                hidden = commit_to_scores(job.number, member, scores, salt)
                self.clock.do(self.rules.commit_scores, member, job.number, hidden)
        if silent:
            self.clock.wait_until(job.reveal_start)
        for member, scores in revealed.items():
            self.clock.do(self.rules.reveal_scores, member, job.number, member, scores, salt)

    def _deed(self, plan: Plan, place: int) -> OfValidator | None:
        """What a member does; None is an honest score. Honest members refrain from harm."""
        harmful = self._is_harmful(plan)
        if place not in plan.bad_validators:
            return OfValidator.REFRAIN if harmful else None
        manner = self.scenario.validators.manner
        return None if harmful and manner is not OfValidator.SILENT else manner

    def _challenge(self, plan: Plan, job: Job) -> None:
        speakers = [
            (self.cast.challengers[place], place in plan.bad_challengers) for place in plan.turns
        ]
        if self.scenario.challengers.manner is OfChallenger.SILENT:
            speakers = [(account, False) for account, bad in speakers if not bad]
        finding = Finding(
            scores=self._of_models(plan.quality, job),
            unseen=frozenset(),
            duplicates=frozenset(),
            reason_to_refrain=DOES_HARM if self._is_harmful(plan) else NOTHING_WRONG,
            tolerance=TOLERANCE,
        )
        speak_out(self.clock, job, finding, speakers)

    def _is_harmful(self, plan: Plan) -> bool:
        manner = self.scenario.requesters.manner
        return plan.harmful and manner is OfRequester.HARMFUL_EVALUATION

    def _of_models(self, scores: Sequence[Score], job: Job) -> tuple[Score, ...]:
        """The trainers' scores, in the order of submission of those that submitted."""
        by_account = dict(zip(self.cast.trainers, scores, strict=True))
        return tuple(by_account[trainer.account] for trainer in job.models)


def _word(job: int, what: int) -> Digest:
    """32 bytes that stand for content, or for a salt; they have no meaning on chain."""
    return Digest((job << 128 | what).to_bytes(32, "big"))
