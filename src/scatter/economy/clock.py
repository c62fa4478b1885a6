"""Calls one after the other, each in a block of its own, and the waiting between them."""

from collections.abc import Callable

from scatter.economy.rules import Rules
from scatter.lifecycle.deployment import Block
from scatter.mechanism.units import BlockNumber, Timestamp

SECONDS_PER_BLOCK = 2

Watch = Callable[[Block], None]
"""Called after every block with a call in it."""


class Clock:
    """The newest block of some rules, and how the next one comes."""

    def __init__(self, rules: Rules, watch: Watch = lambda _: None) -> None:
        self.rules = rules
        self.block = rules.first_block
        self._watch = watch

    def do(self, call: Callable[..., None], *arguments: object) -> None:
        """Makes a call whose last argument is its block."""
        call(*arguments, self.next())
        self._watch(self.block)

    def next(self) -> Block:
        """The block for one more call; whoever takes it makes the call and says so to `watch`."""
        self.pass_blocks(BlockNumber(1))
        return self.block

    def watch(self) -> None:
        self._watch(self.block)

    def pass_blocks(self, count: BlockNumber) -> None:
        time = self.block.time + count * SECONDS_PER_BLOCK
        self.block = Block(BlockNumber(self.block.number + count), Timestamp(time))

    def wait_until(self, moment: Timestamp | None) -> None:
        """The next call happens at this moment or later; the chain need not fill the time."""
        assert moment is not None, "there is something to wait for"
        time = max(self.block.time, moment - SECONDS_PER_BLOCK)
        self.block = Block(self.block.number, Timestamp(time))
