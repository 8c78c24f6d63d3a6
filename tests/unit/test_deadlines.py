"""Tasks that are late are cancelled together, and go on to say so."""

import asyncio

import pytest

from preflight.serving.deadlines import Deadlines, Task

LONG_AGO, FAR = -1.0, 60.0


class Waiter:
    """A task that waits for what never comes, and says how that ended."""

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines, self._seconds = deadlines, seconds
        self.waiting = asyncio.Event()
        self.opened: Task | None = None

    async def run(self) -> str:
        """`late`, or CancelledError when somebody else cancelled it."""
        self.opened = self._deadlines.open(self._seconds)
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not self._deadlines.missed(self.opened):
                raise
            assert self.opened.cancelling() == 0  # or a timeout around it would misjudge it
        finally:
            self._deadlines.close(self.opened)
        await asyncio.sleep(0)  # an uncancelled task may wait again
        return "late"


async def started(deadlines: Deadlines, seconds: float) -> asyncio.Task[str]:
    """A waiter that waits."""
    waiter = Waiter(deadlines, seconds)
    task = asyncio.create_task(waiter.run())
    async with asyncio.timeout(5):
        await waiter.waiting.wait()
    return task


def test_a_late_task_learns_that_it_is_late_and_goes_on() -> None:
    async def story() -> str:
        deadlines = Deadlines()
        task = await started(deadlines, LONG_AGO)
        deadlines.expire()
        async with asyncio.timeout(5):
            return await task

    assert asyncio.run(story()) == "late"


def test_a_task_in_time_is_left_alone() -> None:
    async def story() -> bool:
        deadlines = Deadlines()
        task = await started(deadlines, FAR)
        deadlines.expire()
        await asyncio.sleep(0)
        left = not task.done() and task.cancelling() == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return left

    assert asyncio.run(story())


def test_a_task_that_somebody_else_cancels_is_not_late() -> None:
    async def story() -> None:
        task = await started(Deadlines(), FAR)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(story())


def test_a_closed_deadline_cancels_nobody() -> None:
    async def story() -> int:
        deadlines = Deadlines()
        task = deadlines.open(LONG_AGO)
        deadlines.close(task)
        deadlines.expire()
        await asyncio.sleep(0)
        return task.cancelling()

    assert asyncio.run(story()) == 0


def test_only_the_late_are_cancelled_of_many() -> None:
    async def story() -> list[str]:
        deadlines = Deadlines()
        tasks = [await started(deadlines, FAR if each % 2 else LONG_AGO) for each in range(10)]
        deadlines.expire()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks[::2])
        for task in tasks[1::2]:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return ["late" if each == "late" else "left" for each in found]

    assert asyncio.run(story()) == ["late", "left"] * 5


def test_nothing_is_kept_of_tasks_that_are_done() -> None:
    async def story() -> tuple[int, int]:
        deadlines = Deadlines()
        for seconds in (LONG_AGO, FAR):
            task = await started(deadlines, seconds)
            deadlines.expire()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return len(deadlines._due), len(deadlines._late)

    assert asyncio.run(story()) == (0, 0)


def test_the_loop_that_is_known_is_the_one_that_is_asked() -> None:
    async def story() -> bool:
        deadlines = Deadlines()
        deadlines.loop = asyncio.get_running_loop()
        return deadlines.open(FAR) is asyncio.current_task()

    assert asyncio.run(story())
