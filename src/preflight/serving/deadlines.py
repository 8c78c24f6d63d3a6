"""Deadlines of requests, looked at together: a timer for each would cost more than its key."""

import asyncio
import time
from typing import Any

Task = asyncio.Task[Any]


class Deadlines:
    """Cancels the tasks that are late whenever `expire` is called; they learn why by `missed`."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None  # asked for each time until it is known
        self._due: dict[Task, float] = {}
        self._late: set[Task] = set()

    def open(self, seconds: float) -> Task:
        """Give the present task so many seconds; returns it."""
        task = asyncio.current_task(self.loop)
        assert task is not None  # noqa: S101 (an ASGI call always runs in one)
        self._due[task] = time.monotonic() + seconds
        return task

    def close(self, task: Task) -> None:
        """What the task waited for has come."""
        self._due.pop(task, None)

    def missed(self, task: Task) -> bool:
        """Whether a task was cancelled because it was late; it goes on from there."""
        if task not in self._late:
            return False
        self._late.discard(task)
        task.uncancel()
        return True

    def expire(self) -> None:
        """Cancel what is late."""
        now = time.monotonic()
        for task in [task for task, due in self._due.items() if due < now]:
            del self._due[task]
            self._late.add(task)
            task.cancel()
