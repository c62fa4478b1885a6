"""Ctrl-C, from the first moment of the program to its last: it ends everything, with exit code 130.

Python's own way, KeyboardInterrupt at any line, is not enough. It is off where whoever started the
program had it ignored, as a script does with `scatter demo &`; it is lost when it hits a finalizer
or the callbacks of an import; and what fails because of it, such as a child that heard it too,
looks like a failure of its own. So SIGINT is taken over here and nowhere else, before anything else
is imported.
"""

import os
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

from scatter.mechanism.errors import ScatterError

T = TypeVar("T")

EXIT_CODE: Final = 130


class Interrupt:
    """What SIGINT does; it is the process's own, so there is one of it."""

    def __init__(self) -> None:
        self.happened = False

    def leave_at_once(self) -> None:
        """From now on Ctrl-C ends the process: while it loads, and when its work is done."""
        signal.signal(signal.SIGINT, _leave)

    def raise_in_command(self) -> None:
        """From now on Ctrl-C raises KeyboardInterrupt, so that a command puts its things away."""
        signal.signal(signal.SIGINT, self._raise)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs `main`; Ctrl-C cancels it. Raises KeyboardInterrupt once it has put things away.

        Also when it failed after a Ctrl-C, or a KeyboardInterrupt before was lost.
        """
        import asyncio

        async def heed() -> T:
            this = asyncio.current_task()
            assert this is not None, "a coroutine that runs is in a task"

            def cancel() -> None:
                self.happened = True
                this.cancel()

            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, cancel)
            if self.happened:
                cancel()
            return await main

        before = signal.getsignal(signal.SIGINT)
        try:
            return asyncio.run(heed())
        except (asyncio.CancelledError, ScatterError, BaseExceptionGroup) as error:
            if self.happened and _is_known(error, asyncio.CancelledError):
                raise KeyboardInterrupt from None
            raise
        finally:
            signal.signal(signal.SIGINT, before)

    def _raise(self, number: int, frame: FrameType | None) -> NoReturn:
        self.happened = True
        raise KeyboardInterrupt


INTERRUPT: Final = Interrupt()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(EXIT_CODE)


def _is_known(error: BaseException, cancelled: type[BaseException]) -> bool:
    """Whether nothing but a cancellation, and what it makes fail, is in `error`."""
    if isinstance(error, BaseExceptionGroup):
        return error.split((ScatterError, cancelled))[1] is None
    return True
