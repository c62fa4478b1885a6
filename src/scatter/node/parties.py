"""The accounts that have a part in some job: their peers are kept when strangers fill the book."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from scatter.lifecycle.job import Job
from scatter.mechanism.units import Address

MOST_PARTIES: Final = 1_024
"""Half of what the book of peers takes, so that newcomers find a place however many there were."""


class Parties:
    """The newest `most` accounts. `in` may be asked from any thread."""

    def __init__(self, most: int = MOST_PARTIES) -> None:
        self._most = most
        self._accounts: OrderedDict[Address, None] = OrderedDict()

    def __contains__(self, account: Address) -> bool:
        return account in self._accounts

    def note(self, job: Job) -> None:
        """Remembers everybody in `job`, and forgets those longest without a part in any."""
        for account in _parties(job):
            self._accounts[account] = None
            self._accounts.move_to_end(account)
            if len(self._accounts) > self._most:
                self._accounts.popitem(last=False)


def _parties(job: Job) -> Iterator[Address]:
    yield from job.outspoken
    yield from job.trainers
    yield from job.committee
    yield job.requester
