"""Whose peers a node keeps when strangers fill its book."""

from tests.unit.test_lifecycle_vectors import play
from tests.unit.vectors.reading import address_of, read_vectors

from scatter.lifecycle.job import Job
from scatter.mechanism.units import JobId
from scatter.node.parties import Parties


def jobs() -> list[Job]:
    return [play(vector).job(JobId(1)) for vector in read_vectors()]


def test_everybody_with_a_part_in_a_job_is_known_and_no_stranger() -> None:
    for job in jobs():
        parties = Parties()
        parties.note(job)

        seen = {job.requester, *job.trainers, *job.committee, *job.outspoken}
        assert all(account in parties for account in seen)
        assert address_of("stranger") not in parties
    assert any(job.outspoken and job.committee for job in jobs())


def test_the_newest_parties_push_out_those_longest_without_a_job() -> None:
    job = max(jobs(), key=lambda job: len(job.trainers) + len(job.committee))
    parties = Parties(most=2)

    parties.note(job)

    everybody = {job.requester, *job.trainers, *job.committee, *job.outspoken}
    assert len([account for account in everybody if account in parties]) == 2
    assert job.requester in parties
