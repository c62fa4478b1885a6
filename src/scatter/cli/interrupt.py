"""Ctrl-C or SIGTERM, from the first moment of the program to its last: either ends everything.

Python's own way, KeyboardInterrupt at any line, is not enough. It is off where whoever started the
program had it ignored, as a script does with `scatter demo &`; it is lost when it hits a finalizer
or the callbacks of an import; and what fails because of it, such as a child that heard it too,
looks like a failure of its own. SIGTERM ends Python on the spot, and leaves a demo's processes
behind. So both are taken over here and nowhere else, before anything else is imported. The exit
code is a shell's: 128 and the number of the signal.
"""

import os
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

from scatter.mechanism.errors import ScatterError

T = TypeVar("T")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """What the two signals do; they are the process's own, so there is one of it."""

    def __init__(self) -> None:
        self.by: int | None = None
        """The number of the signal that came."""

    @property
    def happened(self) -> bool:
        return self.by is not None

    @property
    def exit_code(self) -> int:
        return 128 + (self.by or signal.SIGINT)

    def leave_at_once(self) -> None:
        """From now on a signal ends the process: while it loads, and when its work is done."""
        for number in SIGNALS:
            signal.signal(number, _leave)

    def raise_in_command(self) -> None:
        """From now on it raises KeyboardInterrupt, so that a command puts its things away."""
        for number in SIGNALS:
            signal.signal(number, self._raise)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs `main`; a signal cancels it. Raises KeyboardInterrupt once it has put things away.

        Also when it failed after a signal, or a KeyboardInterrupt before was lost.
        """
        import asyncio

        async def heed() -> T:
            this = asyncio.current_task()
            assert this is not None, "a coroutine that runs is in a task"

            def cancel(number: int) -> None:
                self.by = number
                this.cancel()

            for number in SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, cancel, number)
            if self.by is not None:
                cancel(self.by)
            return await main

        before = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            return asyncio.run(heed())
        except (asyncio.CancelledError, ScatterError, BaseExceptionGroup) as error:
            if self.happened and _is_known(error, asyncio.CancelledError):
                raise KeyboardInterrupt from None
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _raise(self, number: int, frame: FrameType | None) -> NoReturn:
        self.by = number
        raise KeyboardInterrupt


INTERRUPT: Final = Interrupt()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def _is_known(error: BaseException, cancelled: type[BaseException]) -> bool:
    """Whether nothing but a cancellation, and what it makes fail, is in `error`."""
    if isinstance(error, BaseExceptionGroup):
        return error.split((ScatterError, cancelled))[1] is None
    return True
