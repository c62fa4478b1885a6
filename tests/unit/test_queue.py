"""No job is forgotten, none is worked on twice at once, and a failure is tried again."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence

import pytest

from scatter.fakes.queue import FakeQueue
from scatter.fakes.sandbox import FakeSandbox
from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import JobId, Timestamp
from scatter.node.agenda import Agenda
from scatter.node.queue import ASKING_SECONDS, Workbench
from scatter.node.turns import TurnNeeded, Turns
from scatter.ports.queue import Entry
from scatter.ports.sandbox import Task
from scatter.ports.store import Work
from scatter.roles.approval import ApprovalNeeded

FIRST, SECOND = JobId(1), JobId(2)


@pytest.fixture
def agenda() -> Agenda:
    return Agenda(["trainer"], least_pause=1, most_pause=8)


def test_entries_are_taken_first_in_first_out(agenda):
    agenda.touch(SECOND)
    agenda.touch(FIRST)
    agenda.touch(SECOND)

    assert [agenda.take(), agenda.take(), agenda.take()] == [
        Entry("trainer", SECOND),
        Entry("trainer", FIRST),
        None,
    ]


def test_a_job_in_hand_is_not_taken_again_before_it_is_put_down(agenda):
    agenda.touch(FIRST)
    entry = agenda.take()
    agenda.touch(FIRST)

    assert agenda.take() is None
    agenda.finish(entry, None)
    assert agenda.take() == entry


def test_two_roles_never_work_on_one_job_at_once():
    agenda = Agenda(["requester", "trainer"])
    agenda.touch(FIRST)
    first = agenda.take()

    assert agenda.take() is None
    agenda.finish(first, None)
    assert agenda.take() == Entry("trainer", FIRST)


def test_an_entry_wakes_when_the_chain_has_reached_its_time_and_not_before(agenda):
    agenda.touch(FIRST)
    agenda.finish(agenda.take(), Timestamp(100))

    agenda.pass_time(Timestamp(99), clock=1e9)
    assert agenda.take() is None
    agenda.pass_time(Timestamp(100), clock=0)
    assert agenda.take() == Entry("trainer", FIRST)


def test_pauses_double_up_to_a_bound_and_a_success_forgets_them(agenda):
    agenda.touch(FIRST)
    pauses, clock = [], 0.0
    for _ in range(6):
        clock += agenda.fail(agenda.take(), clock)
        pauses.append(clock)
        agenda.pass_time(None, clock)
    assert pauses == [1, 3, 7, 15, 23, 31]

    agenda.finish(agenda.take(), None)
    agenda.touch(FIRST)
    assert agenda.fail(agenda.take(), clock) == 1


def test_an_event_ends_the_pause_after_a_failure(agenda):
    agenda.touch(FIRST)
    agenda.fail(agenda.take(), 0)

    agenda.touch(FIRST)

    assert agenda.take() == Entry("trainer", FIRST)


def test_an_entry_in_line_is_not_taken_before_its_turn_and_not_while_its_job_is_in_hand():
    agenda = Agenda(["requester", "trainer"])
    agenda.touch(FIRST, ["trainer"])
    waiting = agenda.take()
    agenda.line_up(waiting)
    agenda.touch(FIRST)

    other = agenda.take()
    assert other == Entry("requester", FIRST)
    assert agenda.take() is None
    assert not agenda.take_turn(waiting)
    agenda.finish(other, None)
    assert agenda.take_turn(waiting)
    assert agenda.in_hand == (waiting,)


class Notes:
    """A store that remembers work only."""

    def __init__(self) -> None:
        self.kept: list[Work] = []

    async def note_work(self, work: Work) -> None:
        self.kept.append(work)

    async def works(self) -> Sequence[Work]:
        return self.kept


class Script:
    """A duty that does what each test says."""

    name = "trainer"

    def __init__(self, advance: Callable[[JobId], Awaitable[Timestamp | None]]) -> None:
        self._advance = advance
        self.calls: list[JobId] = []

    async def advance(self, job: JobId) -> Timestamp | None:
        self.calls.append(job)
        return await self._advance(job)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def sandbox() -> FakeSandbox:
    return FakeSandbox(train=lambda task: ({}, {"examples": 1}))


@pytest.fixture
def turns(sandbox, tmp_path) -> Turns:
    return Turns(sandbox, tmp_path / "runs")


@pytest.fixture
def bench_of(notes, queue, turns):
    def build(advance, *, over=(), ranks=None):
        async def is_over(job):
            return job in over

        async def rank(job):
            return (ranks or {}).get(job, 0)

        duty = Script(advance)
        bench = Workbench(
            [duty],
            notes,
            queue,
            turns,
            is_over=is_over,
            rank=rank,
            look_seconds=0.01,
            least_pause=0.01,
        )
        return bench, duty

    return build


@pytest.fixture
def task_of(tmp_path):
    """A training run that leaves its files in a fresh folder."""

    def build(job: int) -> Task:
        output = tmp_path / f"trained-{job}"
        shutil.rmtree(output, ignore_errors=True)
        return Task("train", tmp_path, tmp_path, output, seed=job)

    return build


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition, not only one with an event
            await asyncio.sleep(0)


def work(bench: Workbench, condition: Callable[[], bool]) -> None:
    async def main():
        running = asyncio.create_task(bench.run())
        try:
            waiting = asyncio.create_task(until(condition))
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                waiting.cancel()
                await running
            await waiting
        finally:
            running.cancel()

    asyncio.run(main())


def test_a_failure_is_noted_with_its_sentence_and_tried_again(bench_of, notes):
    async def advance(job):
        if len(duty.calls) == 1:
            raise ScatterError("no peer answers")

    bench, duty = bench_of(advance)
    bench.touch(FIRST)

    work(bench, lambda: len(notes.kept) == 2)

    assert [(w.state, w.note) for w in notes.kept] == [
        ("failed", "no peer answers"),
        ("waiting", ""),
    ]


def test_a_job_that_waits_for_approval_says_so_and_goes_on_when_it_is_touched(bench_of, notes):
    async def advance(job):
        if len(duty.calls) == 1:
            raise ApprovalNeeded("Job 1 waits: look at it.")

    bench, duty = bench_of(advance)
    bench.touch(FIRST)

    async def main():
        running = asyncio.create_task(bench.run())
        await until(lambda: len(notes.kept) == 1)
        questions = await bench.questions()
        bench.touch(FIRST)
        await until(lambda: len(notes.kept) == 2)
        running.cancel()
        return questions

    assert asyncio.run(main()) == ["Job 1 waits: look at it."]
    assert [(w.state, w.note) for w in notes.kept] == [
        ("asking", "Job 1 waits: look at it."),
        ("waiting", ""),
    ]


def test_a_job_that_waits_for_approval_is_looked_at_again_each_minute(agenda):
    agenda.touch(FIRST)
    agenda.defer(agenda.take(), 0, ASKING_SECONDS)

    agenda.pass_time(None, 59.9)
    assert agenda.take() is None
    agenda.pass_time(None, 60)
    assert agenda.take() == Entry("trainer", FIRST)


def test_an_entry_wakes_when_the_time_that_it_named_is_told(bench_of):
    async def advance(job):
        bench.tell_time(Timestamp(100))
        return Timestamp(100) if len(duty.calls) == 1 else None

    bench, duty = bench_of(advance)
    bench.touch(FIRST)

    work(bench, lambda: len(duty.calls) == 2)


def test_an_unexpected_exception_ends_the_queue(bench_of):
    async def advance(job):
        raise ZeroDivisionError

    bench, _ = bench_of(advance)
    bench.touch(FIRST)

    with pytest.raises(ExceptionGroup) as ended:
        work(bench, lambda: False)
    assert ended.group_contains(ZeroDivisionError)


def test_a_restarted_node_looks_at_every_job_that_is_not_done(bench_of, notes):
    async def advance(job):
        return None

    bench, duty = bench_of(advance, over={FIRST})
    notes.kept = [Work("trainer", FIRST, "done", "", 0), Work("trainer", SECOND, "waiting", "", 0)]

    async def main():
        running = asyncio.create_task(bench.run())
        await bench.resume(40, batch=4)
        await until(lambda: len(duty.calls) == 39)
        running.cancel()

    asyncio.run(main())

    assert duty.calls == [JobId(number) for number in range(2, 41)]


def test_what_is_in_hand_shows_as_running_and_is_cancelled_at_the_end(bench_of):
    cancelled = []

    async def advance(job):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(job)
            raise

    bench, duty = bench_of(advance)
    bench.touch(FIRST)

    async def main():
        running = asyncio.create_task(bench.run())
        await until(lambda: bool(duty.calls))
        states = [(w.job, w.state) for w in await bench.works()]
        running.cancel()
        await asyncio.wait({running})
        return states

    assert asyncio.run(main()) == [(FIRST, "running")]
    assert cancelled == [FIRST]


def test_a_duty_without_a_turn_enters_the_line_and_comes_to_the_sandbox_in_its_turn(
    bench_of, sandbox, turns, task_of
):
    async def advance(job):
        task = task_of(job)
        await turns.run(task)
        assert (task.output / "metrics.json").is_file()

    bench, _ = bench_of(advance)
    for number in (3, 1, 2):
        bench.touch(JobId(number))

    work(bench, lambda: len(sandbox.tasks) == 3)

    assert [task.seed for task in sandbox.tasks] == [3, 1, 2]


def test_the_line_follows_the_operators_ranks(bench_of, sandbox, turns, task_of):
    all_wait = asyncio.Event()

    async def advance(job):
        await turns.run(task_of(job))
        if job == JobId(9):
            await all_wait.wait()

    bench, duty = bench_of(advance, ranks={1: 30, 2: 10, 3: 20})

    async def main():
        running = asyncio.create_task(bench.run())
        bench.touch(JobId(9))
        await until(lambda: len(duty.calls) == 2)
        for number in (1, 2, 3):
            bench.touch(JobId(number))
        await until(lambda: len(duty.calls) == 5)
        all_wait.set()
        await until(lambda: len(sandbox.tasks) == 4)
        running.cancel()

    asyncio.run(main())

    assert [task.seed for task in sandbox.tasks] == [9, 2, 3, 1]


def test_who_waits_in_line_takes_no_hand_and_shows_its_number(bench_of, turns, task_of):
    async def advance(job):
        if job == FIRST:
            await turns.run(task_of(job))
            await asyncio.Event().wait()
        elif job == SECOND:
            await turns.run(task_of(job))

    bench, duty = bench_of(advance)
    bench.touch(FIRST)

    async def main():
        running = asyncio.create_task(bench.run())
        await until(lambda: len(duty.calls) == 2)
        bench.touch(SECOND)
        await until(lambda: len(duty.calls) == 3)
        bench.touch(JobId(3))
        await until(lambda: len(duty.calls) == 4)
        shown = [(w.job, w.state, w.note) for w in await bench.works()]
        running.cancel()
        return shown

    assert asyncio.run(main())[:2] == [(FIRST, "running", ""), (SECOND, "in line", "number 2")]


def test_a_run_that_ended_before_the_node_was_stopped_is_not_done_again(
    bench_of, sandbox, turns, task_of
):
    async def advance(job):
        task = task_of(job)
        await turns.run(task)
        assert (task.output / "metrics.json").is_file()
        if len(duty.calls) == 2:
            await asyncio.Event().wait()

    bench, duty = bench_of(advance)
    bench.touch(FIRST)
    work(bench, lambda: bool(sandbox.tasks))

    bench, duty = bench_of(advance)
    work(bench, lambda: bool(duty.calls))

    assert len(sandbox.tasks) == 1


def test_a_run_that_failed_is_not_remembered(queue, sandbox, turns, task_of, tmp_path):
    outcomes = []

    async def perform(entry, turn):
        async with turns.hold(entry, turn):
            outcomes.append(await turns.run(Task("evaluate", tmp_path, tmp_path, tmp_path / "no")))
            if len(outcomes) == 1:
                await asyncio.Event().wait()

    async def main():
        await queue.enter(Entry("trainer", FIRST))
        for count in (1, 2):
            running = asyncio.create_task(queue.run(perform))
            await until(lambda count=count: len(outcomes) == count)
            running.cancel()
            await asyncio.wait({running})

    asyncio.run(main())

    assert [outcome.ok for outcome in outcomes] == [False, False]
    assert len(sandbox.tasks) == 2


def test_without_a_turn_nothing_runs(sandbox, turns, task_of):
    with pytest.raises(TurnNeeded):
        asyncio.run(turns.run(task_of(1)))
    assert not sandbox.tasks
