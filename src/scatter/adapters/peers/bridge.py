"""Runs a trio program in a thread of its own and lets asyncio call into it, and back.

libp2p speaks trio, the node asyncio. A call is a future on one side and a task on the other:
cancelling the future cancels the task, a result or exception travels back, and no thread waits.
When the trio program ends, every call under way ends with it.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import trio

if TYPE_CHECKING:
    from trio_typing import TaskStatus

T = TypeVar("T")


class Main(Protocol):
    """The program; it reports `started()` when it may be called."""

    async def __call__(self, *, task_status: "TaskStatus[None]") -> None: ...


class TrioThread:
    """One trio run. Start it, call into it, stop it; all from one asyncio loop."""

    def __init__(self, main: Main, name: str) -> None:
        self._main = main
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started: Future[None] = Future()
        self._ended: Future[None] = Future()

    async def start(self) -> None:
        """Returns when the program is ready; raises what it raised instead."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        await asyncio.wrap_future(self._started)

    async def stop(self) -> None:
        """Cancels the program and waits for its end; raises what made it end before, if anything.

        The wait is not cut short by a cancellation, so that sockets are closed afterwards.
        """
        self._tell_trio(self._nursery.cancel_scope.cancel)
        try:
            await asyncio.shield(asyncio.wrap_future(self._ended))
        finally:
            self._thread.join(1)

    async def call(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: object, seconds: float
    ) -> T:
        """Runs `function` in the trio thread. Raises TimeoutError after `seconds`."""
        result: asyncio.Future[T] = self._loop.create_future()
        scope = trio.CancelScope()

        def settle(outcome: Future[T]) -> None:
            if result.done():
                return
            if outcome.cancelled():
                result.set_exception(ConnectionError("the peers were closed meanwhile"))
            elif (error := outcome.exception()) is not None:
                result.set_exception(error)
            else:
                result.set_result(outcome.result())

        async def task() -> None:
            outcome: Future[T] = Future()
            try:
                with scope, trio.fail_after(seconds):
                    outcome.set_result(await function(*args))
            except trio.TooSlowError:
                outcome.set_exception(TimeoutError(f"no answer within {seconds:g} s"))
            except Exception as error:  # noqa: BLE001 - it is handed to the caller
                outcome.set_exception(error)
            finally:
                if not outcome.done():
                    outcome.cancel()
                self._tell_asyncio(settle, outcome)

        try:
            self._token.run_sync_soon(self._spawn, task)
        except trio.RunFinishedError:
            raise ConnectionError("the peers are closed") from None
        try:
            return await result
        except asyncio.CancelledError:
            self._tell_trio(scope.cancel)
            raise

    async def call_asyncio(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs `function` on the asyncio loop, called from trio; cancelled with its caller."""
        arrived = trio.Event()
        outcome = asyncio.run_coroutine_threadsafe(function(), self._loop)
        outcome.add_done_callback(lambda _: self._tell_trio(arrived.set))
        try:
            await arrived.wait()
        finally:
            outcome.cancel()
        try:
            return outcome.result()
        except CancelledError:
            raise ConnectionError("the node is stopping") from None

    def _spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(task)

    def _tell_trio(self, function: Callable[[], object]) -> None:
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            return  # nobody is left to be told

    def _tell_asyncio(self, function: Callable[[Future[T]], None], outcome: Future[T]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, outcome)

    def _run(self) -> None:
        try:
            trio.run(self._run_main)
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever waits
            reason = _first(error)
            if not self._started.done():
                self._started.set_exception(reason)
                self._ended.set_result(None)
            else:
                self._ended.set_exception(reason)
        else:
            self._ended.set_result(None)

    async def _run_main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as self._nursery:
            await self._nursery.start(self._main)
            self._started.set_result(None)


def _first(error: BaseException) -> BaseException:
    """The cause, out of the groups in which nurseries wrap it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
