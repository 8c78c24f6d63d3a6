"""Room for large bodies: how many bytes of them a worker holds at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from preflight.serving.problems import Refusal


class Room:
    """So many bytes for all bodies together, however slowly each comes."""

    def __init__(self, size: int) -> None:
        self.free = size

    @contextmanager
    def held(self) -> Iterator[Callable[[int], None]]:
        """Yields what takes a part's bytes and raises Refusal without room; gives all back."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if size > self.free:
                again = {"retry-after": "5"}
                raise Refusal(503, "body", "too many large ones at once", "fewer", again)
            taken += size
            self.free -= size

        try:
            yield take
        finally:
            self.free += taken
